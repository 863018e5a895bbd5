"""Short forms of what tests/bench shows at length: acknowledged writes survive kill -9, a killed leader
is followed by another in time, three servers found one cluster."""
import os
import re
import subprocess

from harness import TOP
from pool_harness import SOAK


def bench(name, *words):
    out = subprocess.run([os.path.join(TOP, "tests", "bench", name), *map(str, words)],
                         capture_output=True, text=True, timeout=3600)
    print(out.stdout)
    assert out.returncode == 0, out.stdout[-5000:] + out.stderr[-5000:]
    return out.stdout


def test_acknowledged_writes_are_there():
    said = bench("ack-writes", 1000000 if SOAK else 100000)
    assert re.search(r"kills=[1-9]", said) and "lost=0" in said


def test_acknowledged_writes_of_one_server_are_there():
    assert "lost=0" in bench("ack-writes", 300000 if SOAK else 100000, 1)


def test_a_killed_leader():
    assert "late=0" in bench("leader-kill", 50 if SOAK else 2)


def test_three_found_one_cluster():
    bench("bootstrap-expect", 50 if SOAK else 3)
