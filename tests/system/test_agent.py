"""The process: flags, listeners, signals, what is kept over a restart."""
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import MUSTER, WRAP, free_port, wait_until


def run(*words, timeout=20):
    return subprocess.run([*WRAP, MUSTER, *words], capture_output=True, text=True,
                          timeout=timeout * (10 if WRAP else 1), stdin=subprocess.DEVNULL)


def test_version_and_help():
    out = run("version")
    assert out.returncode == 0 and out.stdout.startswith("muster ")
    out = run("agent", "--help")
    assert out.returncode == 0
    for flag in ("-dev", "-bind", "-advertise", "-client", "-node", "-datacenter", "-domain",
                 "-data-dir", "-http-port", "-dns-port", "-log-level", "-docker"):
        assert flag in out.stdout


@pytest.mark.parametrize("flags, names", [
    (["-no-such-flag"], "no-such-flag"),
    (["-dev", "-http-port", "99999"], "http-port"),
    (["-dev", "-http-port", "x"], "http-port"),
    (["-dev", "-log-level", "loud"], "log-level"),
    (["-dev", "-config-file", "/nonexistent/muster.json"], "/nonexistent/muster.json"),
    (["-dev", "-client", "not-an-address"], "not-an-address"),
])
def test_bad_flags_are_one_clear_line(flags, names):
    out = run("agent", *flags)
    assert out.returncode != 0
    lines = out.stderr.strip().splitlines()
    assert len(lines) == 1 and names in lines[0], out.stderr


def test_two_dashes_and_equals(agents):
    a = agents("--domain=example.", "--datacenter", "east")
    assert a.get("/v1/catalog/datacenters").json == ["east"]
    assert a.dns_data("n1.node.east.example") == ["127.0.0.1"]


def test_unreadable_config_is_one_clear_line(tmp_path):
    path = tmp_path / "muster.json"
    path.write_text('{"ports": {"dns": 99999}}')
    out = run("agent", "-dev", "-config-file", str(path))
    assert out.returncode != 0
    assert len(out.stderr.strip().splitlines()) == 1 and "ports.dns" in out.stderr
    path.write_text('{"no_such_key": 1}')
    out = run("agent", "-dev", "-config-file", str(path))
    assert out.returncode != 0 and "no_such_key" in out.stderr and str(path) in out.stderr


def test_port_in_use_is_one_clear_line():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        out = run("agent", "-dev", "-docker", "off", "-http-port", str(port), "-dns-port",
                  str(free_port()))
    assert out.returncode != 0
    last = out.stderr.strip().splitlines()[-1]
    assert str(port) in last and "in use" in last.lower()


def test_listens_on_loopback_only(agent):
    inodes = set()
    for link in os.listdir(f"/proc/{agent.proc.pid}/fd"):
        try:
            target = os.readlink(f"/proc/{agent.proc.pid}/fd/{link}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    for table in ("tcp", "udp", "tcp6", "udp6"):
        with open("/proc/net/" + table) as f:
            for line in f.read().splitlines()[1:]:
                words = line.split()
                if words[9] in inodes:
                    address = words[1].split(":")[0]
                    assert address == "0100007F", (table, words[1])


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_an_orderly_stop(agents, sig):
    a = agents()
    answers = []
    index = a.get("/v1/catalog/nodes").index
    waiting = threading.Thread(target=lambda: answers.append(
        a.get(f"/v1/catalog/nodes?index={index}&wait=60s", timeout=30)))
    waiting.start()
    wait_until("it waits", lambda: a.get("/v1/status/leader").status == 200)
    assert a.stop(sig) == 0
    waiting.join(15)
    assert not answers or answers[0].status == 200
    with pytest.raises(OSError):
        a.get("/v1/status/leader")


def test_a_stop_signal_again_and_again(agents, tmp_path):
    """None of them finds a moment in which it ends the process where it stands."""
    for _ in range(5):
        a = agents()
        while a.proc.poll() is None:
            a.proc.send_signal(signal.SIGTERM)
            time.sleep(0.0001)
        assert a.stop() == 0


def test_registrations_are_back_after_a_restart(agents, tmp_path):
    a = agents("-data-dir", str(tmp_path / "data"), "-server", "-bootstrap", "-bind",
               "127.0.0.1", dev=False)
    assert a.put("/v1/agent/service/register", {
        "Name": "web", "Port": 80, "Tags": ["a"], "Check": {"TTL": "60s"}}).status == 200
    assert a.put("/v1/agent/check/pass/service:web?note=fine").status == 200
    assert a.put("/v1/catalog/register", {
        "Node": "ext", "Address": "192.0.2.7",
        "Service": {"Service": "db", "Port": 5432}}).text.strip() == "true"
    me = a.get("/v1/agent/self").json["Config"]["NodeID"]
    index = a.get("/v1/catalog/services").index
    for end in (signal.SIGTERM, signal.SIGKILL):
        a.proc.send_signal(end)
        a.proc.wait(20)
        a.start()
        assert a.services()["web"]["Tags"] == ["a"]
        check = a.get("/v1/agent/checks").json["service:web"]
        assert (check["Status"], check["Output"]) == ("passing", "fine")
        assert a.get("/v1/catalog/service/db").json[0]["Node"] == "ext"
        assert a.get("/v1/agent/self").json["Config"]["NodeID"] == me
        again = a.get("/v1/catalog/services").index
        assert again > index
        index = again


def test_two_agents_do_not_share_a_folder(agents, tmp_path):
    folder = str(tmp_path / "data")
    flags = ("-data-dir", folder, "-server", "-bootstrap", "-bind", "127.0.0.1")
    agents(*flags, dev=False)
    out = run("agent", *flags, "-docker", "off", "-http-port", str(free_port()), "-dns-port",
              str(free_port()))
    assert out.returncode != 0 and folder in out.stderr


def test_sighup_reloads(agents, tmp_path):
    path = tmp_path / "muster.json"
    path.write_text('{"node_meta": {"rack": "r1"}}')
    a = agents("-config-file", str(path))

    def rack():
        return a.get("/v1/catalog/node/n1").json["Node"]["Meta"].get("rack")
    assert rack() == "r1"
    path.write_text('{"node_meta": {"rack": "r2"}}')
    a.proc.send_signal(signal.SIGHUP)
    wait_until("reloaded", lambda: rack() == "r2")
    path.write_text('{"nonsense": ')
    a.proc.send_signal(signal.SIGHUP)
    wait_until("complaint", lambda: str(path) in a.log())
    assert rack() == "r2" and a.proc.poll() is None
