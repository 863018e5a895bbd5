"""Keys, sessions, locks and transactions as real clients use them: every call that was seen on the
wire from Docker, Swarm, registrator, libkv, Traefik, consul-template, fabio and Patroni, and the
clients of python and node themselves.
"""
import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest

from harness import TOP, wait_until

LOCK_FLAGS = 3304740253564472344        # of the Go client's locks
SEMAPHORE_FLAGS = 16210313421097356768  # of its semaphores: above 2^63
GONE = "00000000-0000-0000-0000-00000000abcd"


@pytest.fixture
def quick(agents, tmp_path):
    """An agent that allows sessions of a second."""
    path = tmp_path / "quick.json"
    path.write_text('{"session_ttl_min": "500ms"}')
    return agents("-config-file", str(path))


def session(agent, **body):
    r = agent.put("/v1/session/create", body)
    assert r.status == 200, r.text
    return r.json["ID"]


def value(entry):
    return base64.b64decode(entry["Value"]) if entry["Value"] is not None else b""


class Blocked:
    """A query that is held open, in a thread of its own."""

    def __init__(self, agent, path, timeout=60):
        self.answer = self.seconds = self.error = None
        self.thread = threading.Thread(target=self.ask, args=(agent, path, timeout))
        self.thread.start()

    def ask(self, agent, path, timeout):
        begun = time.monotonic()
        try:
            self.answer = agent.get(path, timeout=timeout)
        except OSError as e:
            self.error = e
        self.seconds = time.monotonic() - begun

    def result(self, seconds=60):
        self.thread.join(seconds)
        assert self.answer is not None, f"no answer: {self.error}"
        return self.answer


def parked(agent):
    """How many queries the agent holds open."""
    return int(agent.get("/v1/agent/self").json["Stats"]["muster"]["waiting_queries"])


# ---- Docker and Swarm ----

def test_dockerds_registration_and_heartbeat(agent):
    key = "/v1/kv/docker/nodes/10.1.2.3:2376"
    flags = f"flags={LOCK_FLAGS}"
    r = agent.get(key)
    assert r.status == 404 and r.body == b"" and r.index > 0
    s = session(agent, Behavior="delete", LockDelay="1ms", TTL="30s")
    assert agent.get(key + "?wait=15000ms").status == 404  # a wait without an index
    assert agent.put(f"{key}?acquire={s}&{flags}").json is True
    held = agent.get(key + "?consistent=")
    assert held.json[0]["LockIndex"] == 1 and held.json[0]["Session"] == s
    assert held.json[0]["Flags"] == LOCK_FLAGS and held.json[0]["Value"] is None
    watch = Blocked(agent, f"{key}?consistent=&index={held.index}")
    for _ in range(3):  # heartbeats: an ordinary write to a held key
        assert agent.get(key).json[0]["Session"] == s
        renewed = agent.put(f"/v1/session/renew/{s}")
        assert renewed.status == 200 and renewed.json[0]["TTL"] == "30s"
        assert agent.put(f"{key}?{flags}", "10.1.2.3:2376").json is True
    got = watch.result().json[0]
    assert (got["LockIndex"], got["Session"], got["Flags"]) == (0, s, LOCK_FLAGS)
    assert value(got) == b"10.1.2.3:2376"
    index = agent.get(key).index
    watch = Blocked(agent, f"{key}?consistent=&index={index}")
    assert agent.put(f"/v1/session/destroy/{s}").json is True
    assert watch.result().status == 404 and watch.answer.index > index


def test_the_list_of_daemons(agent):
    path = "/v1/kv/docker/nodes"
    assert agent.get(path + "?consistent=").status == 404
    assert agent.put(f"{path}?flags={LOCK_FLAGS}").json is True
    first = agent.get(path + "?recurse=&wait=15000ms")
    assert [e["Key"] for e in first.json] == ["docker/nodes"] and first.json[0]["Value"] is None
    watch = Blocked(agent, f"{path}?index={first.index}&recurse=&wait=15000ms")
    agent.put("/v1/kv/other/thing", "x")  # is not waited for
    agent.put("/v1/kv/docker/nodes/10.0.0.1:2376", "10.0.0.1:2376")
    r = watch.result()
    assert [e["Key"] for e in r.json] == ["docker/nodes", "docker/nodes/10.0.0.1:2376"]
    same = agent.get(f"{path}?index={r.index}&recurse=&wait=300ms")
    assert same.index == r.index and same.json == r.json


