"""What a service manager hears from the agent, on a real datagram socket."""
import contextlib
import os
import signal
import socket
import subprocess
import threading

import pytest

from harness import MUSTER, wait_until


class Manager:
    """The socket of NOTIFY_SOCKET, and all that was said to it."""

    def __init__(self, name, monkeypatch):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.setblocking(False)
        self.heard = []
        monkeypatch.setenv("NOTIFY_SOCKET", name.replace("\0", "@", 1))

    def listen(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.append(self.socket.recv(4096).decode())
        return self.heard

    def has(self, line):
        return any(line in message.split("\n") for message in self.listen())

    def expect(self, line, seconds=10):
        wait_until(f"the manager hears {line}", lambda: self.has(line), seconds)


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    name = {"path": str(tmp_path / "notify"), "abstract": f"\0muster-test-{os.getpid()}"}
    m = Manager(name[request.param], monkeypatch)
    yield m
    m.socket.close()


class SlowEngine:
    """A Docker engine that takes a call and does not answer."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(5)
        self.called = threading.Event()
        self.taken = []
        self.thread = threading.Thread(target=self._take, daemon=True)
        self.thread.start()

    def _take(self):
        with contextlib.suppress(OSError):
            while True:
                self.taken.append(self.listener.accept()[0])
                self.called.set()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for s in self.taken:
            s.close()


def test_ready_is_said_when_answers_are_whole(agents, manager, tmp_path):
    """Not while the engine has not told what runs here."""
    engine = SlowEngine(str(tmp_path / "docker.sock"))
    a = agents(docker="unix://" + str(tmp_path / "docker.sock"), start=False).start(wait=False)
    assert engine.called.wait(10)
    wait_until("the API is there", lambda: answers(a))
    assert a.get("/v1/catalog/nodes").status == 500
    asked = muster_ready("-http-addr", f"127.0.0.1:{a.http_port}")
    assert asked.returncode == 1 and "No cluster leader" in asked.stderr
    assert not manager.has("READY=1")
    assert manager.has("STATUS=Waits for what runs here and for other agents.")
    engine.close()  # gone: what is known is all there is to know
    manager.expect("READY=1")
    assert a.get("/v1/catalog/nodes").status == 200
    assert muster_ready("-http-addr", f"127.0.0.1:{a.http_port}").returncode == 0
    a.stop()
    assert manager.has("STOPPING=1")


def muster_ready(*words):
    return subprocess.run([MUSTER, "ready", *words], capture_output=True, text=True, timeout=30)


def test_the_data_folder_tells_where_to_ask(agents, tmp_path):
    folder = str(tmp_path / "data")
    a = agents("-data-dir", folder, "-bootstrap", "-bind", "127.0.0.1", dev=False)
    wait_until("ready", lambda: muster_ready("-data-dir", folder).stdout == "ready\n")
    a.stop()
    asked = muster_ready("-data-dir", folder)
    assert asked.returncode == 1 and str(a.http_port) in asked.stderr


def answers(agent):
    try:
        return agent.get("/v1/agent/self").status
    except OSError:
        return False


def test_a_reload_is_framed_and_a_leave_is_an_end(agents, manager):
    a = agents()
    manager.expect("READY=1")
    manager.heard.clear()
    a.proc.send_signal(signal.SIGHUP)
    manager.expect("READY=1")
    first, last = manager.heard
    assert first.startswith("RELOADING=1\nMONOTONIC_USEC=") and last == "READY=1"
    assert a.put("/v1/agent/leave").status == 200
    manager.expect("STOPPING=1")
    a.proc.wait(15)


def test_signs_of_life_come_while_it_lives(agents, manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    a = agents()
    manager.expect("WATCHDOG=1")
    manager.heard.clear()
    wait_until("five more", lambda: manager.listen().count("WATCHDOG=1") >= 5)
    os.kill(a.proc.pid, signal.SIGSTOP)
    manager.listen()
    manager.heard.clear()
    with pytest.raises(AssertionError):  # hung: silence
        manager.expect("WATCHDOG=1", 0.5)
    os.kill(a.proc.pid, signal.SIGCONT)
    manager.expect("WATCHDOG=1")


def test_signs_of_life_meant_for_another_process_are_not_given(agents, manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    agents()
    manager.expect("READY=1")
    with pytest.raises(AssertionError):
        manager.expect("WATCHDOG=1", 0.5)


def test_a_manager_that_is_not_there_costs_a_line(agents, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    a = agents()
    assert a.log().count("the service manager cannot be told") == 1
