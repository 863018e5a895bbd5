"""Servers that keep keys together, as processes: they find each other and found one cluster, outlive
each other, restarts, new addresses and lost disks, and talk to nobody who is no agent of the pool.
"""
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness import MUSTER, WRAP, free_port, wait_until
from pool_harness import Pool, loopback, new_key

WRITES_AGAIN = 3.0  # seconds after the leader was killed


class Cluster(Pool):
    """Three servers (n1 …), perhaps other agents behind them."""

    def server(self, *flags, **kw):
        kw.setdefault("server", 3)
        kw.setdefault("join", [self.address(i) for i in range(3)])
        return self.add("-retry-interval", "1s", *flags, **kw)

    def servers(self, *flags, **kw):
        made = [self.server(*flags, **kw) for _ in range(3)]
        for a in made:
            a.start(wait=False)
        return made

    def formed(self, seconds=15.0):
        self.wait_all("there is a leader", leader_of, seconds=seconds)
        return self

    def leader(self):
        """The server that the living agree on."""
        def agreed():
            seen = {leader_of(a) for a in self.living()}
            return len(seen) == 1 and seen.pop()
        address = wait_until("all agree on a leader", agreed, 15)
        return next(a for a in self.living() if f"{a.address}:{a.server_port}" == address)


def leader_of(agent):
    try:
        return agent.get("/v1/status/leader").json
    except OSError:
        return ""


def put(agent, key, value):
    """True: acknowledged."""
    try:
        r = agent.put(f"/v1/kv/{key}", value, timeout=5)
    except OSError:
        return False
    return r.status == 200 and r.json is True


def put_soon(agent, key, value, seconds=10.0):
    wait_until(f"{agent.name} writes {key}", lambda: put(agent, key, value), seconds)


def value(agent, key, how=""):
    r = agent.get(f"/v1/kv/{key}{how}")
    return base64.b64decode(r.json[0]["Value"]).decode() if r.status == 200 else r.status


def answers(agent):
    """Its API is there, whatever it knows."""
    try:
        return agent.get("/v1/agent/self").status == 200
    except OSError:
        return False


def raft_log(agent):
    return os.path.join(agent.data, "raft")


@pytest.fixture
def cluster(tmp_path):
    c = Cluster(tmp_path)
    yield c
    c.stop()


def test_three_servers_found_one_cluster_and_keep_it(cluster):
    began = time.monotonic()
    a, b, c = cluster.servers()
    put_soon(b, "first", "1")
    print(f"first write after {time.monotonic() - began:.2f} s")
    for s in (a, b, c):
        wait_until("it is everywhere", lambda s=s: value(s, "first") == "1")
        assert value(s, "first", "?consistent") == "1"
        assert len(s.get("/v1/status/peers").json) == 3
    assert cluster.leader() in (a, b, c)
    clusters = {line.split("cluster=")[1].split()[0] for s in (a, b, c)
                for line in s.log().splitlines() if "founding cluster=" in line}
    assert len(clusters) == 1


def test_one_that_is_late_is_waited_for(cluster):
    a, b = cluster.server(), cluster.server()
    a.start(wait=False), b.start(wait=False)
    cluster.wait_complete([a, b])
    time.sleep(2)
    r = a.put("/v1/kv/early", "1")
    assert r.status == 500 and "No cluster leader" in r.text
    late = cluster.server().start()
    put_soon(late, "early", "2", 15)
    assert value(a, "early") == "2"


def test_writes_go_on_when_the_leader_is_killed(cluster):
    cluster.servers()
    put_soon(cluster.agents[0], "before", "1")
    times = []
    for n in range(3):
        old = cluster.leader()
        others = [a for a in cluster.living() if a is not old]
        old.kill()
        began = time.monotonic()
        put_soon(others[0], f"after-{n}", "x", WRITES_AGAIN * 2)
        times.append(time.monotonic() - began)
        put_soon(others[1], f"other-{n}", "x", 5)
        old.start()
        wait_until("it has caught up", lambda: value(old, f"other-{n}", "?stale") == "x")
        cluster.formed()
    print("writes again after", ", ".join(f"{t:.2f} s" for t in times))
    assert max(times) <= WRITES_AGAIN


def test_all_stop_and_return_with_new_addresses(cluster):
    cluster.servers()
    for n in range(20):
        put_soon(cluster.agents[n % 3], f"k{n}", str(n))
    index = cluster.agents[0].get("/v1/kv/k19").json[0]["ModifyIndex"]
    for a in cluster.agents:
        assert a.stop() == 0
    fresh = [loopback(101 + i) for i in range(3)]
    for a, address in zip(cluster.agents, fresh):
        a.address, a.retry_join = address, fresh
        a.start(wait=False)
    for a in cluster.agents:
        wait_until("a leader", lambda a=a: leader_of(a), 20)
        for n in range(20):
            assert value(a, f"k{n}") == str(n)
    put_soon(cluster.agents[0], "more", "1")
    assert cluster.agents[1].get("/v1/kv/more").json[0]["ModifyIndex"] > index
    assert len(cluster.agents[0].get("/v1/status/peers").json) == 3


