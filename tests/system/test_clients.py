"""Clients of Consul's API as people install them, against a cluster of three agents: each writes to
one agent and reads from the others. Keys alone, against one agent: test_keys.py.
"""
import glob
import os
import subprocess
import sys

import pytest

from harness import PATIENCE, TOP, free_port
from pool_harness import Pool, leads
from test_keys import npm  # noqa: F401  (a fixture)

HERE = os.path.join(TOP, "tests", "system")


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    pool = Pool(tmp_path_factory.mktemp("clients"))
    try:
        join = [pool.address(i) for i in range(3)]
        for _ in range(3):
            pool.add("-retry-interval", "1s", server=3, join=join)
        for a in pool.agents:
            a.start(wait=False)
        pool.wait_complete()
        pool.wait_all("it reaches a leader", leads, seconds=20)
        yield pool
    finally:
        pool.stop()


def run(*words, **env):
    done = subprocess.run(words, capture_output=True, text=True, timeout=180 * PATIENCE,
                          env=dict(os.environ, **env), stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and done.stdout.endswith("fine\n"), done.stdout + done.stderr


def hosts(pool):
    return [a.address for a in pool.agents]


def test_python_consul(three):
    run(sys.executable, os.path.join(HERE, "py_client.py"), str(free_port()), *hosts(three))


@pytest.fixture(scope="module")
def consul2(tmp_path_factory):
    """Debian's python3-consul2 cannot be installed beside python3-consul: a folder with its files."""
    folder = tmp_path_factory.mktemp("consul2")
    for words in (["apt-get", "download", "-q", "python3-consul2"],
                  ["apt-get", "update", "-q"],
                  ["apt-get", "download", "-q", "python3-consul2"]):
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)
        found = glob.glob(str(folder / "python3-consul2_*.deb"))
        if found:
            break
    else:
        pytest.fail("there is no python3-consul2: is there a way to Debian's archive?\n" +
                    done.stdout + done.stderr)
    subprocess.run(["dpkg", "-x", found[0], str(folder)], check=True)
    return str(folder / "usr" / "lib" / "python3" / "dist-packages")


def test_python_consul2(three, consul2):
    run(sys.executable, os.path.join(HERE, "py_client.py"), str(free_port()), *hosts(three),
        PYTHONPATH=consul2)


def test_npm_consul(three, npm):  # noqa: F811
    run("node", os.path.join(HERE, "npm_agent.js"), HOSTS=",".join(hosts(three)),
        NODE_PATH=str(npm / "node_modules"))
