"""Bad days of servers that hold keys: a full disk, and a rolling restart while others read without a
pause. See test_cluster.py for more of them."""
import os
import signal
import subprocess
import threading
import time

import pytest

from harness import PATIENCE, wait_until
from linear_harness import writable
from pool_harness import PoolAgent, loopback


class Three:
    """Three servers on loopback."""

    def __init__(self, folder):
        addresses = [loopback(1 + i) for i in range(3)]
        self.agents = [PoolAgent(folder, f"n{i + 1}", address, "-server", "-bootstrap-expect", "3",
                                 "-retry-interval", "1s", bind=True,
                                 retry_join=[x for x in addresses if x != address])
                       for i, address in enumerate(addresses)]

    def start(self):
        for a in self.agents:
            a.start(wait=False)
        self.wait_writable()
        return self

    def wait_writable(self, seconds=30):
        for a in self.agents:
            wait_until(f"{a.name} takes writes", lambda: writable(a), seconds, 0.05)

    def stop(self):
        bad = []
        for a in self.agents:
            if a.alive():
                a.proc.send_signal(signal.SIGCONT)
                if a.stop() != 0:
                    bad.append(a.log()[-5000:])
        assert not bad, "\n".join(bad)


@pytest.fixture
def three(tmp_path):
    servers = Three(str(tmp_path))
    try:
        yield servers.start()
    finally:
        servers.stop()


def put(agent, key, value):
    r = agent.put("/v1/kv/" + key, value)
    assert r.status == 200 and r.text.strip() == "true", (r.status, r.text)


class Reader(threading.Thread):
    """?stale reads of every server that is up, all the time; whatever is not the value is kept."""

    def __init__(self, agents):
        super().__init__(daemon=True)
        self.agents, self.down = agents, set()
        self.ending, self.count, self.bad = threading.Event(), 0, []

    def run(self):
        while not self.ending.wait(0.002):
            for a in self.agents:
                if a.name in self.down:
                    continue
                try:
                    r = a.get("/v1/kv/steady?raw&stale")
                    said = r.text if r.status == 200 else f"{r.status} {r.text}"
                except OSError as e:
                    said = str(e)
                if said != "value" and a.name not in self.down:
                    self.bad.append((a.name, said))
                self.count += 1


def test_a_rolling_restart_fails_no_stale_read(three):
    put(three.agents[0], "steady", "value")
    for a in three.agents:
        wait_until("it is everywhere", lambda: a.get("/v1/kv/steady?raw&stale").text == "value")
    readers = [Reader(three.agents) for _ in range(2)]
    for r in readers:
        r.start()
    for turn in range(2):
        for a in three.agents:
            for r in readers:
                r.down.add(a.name)
            time.sleep(0.05)  # what was asked is answered
            assert a.stop() == 0
            put(next(b for b in three.agents if b is not a), f"without-{a.name}", str(turn))
            a.start()  # until it answers at all: its first words on keys are right
            assert a.get(f"/v1/kv/without-{a.name}?raw&stale").text == str(turn)
            for r in readers:
                r.down.discard(a.name)
            wait_until("it is ready", lambda: a.get("/v1/agent/self").json["Stats"]["muster"]
                       ["ready"] == "true")
            put(a, f"turn-{turn}", a.name)
    for r in readers:
        r.ending.set()
        r.join()
    assert not any(r.bad for r in readers), [r.bad[:5] for r in readers]
    assert all(r.count > 100 / PATIENCE for r in readers)


@pytest.fixture
def frozen_disk(tmp_path):
    """A file system of its own, and a function that freezes it or not, as who takes a snapshot of it
    does: who writes to it waits, and cannot be ended."""
    image, path = str(tmp_path / "image"), str(tmp_path / "disk")
    os.mkdir(path)
    with open(image, "wb") as f:
        f.truncate(128 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, path], check=True)
    frozen = []

    def freeze(on):
        if on != bool(frozen):
            subprocess.run(["fsfreeze", "-f" if on else "-u", path], check=True)
            frozen[:] = [True] if on else []
    try:
        yield path, freeze
    finally:
        freeze(False)
        subprocess.run(["umount", "-l", path], check=True)


def test_a_frozen_disk_holds_up_writes_and_nothing_else(tmp_path, frozen_disk):
    path, freeze = frozen_disk
    a = PoolAgent(str(tmp_path), "n1", loopback(1), "-server", "-bootstrap", bind=True)
    a.data = os.path.join(path, "data")
    a.start()
    try:
        wait_until("writes are taken", lambda: writable(a))
        for n in range(20):  # also as the kernel writes by itself, see kv/direct_io.h
            put(a, f"before/{n}", "x")
        freeze(True)
        told = []
        writers = [threading.Thread(target=lambda n=n: told.append(a.put(f"/v1/kv/frozen/{n}", "x")))
                   for n in range(3)]
        for w in writers:
            w.start()
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            assert a.get("/v1/kv/before/3?raw&stale").text == "x"
            assert a.get("/v1/agent/self").status == 200
            assert a.dns("n1.node.consul")
        assert not told
        freeze(False)
        for w in writers:
            w.join(20 * PATIENCE)
        assert [r.text.strip() for r in told] == ["true"] * 3
        put(a, "after", "x")
    finally:
        freeze(False)
        assert a.stop() == 0


@pytest.fixture
def small_disk(tmp_path):
    path = os.path.join(str(tmp_path), "disk")
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk(tmp_path, small_disk):
    """A clear error; nothing acknowledged is lost; it goes on when there is room."""
    a = PoolAgent(str(tmp_path), "n1", loopback(1), "-server", "-bootstrap", bind=True)
    a.data = os.path.join(small_disk, "data")
    a.start()
    try:
        wait_until("writes are taken", lambda: writable(a))
        ballast = os.path.join(small_disk, "ballast")
        room = os.statvfs(small_disk)
        with open(ballast, "wb") as f:
            f.write(b"x" * max(0, room.f_bavail * room.f_frsize - 4 * 2**20))
        taken, refused = {}, None
        for n in range(400):
            value = f"{n}" * 20000
            r = a.put(f"/v1/kv/full/{n}", value)
            if r.status == 200:
                taken[n] = value
                continue
            refused = r
            break
        assert refused is not None and refused.status == 500, taken.keys()
        assert "No space left on device" in refused.text, refused.text
        assert a.log_has("error", "No space left"), a.log()[-3000:]
        for n, value in taken.items():  # it still tells what it has
            assert a.get(f"/v1/kv/full/{n}?raw&stale").text == value
        os.unlink(ballast)
        wait_until("it goes on", lambda: writable(a), 20)
        a.kill()
        a.start()
        wait_until("writes are taken", lambda: writable(a))
        for n, value in taken.items():
            assert a.get(f"/v1/kv/full/{n}?raw").text == value
    finally:
        a.stop()