def test_overlay_networks_compare_and_set(agent):
    top = "/v1/kv/docker/network/v1.0/"
    subnet = top + "ipam/default/data/GlobalDefault/10.0.9.0/24/"  # slashes are part of the key
    flags = f"flags={LOCK_FLAGS}"
    assert agent.get(top + "network/?consistent=").status == 404
    assert agent.put(f"{top}network/?{flags}").json is True
    assert agent.put(f"{subnet}?cas=0&{flags}", '{"a":1}').json is True
    assert agent.put(f"{subnet}?cas=0&{flags}", '{"a":2}').json is False
    n = agent.get(subnet + "?consistent=").json[0]["ModifyIndex"]
    assert agent.put(f"{subnet}?cas={n}&{flags}", '{"a":3}').json is True
    assert agent.put(f"{subnet}?cas={n}&{flags}", '{"a":4}').json is False
    entry = agent.get(subnet + "?consistent=").json[0]
    assert value(entry) == b'{"a":3}' and entry["Flags"] == LOCK_FLAGS
    assert agent.request("DELETE", f"{subnet}?cas={n}").json is False
    assert agent.request("DELETE", f"{subnet}?cas={entry['ModifyIndex']}").json is True
    one = "ab" * 32
    assert agent.put(f"{top}network/{one}/?cas=0&{flags}", "{}").json is True
    assert [e["Key"] for e in agent.get(top + "network/?recurse=").json] == [
        "docker/network/v1.0/network/", f"docker/network/v1.0/network/{one}/"]
    count = f"{top}endpoint_count/{one}/"
    assert agent.put(f"{count}?cas=0&{flags}", '{"Count":0}').json is True
    index = agent.get(count + "?wait=15000ms").index
    watch = Blocked(agent, f"{count}?index={index}&wait=15000ms")
    assert agent.put(f"{count}?cas={index}&{flags}", '{"Count":3}').json is True
    assert value(watch.result().json[0]) == b'{"Count":3}'


def test_swarms_leader_is_replaced_when_its_session_runs_out(agent):
    """A TTL of ten seconds: not before it, at the latest after twice that."""
    key, flags = "/v1/kv/SWARM/docker/swarm/leader", f"flags={LOCK_FLAGS}"
    body = {"Behavior": "release", "LockDelay": "1ms", "TTL": "10s"}
    first, second = session(agent, **body), session(agent, **body)
    assert agent.put(f"{key}?acquire={first}&{flags}", "10.0.0.1:4000").json is True
    assert agent.put(f"{key}?acquire={second}&{flags}", "10.0.0.2:4000").json is False
    assert agent.put(f"/v1/session/renew/{first}").status == 200
    renewed = time.monotonic()
    before = agent.get(key + "?wait=15000ms")
    watches = [Blocked(agent, f"{key}?index={before.index}&wait=40000ms"),
               Blocked(agent, f"{key}?consistent=&index={before.index}")]
    stop = threading.Event()

    def keep():  # the candidate stays
        while not stop.wait(3):
            agent.put(f"/v1/session/renew/{second}")
    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        after = watches[0].result()
        ended = time.monotonic() - renewed
        assert 10 <= ended <= 20, ended
        entry = after.json[0]
        assert "Session" not in entry and value(entry) == b"10.0.0.1:4000"
        assert entry["LockIndex"] == 1 and entry["ModifyIndex"] > before.json[0]["ModifyIndex"]
        assert watches[1].result(5).index == after.index
        wait_until("the second leads",
                   lambda: agent.put(f"{key}?acquire={second}&{flags}", "10.0.0.2:4000").json, 6)
        entry = agent.get(key + "?consistent=").json[0]
        assert entry["LockIndex"] == 2 and entry["Session"] == second
        assert agent.put(f"/v1/session/renew/{first}").status == 404
        assert agent.get(f"/v1/session/info/{first}").json == []
    finally:
        stop.set()
        keeper.join()