def test_all_killed_at_once_lose_nothing(cluster):
    servers = cluster.servers()
    put_soon(servers[0], "start", "1")
    acknowledged = [n for n in range(200) if put(servers[n % 3], f"k{n}", str(n))]
    assert len(acknowledged) > 150
    for a in servers:
        a.kill()
    for a in servers:
        a.start(wait=False)
    cluster.formed(20)
    for n in acknowledged:
        assert value(servers[(n + 1) % 3], f"k{n}") == str(n)


def test_a_rolling_restart_fails_no_stale_read(cluster):
    servers = cluster.servers()
    client = cluster.add("-retry-interval", "1s", join=[a.address for a in servers],
                         server=False).start()
    put_soon(servers[0], "k", "0")
    wait_until("stale everywhere", lambda: all(value(a, "k", "?stale") == "0" for a in servers))
    for n, a in enumerate(servers):
        others = [s for s in servers if s is not a]
        assert a.stop() == 0
        for s in others:
            assert value(s, "k", "?stale") == str(n)
        put_soon(others[0], "k", str(n + 1))
        a.start()
        wait_until("it has caught up", lambda: value(a, "k", "?stale") == str(n + 1))
        wait_until("the others too", lambda: all(
            value(s, "k", "?stale") == str(n + 1) for s in servers))
        put_soon(client, "client", str(n))
    assert value(client, "k") == "3"


def test_a_stop_hands_the_leadership_over(cluster):
    cluster.servers()
    put_soon(cluster.agents[0], "k", "1")
    old = cluster.leader()
    other = next(a for a in cluster.agents if a is not old)
    assert old.stop() == 0
    began = time.monotonic()
    put_soon(other, "k", "2")
    took = time.monotonic() - began
    print(f"writes after a stop: {took:.2f} s")
    assert took < 1.0


def test_a_wiped_server_is_taken_in_by_a_snapshot(cluster):
    servers = cluster.servers()
    put_soon(servers[0], "first", "1")
    blob = "x" * 400000
    for n in range(200):  # more than one snapshot's worth: 64 MiB
        put_soon(servers[0], f"big/{n % 8}", f"{n:06d}{blob}")
    leader = cluster.leader()
    wait_until("there is a snapshot", lambda: any(
        f.startswith("snapshot-0") for f in os.listdir(raft_log(leader))), 30)
    lost = next(a for a in servers if a is not leader)
    lost.kill()
    shutil.rmtree(raft_log(lost))
    lost.start()
    wait_until("it holds all again", lambda: value(lost, "big/7", "?stale") == f"{199:06d}{blob}",
               30)
    assert value(lost, "first", "?stale") == "1"
    assert any(f.startswith("snapshot-0") for f in os.listdir(raft_log(lost)))
    put_soon(servers[0], "after", "1")
    lost.kill()
    lost.start()
    wait_until("and after a restart", lambda: value(lost, "after", "?stale") == "1", 20)


def test_damage_keeps_a_server_out_of_raft_and_in_the_pool(cluster):
    servers = cluster.servers()
    for n in range(5):
        put_soon(servers[0], f"k{n}", "x")
    hurt = next(a for a in servers if a is not cluster.leader())
    assert hurt.stop() == 0
    log = os.path.join(raft_log(hurt), "log-0000000000000001")
    with open(log, "r+b") as f:
        f.seek(512 + 40 + 4)
        f.write(b"damage")
    hurt.start()
    assert hurt.log_has("error", "raft", "log-0000000000000001", "offset 512")
    put_soon(hurt, "k9", "by another")  # it asks, as any other agent
    assert value(hurt, "k9") == "by another"


@pytest.fixture
def small_disk(tmp_path):
    """A folder of 17 MiB: the log's first two files fit, a third does not."""
    at = tmp_path / "small"
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=17M", "tmpfs", str(at)], check=True)
    yield str(at)
    subprocess.run(["umount", "-l", str(at)], check=True)


def fill(agent, blob):
    """Writes until one is not taken. How many were, and what the one after them was told."""
    for n in range(100):
        try:
            r = agent.put(f"/v1/kv/k{n}", f"{n:04d}{blob}", timeout=15)
        except OSError:
            continue  # not answered: not counted
        if r.status != 200:
            return n, r
    raise AssertionError("the disk is not full")


