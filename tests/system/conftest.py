"""Fixtures: one Docker engine for the whole run, one agent for each test that asks."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
sys.dont_write_bytecode = True

from harness import Agent, Dockerd, server_command  # noqa: E402
from image_harness import Images  # noqa: E402


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    d = Dockerd(str(tmp_path_factory.mktemp("docker"))).start()
    try:
        d.make_image("web", "EXPOSE 80", 'CMD ["/bin/httpd","-f","-p","80","-h","/www"]')
        yield d
    finally:
        d.stop()


@pytest.fixture
def figure(record_property):
    """figure(text): a measured value, for who reads the log of a whole run (side_by_side.py)."""
    return lambda text: record_property("figure", text)


@pytest.fixture(scope="session")
def images(engine, tmp_path_factory):
    """The project's images, built by the Dockerfile on a base that is made here."""
    return Images(engine, str(tmp_path_factory.mktemp("images")))


@pytest.fixture
def docker(engine):
    """The engine, without containers before and after."""
    engine.clean()
    yield engine
    if engine.proc.poll() is not None:
        engine.start()
    engine.clean()


@pytest.fixture
def agents(tmp_path):
    """make(*flags, docker=…, dev=…) starts an agent; all are ended, and must end well."""
    made = []

    def make(*flags, start=True, **kw):
        a = Agent(str(tmp_path), *flags, **kw)
        made.append(a)
        return a.start() if start else a

    yield make
    codes = [(a, a.stop()) for a in made if a.proc is not None and a.exit_code is None]
    for a, code in codes:
        assert code == 0, f"exit code {code}:\n{a.log()[-20000:]}"


@pytest.fixture
def agent(agents):
    return agents()