def test_sessions_end_between_once_and_twice_their_ttl(quick):
    """Many at once, of short TTLs; renewed ones live on."""
    begun, sessions = {}, {}
    for i in range(20):
        ttl = 1.0 + i * 0.1
        at = time.monotonic()
        s = session(quick, TTL=f"{ttl:.1f}s", LockDelay="0s", Behavior="delete")
        quick.put(f"/v1/kv/e/{i:02}?acquire={s}", "x")
        begun[s], sessions[s] = at, (i, ttl)
    kept = session(quick, TTL="1s", LockDelay="0s")
    quick.put(f"/v1/kv/kept?acquire={kept}", "x")
    while sessions:
        assert quick.put(f"/v1/session/renew/{kept}").status == 200
        for s in list(sessions):
            i, ttl = sessions[s]
            asked = time.monotonic()
            there = quick.get(f"/v1/session/info/{s}").json != []
            if asked - begun[s] < ttl:
                answered = time.monotonic()
                assert there or answered - begun[s] >= ttl, (ttl, asked - begun[s])
            assert not there or asked - begun[s] <= 2 * ttl + 0.2, (ttl, asked - begun[s])
            if not there:
                assert quick.get(f"/v1/kv/e/{i:02}").status == 404  # it went with its session
                del sessions[s]
        time.sleep(0.05)
    assert quick.get("/v1/kv/kept").json[0]["Session"] == kept


# ---- libkv, registrator, Traefik, fabio, consul-template, Patroni ----

def test_registrators_keys(agent):
    assert agent.get("/v1/status/leader").json
    assert agent.put("/v1/kv/svc/web/host1:web:80:udp", "10.9.3.1:80").json is True
    assert agent.get("/v1/kv/svc/?recurse").json[0]["Key"] == "svc/web/host1:web:80:udp"
    assert agent.request("DELETE", "/v1/kv/svc/web/host1:web:80:udp").json is True


def test_waits_where_they_mean_nothing(agent):
    """libkv and Traefik send wait with every call."""
    w = "wait=30000ms"
    s = agent.put("/v1/session/create?" + w, {"Behavior": "release", "TTL": "20s"}).json["ID"]
    begun = time.monotonic()
    assert agent.put(f"/v1/kv/traefik/leader?acquire={s}&flags=0&{w}", "me").json is True
    assert agent.put(f"/v1/session/renew/{s}?{w}").status == 200
    assert agent.get(f"/v1/kv/traefik/leader?consistent&{w}").json[0]["Session"] == s
    assert agent.get(f"/v1/kv/traefik/?consistent&recurse&{w}").status == 200
    assert agent.get(f"/v1/kv/traefik?recurse&{w}").status == 200
    assert agent.put(f"/v1/kv/traefik/leader?release={s}&{w}", "me").json is True
    assert agent.request("DELETE", f"/v1/kv/traefik?recurse&{w}").json is True
    assert agent.put(f"/v1/session/destroy/{s}?{w}").json is True
    assert time.monotonic() - begun < 10


def test_ephemeral_keys_and_many_renewals(agent):
    s = session(agent, Behavior="delete", LockDelay="1ms", TTL="10s")
    assert agent.put(f"/v1/kv/eph?acquire={s}&flags=0", "node").json is True
    for _ in range(300):
        assert agent.put(f"/v1/session/renew/{s}").status == 200
    assert agent.get("/v1/kv/eph").json[0]["Session"] == s
    agent.put(f"/v1/session/destroy/{s}")
    assert agent.get("/v1/kv/eph").status == 404


def test_a_missing_prefix_has_a_steady_index(agent):
    """fabio and consul-template spin otherwise."""
    first = agent.get("/v1/kv/fabio/config?consistent=&recurse=")
    assert first.status == 404
    for i in range(5):
        agent.put(f"/v1/kv/elsewhere/{i}", "x")
    again = agent.get(
        f"/v1/kv/fabio/config?consistent=&recurse=&index={first.index}&wait=200ms")
    assert again.status == 404 and again.index == first.index
    watch = Blocked(agent, f"/v1/kv/fabio/config?recurse=&index={first.index}")
    agent.put("/v1/kv/fabio/config", "route add x / http://1.2.3.4/")
    assert watch.result().index > first.index


def test_consul_templates_deduplication(agent):
    s = session(agent, Name="Consul-Template de-duplication", Behavior="delete", TTL="15s",
                LockDelay="15s")
    key = "/v1/kv/consul-template/dedup/0123/data"
    assert agent.put(f"{key}?acquire={s}&flags={LOCK_FLAGS}").json is True
    data = bytes(range(256)) * 40
    assert agent.put(f"{key}?flags={LOCK_FLAGS}", data).json is True
    for mode in ("stale=", "consistent="):
        entry = agent.get(f"{key}?{mode}").json[0]
        assert entry["Session"] == s and value(entry) == data
    assert agent.get(key + "?raw").body == data