def test_a_full_disk_is_said_and_outlived(cluster, small_disk):
    blob = "x" * 400000
    a = cluster.add(server=True)
    a.data = small_disk
    a.start()
    put_soon(a, "first", "1")
    acknowledged, refused = fill(a, blob)
    assert refused.status == 500 and "No space left on device" in refused.text, refused.text
    wait_until("it is told", lambda: a.log_has("error", "raft", "No space left on device"))
    began = time.monotonic()
    r = a.put("/v1/kv/more", "x")
    assert r.status == 500 and "No space left on device" in r.text
    assert time.monotonic() - began < 1
    assert value(a, "first") == "1"  # reads go on
    subprocess.run(["mount", "-o", "remount,size=60M", small_disk], check=True)
    put_soon(a, "more", "2")
    assert a.log_has("info", "raft", "can be written again")
    assert len([line for line in a.log().splitlines() if "the log cannot be written" in line]) == 1
    a.kill()
    a.start()
    put_soon(a, "last", "3")
    for n in range(acknowledged):
        assert value(a, f"k{n}") == f"{n:04d}{blob}"
    assert value(a, "more") == "2"
    assert a.stop() == 0


def test_a_full_disk_of_one_lets_the_others_go_on(cluster, small_disk):
    blob = "x" * 400000
    servers = [cluster.server() for _ in range(3)]
    servers[1].data = small_disk
    for a in servers:
        a.start(wait=False)
    for n in range(60):
        put_soon(servers[0], f"k{n}", f"{n:04d}{blob}")
    wait_until("it is told", lambda: servers[1].log_has("error", "raft", "No space left"), 20)
    put_soon(servers[0], "more", "1")
    subprocess.run(["mount", "-o", "remount,size=200M", small_disk], check=True)
    wait_until("it has caught up", lambda: value(servers[1], "more", "?stale") == "1", 20)
    assert value(servers[1], "k59", "?stale") == f"{59:04d}{blob}"
    for a in servers:
        assert a.stop() == 0


def test_a_lost_quorum_is_recovered_by_peers_json(cluster):
    servers = cluster.servers()
    put_soon(servers[0], "k", "1")
    left, *gone = servers
    wait_until("it is there", lambda: value(left, "k", "?stale") == "1")
    for a in gone:
        a.kill()
    wait_until("there is no leader", lambda: left.put("/v1/kv/k", "2").status == 500, 20)
    assert value(left, "k", "?stale") == "1"
    ident = left.id()
    assert left.stop() == 0
    peers = os.path.join(raft_log(left), "peers.json")
    with open(peers, "w") as f:
        json.dump([{"id": ident, "address": left.address + ":8300"}], f)
    left.start()
    put_soon(left, "k", "3", 20)
    assert value(left, "k") == "3"
    assert not os.path.exists(peers) and os.path.exists(peers + ".used")


def test_agents_without_a_key_or_with_another_stay_outside(cluster):
    key = new_key()
    servers = cluster.servers("-encrypt", key)
    put_soon(servers[0], "k", "1")
    target = servers[0]
    with socket.create_connection((target.address, target.server_port), timeout=10) as s:
        s.sendall(b"muS1" + bytes(200))
        s.settimeout(10)
        assert s.recv(100) == b""
    wait_until("it is told", lambda: target.log_has("server port: refused"))
    put_soon(servers[1], "k", "2")
    for flags in (["-encrypt", new_key()], []):
        other = cluster.add("-retry-interval", "1s", *flags, join=[target.address],
                            server=False).start(wait=False)
        wait_until("it runs", lambda: answers(other), 10)
        assert not put(other, "k", "3")
        assert list(other.members()) == [other.name]
        assert other.stop() == 0
    assert value(target, "k") == "2"


def test_without_a_key_strangers_are_refused_by_their_address(cluster):
    servers = cluster.servers()
    put_soon(servers[0], "k", "1")
    target = servers[0]
    with socket.create_connection((target.address, target.server_port), timeout=10,
                                  source_address=(loopback(250), 0)) as s:
        s.settimeout(10)
        assert s.recv(100) == b""
    wait_until("it is told", lambda: target.log_has("server port: refused", "no member's address"))


def test_a_server_port_in_use_is_said(tmp_path):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        out = subprocess.run(
            [*WRAP, MUSTER, "agent", "-dev", "-docker", "off", "-http-port", str(free_port()),
             "-dns-port", str(free_port()), "-serf-lan-port", str(free_port()),
             "-server-port", str(port)], capture_output=True, text=True, timeout=60)
    assert out.returncode == 1
    assert f"server port: cannot bind TCP 127.0.0.1:{port}" in out.stderr


def test_a_leader_that_sleeps_a_minute_leads_no_more(cluster):
    cluster.servers()
    put_soon(cluster.agents[0], "k", "1")
    old = cluster.leader()
    others = [a for a in cluster.agents if a is not old]
    old.proc.send_signal(signal.SIGSTOP)
    try:
        put_soon(others[0], "k", "2", 10)
        time.sleep(10 if not os.environ.get("SOAK") else 60)
    finally:
        old.proc.send_signal(signal.SIGCONT)
    # whatever it answers by default is what is true
    wait_until("it answers again", lambda: leader_of(old), 20)
    assert value(old, "k", "?consistent") == "2"
    put_soon(old, "k", "3")
    assert all(value(a, "k", "?consistent") == "3" for a in cluster.agents)