def test_patronis_calls(agent):
    top = "/v1/kv/service/batman/"
    s = agent.put("/v1/session/create", {"name": "batman-pg1", "checks": [],
                                         "lockdelay": "0.001s", "behavior": "delete",
                                         "ttl": "10.0s"}).json["ID"]
    info = agent.get(f"/v1/session/info/{s}").json[0]
    assert info["TTL"] == "10.0s" and info["LockDelay"] == 1000000 and info["NodeChecks"] == []
    assert agent.put(top + "initialize?cas=0", "1").json is True
    assert agent.put(top + "initialize?cas=0", "2").json is False
    for content in ("a", "b", "b"):
        assert agent.put(f"{top}members/pg1?acquire={s}", content).json is True
    assert agent.put(f"{top}leader?acquire={s}", "pg1").json is True
    assert agent.put(top + "status", '{"optime":1}').json is True
    state = {e["Key"]: e for e in agent.get(top + "?recurse=1").json}
    assert state["service/batman/leader"]["Session"] == s
    leader = state["service/batman/leader"]["ModifyIndex"]
    watch = Blocked(agent, f"{top}leader?index={leader}&wait=1.9876543210987654s")
    assert watch.result().index == leader and 1.9 < watch.seconds < 4
    assert agent.put(f"/v1/session/renew/{GONE}").status == 404
    r = agent.put(f"{top}leader?acquire={GONE}", "pg2")
    assert r.status == 500 and "invalid session" in r.text
    assert agent.put("/v1/session/create", {"ttl": "5s"}).text.startswith("Invalid Session TTL")
    assert agent.get("/v1/agent/self").json["DebugConfig"]["SessionTTLMin"] == "10s"
    assert agent.request("DELETE", f"{top}leader?cas={leader - 1}").json is False
    assert agent.request("DELETE", f"{top}leader?cas={leader}").json is True
    agent.put(f"/v1/session/destroy/{s}")
    assert agent.get(top + "members/pg1").status == 404


# ---- the Go client's recipes ----

def test_the_go_clients_lock(agent):
    s = session(agent, Name="Consul API Lock", TTL="15s")
    key, flags = "/v1/kv/app/lock", f"flags={LOCK_FLAGS}"
    assert agent.put(f"{key}?acquire={s}&{flags}", "who").json is True
    held = agent.get(key + "?consistent=")
    token = held.json[0]["ModifyIndex"]  # the fencing token
    watch = Blocked(agent, f"{key}?consistent=&index={held.index}")
    assert agent.put(f"{key}?release={s}&{flags}", "who").json is True
    assert "Session" not in watch.result().json[0]
    other = session(agent, LockDelay="0s")
    assert agent.put(f"{key}?acquire={other}&{flags}", "next").json is True
    assert agent.get(key).json[0]["ModifyIndex"] > token
    assert agent.get(key).json[0]["LockIndex"] == 2
    assert agent.put(key, "stranger").json is True  # anybody may write: only LockIndex falls
    entry = agent.get(key).json[0]
    assert entry["LockIndex"] == 0 and entry["Session"] == other


def test_the_go_clients_semaphore(agent):
    s = session(agent, Name="Consul API Semaphore", TTL="15s", Behavior="delete", LockDelay="0s")
    top = "/v1/kv/app/sem/"
    assert agent.put(f"{top}{s}?acquire={s}&flags={SEMAPHORE_FLAGS}", "x").json is True
    holders = json.dumps({"Limit": 2, "Holders": {s: True}})
    assert agent.put(f"{top}.lock?cas=0&flags={SEMAPHORE_FLAGS}", holders).json is True
    r = agent.get(top + "?recurse")
    assert [e["Flags"] for e in r.json] == [SEMAPHORE_FLAGS] * 2
    agent.put(f"/v1/session/destroy/{s}")
    assert agent.get(top + "?keys").json == ["app/sem/.lock"]


def test_flags_have_all_64_bits(agent):
    for n in (0, 1, 2 ** 53 + 1, LOCK_FLAGS, 2 ** 63, SEMAPHORE_FLAGS, 2 ** 64 - 1):
        assert agent.put(f"/v1/kv/f?flags={n}", "x").json is True
        assert agent.get("/v1/kv/f").json[0]["Flags"] == n
        r = agent.put("/v1/txn", [{"KV": {"Verb": "set", "Key": "g", "Flags": n, "Value": "eA=="}},
                                  {"KV": {"Verb": "get", "Key": "g"}}])
        assert [e["KV"]["Flags"] for e in r.json["Results"]] == [n, n]
    assert agent.put(f"/v1/kv/f?flags={2 ** 64}", "x").status == 500


def test_keys_and_values_of_any_bytes(agent):
    for key in (b"plain", b"a b+c%", b"\x00\x01\xff", "été/日".encode(), b"q?&=#", b"end/"):
        path = "/v1/kv/" + urllib.parse.quote(key, safe="/")
        data = key * 3 + bytes(range(256))
        assert agent.put(path, data).json is True
        assert agent.get(path + "?raw").body == data
        assert agent.request("DELETE", path).json is True
    assert agent.put("/v1/kv/big", b"x" * 512 * 1024).json is True
    assert len(agent.get("/v1/kv/big?raw").body) == 512 * 1024
    r = agent.put("/v1/kv/big", b"x" * (512 * 1024 + 1))
    assert r.status == 413 and r.text.startswith(
        "Request body(524289 bytes) too large, max size: 524288 bytes.")


def test_the_whole_store(agent):
    assert agent.get("/v1/kv/").status == 400
    assert agent.get("/v1/kv/?keys=true").json == []
    for k in ("a", "b/c", "b/d", "e"):
        agent.put("/v1/kv/" + k, k)
    assert agent.get("/v1/kv/?keys=true").json == ["a", "b/c", "b/d", "e"]
    assert agent.get("/v1/kv/?keys&separator=%2F").json == ["a", "b/", "e"]
    assert len(agent.get("/v1/kv/?recurse=true").json) == 4
    assert agent.request("DELETE", "/v1/kv/?recurse=true").json is True
    assert agent.get("/v1/kv/?keys=true").json == []


def test_consistency_is_said_and_true(agent):
    agent.put("/v1/kv/a", "x")
    for mode, word in (("", "leader"), ("?consistent", "consistent"), ("?stale", "stale")):
        h = agent.get("/v1/kv/a" + mode).headers
        assert h["X-Consul-KnownLeader"] == "true" and h["X-Consul-LastContact"] == "0"
        assert h["X-Consul-Effective-Consistency"] == word
    assert agent.get("/v1/kv/a?stale&consistent").status == 400


# ---- waiting ----

def test_only_those_wake_who_read_it(agent):
    agent.put("/v1/kv/a/1", "x")
    agent.put("/v1/kv/b/1", "x")
    a, b = agent.get("/v1/kv/a/?recurse").index, agent.get("/v1/kv/b/1").index
    on_a = [Blocked(agent, f"/v1/kv/a/?recurse&index={a}") for _ in range(20)]
    on_b = [Blocked(agent, f"/v1/kv/b/1?index={b}") for _ in range(20)]
    wait_until("all wait", lambda: parked(agent) == 40)
    agent.put("/v1/kv/a/2", "x")
    for q in on_a:
        assert len(q.result(10).json) == 2
    wait_until("the others wait on", lambda: parked(agent) == 20)
    agent.request("DELETE", "/v1/kv/b/?recurse")
    for q in on_b:
        assert q.result(10).status == 404


def test_a_client_that_goes_ends_its_wait(agent):
    agent.put("/v1/kv/a", "x")
    index = agent.get("/v1/kv/a").index
    socks = []
    for _ in range(50):
        s = socket.create_connection(("127.0.0.1", agent.http_port))
        s.sendall(f"GET /v1/kv/a?index={index} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        socks.append(s)
    wait_until("all wait", lambda: parked(agent) == 50)
    for s in socks:
        s.close()
    wait_until("none waits", lambda: parked(agent) == 0)


def test_pipelined_writes_and_reads_are_answered_in_order(agent):
    with contextlib.closing(socket.create_connection(("127.0.0.1", agent.http_port))) as s:
        for i in range(50):
            v = str(i)
            s.sendall((f"PUT /v1/kv/p HTTP/1.1\r\nHost: x\r\nContent-Length: {len(v)}\r\n\r\n{v}"
                       "GET /v1/kv/p?raw HTTP/1.1\r\nHost: x\r\n\r\n").encode())
        s.sendall(b"GET /v1/kv/p HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        while piece := s.recv(65536):
            got += piece
    bodies = [part.split(b"\r\n\r\n", 1)[1] for part in got.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies[0::2][:50] == [b"true"] * 50
    assert bodies[1::2] == [str(i).encode() for i in range(50)]


def test_counting_by_compare_and_set_loses_nothing(agent):
    agent.put("/v1/kv/n", "0")

    def count():
        for _ in range(25):
            while True:
                e = agent.get("/v1/kv/n").json[0]
                n = int(value(e))
                if agent.put(f"/v1/kv/n?cas={e['ModifyIndex']}", str(n + 1)).json:
                    break
    threads = [threading.Thread(target=count) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert agent.get("/v1/kv/n?raw").body == b"200"


# ---- the clients themselves ----

def test_python_consul(agent):
    import consul
    c = consul.Consul(host="127.0.0.1", port=agent.http_port)
    assert c.kv.put("a/b", "one", flags=5, cas=0) is True
    assert c.kv.put("a/b", "two", cas=0) is False
    index, entry = c.kv.get("a/b")
    assert entry["Value"] == b"one" and entry["Flags"] == 5 and "Session" not in entry
    assert c.kv.put("a/b", "two", cas=entry["ModifyIndex"]) is True
    assert c.kv.get("a/none")[1] is None
    assert c.kv.get("a/", keys=True, separator="/")[1] == ["a/b"]
    assert [e["Key"] for e in c.kv.get("a/", recurse=True)[1]] == ["a/b"]
    assert c.kv.get("a/b", consistency="stale")[1]["Value"] == b"two"
    assert c.kv.get("a/b", consistency="consistent")[1]["Value"] == b"two"
    s = c.session.create()
    t = c.session.create(name="t", behavior="delete", ttl=10, lock_delay=0, checks=[])
    assert c.kv.put("lock", "me", acquire=s) is True
    assert c.kv.put("lock", "you", acquire=t) is False
    assert c.kv.get("lock")[1]["Session"] == s
    assert c.session.renew(t)["TTL"] == "10s"
    assert c.session.info(s)[1]["ID"] == s
    assert {x["ID"] for x in c.session.list()[1]} == {s, t}
    assert {x["ID"] for x in c.session.node("n1")[1]} == {s, t}
    assert c.kv.put("lock", "me", release=s) is True
    assert c.kv.put("lock", "you", acquire=t) is True
    assert c.session.destroy(t) is True
    assert c.kv.get("lock")[1] is None  # it was deleted with its session
    with pytest.raises(consul.NotFound):
        c.session.renew(t)
    index = c.kv.get("a/b")[0]
    threading.Timer(0.3, lambda: agent.put("/v1/kv/a/b", "three")).start()
    index, entry = c.kv.get("a/b", index=index, wait="10s")
    assert entry["Value"] == b"three"
    assert c.kv.delete("a/b", cas=1) is False
    assert c.kv.delete("a/", recurse=True) is True
    assert c.kv.get("a/", recurse=True)[1] is None


@pytest.fixture(scope="module")
def npm(tmp_path_factory):
    """A folder with the npm client in it: the present one, and the last one with locks."""
    folder = tmp_path_factory.mktemp("npm")
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.fail("the npm client cannot run: node and npm are not installed "
                    "(script/packages nodejs npm)")
    done = subprocess.run(
        ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--no-save",
         "--ignore-scripts", "consul@2.0.1", "consul-old@npm:consul@0.40.0"],
        capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        pytest.fail("the npm client cannot run: 'npm install consul' has failed, is there a way to "
                    "npm's registry?\n" + done.stdout + done.stderr)
    return folder


@pytest.mark.parametrize("program", ["keys", "lock"])
def test_npm_consul(agent, npm, program):
    env = dict(os.environ, NODE_PATH=str(npm / "node_modules"), PORT=str(agent.http_port))
    done = subprocess.run(
        ["node", os.path.join(TOP, "tests", "system", f"npm_{program}.js")],
        capture_output=True, text=True, timeout=120, env=env, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and done.stdout.endswith("fine\n"), done.stdout + done.stderr
