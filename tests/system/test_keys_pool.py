"""Keys through agents that do not decide about them: followers, and an agent that holds no keys and
carries its clients' requests to a server.
"""
import base64
import threading
import time

import pytest

from harness import wait_until
from pool_harness import servers_and_one
from test_keys import Blocked, LOCK_FLAGS, parked, session, value


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    with servers_and_one(tmp_path_factory.mktemp("keys")) as pool:
        yield pool


@pytest.fixture
def pool(four):
    four.agents[0].request("DELETE", "/v1/kv/?recurse")
    return four


def test_a_write_anywhere_is_read_everywhere(pool):
    """At once, by any agent, whoever took the write."""
    for n in range(40):
        writer = pool.agents[n % 4]
        assert writer.put(f"/v1/kv/a/{n}?flags={LOCK_FLAGS}", str(n)).json is True
        for reader in pool.agents:
            entry = reader.get(f"/v1/kv/a/{n}").json[0]
            assert value(entry) == str(n).encode() and entry["Flags"] == LOCK_FLAGS
    # indexes are the same at all of them
    lists = [a.get("/v1/kv/a/?recurse") for a in pool.agents]
    assert len({r.index for r in lists}) == 1 and len({r.body for r in lists}) == 1


def test_the_carried_answer_is_the_whole_answer(pool):
    server, client = pool.agents[0], pool.agents[3]
    server.put("/v1/kv/raw", b"\x00\xff")
    for path in ("/v1/kv/raw", "/v1/kv/raw?raw", "/v1/kv/none", "/v1/kv/", "/v1/kv/?keys",
                 "/v1/kv/raw?pretty", "/v1/kv/raw?index=x", "/v1/kv/raw?dc=no",
                 "/v1/session/info/x", "/v1/session/list"):
        a, b = server.get(path), client.get(path)
        assert (a.status, a.body) == (b.status, b.body), path
        for h in ("Content-Type", "X-Consul-Index", "X-Consul-KnownLeader",
                  "X-Consul-LastContact", "X-Content-Type-Options"):
            assert a.headers.get(h) == b.headers.get(h), (path, h)
    assert client.get("/v1/kv/raw?stale&raw").body == b"\x00\xff"
    big = b"x" * 512 * 1024
    assert client.put("/v1/kv/big", big).json is True
    assert client.get("/v1/kv/big?raw").body == big
    assert client.put("/v1/kv/big", big + b"x").status == 413
    assert client.get("/v1/kv/none?stale&consistent").status == 400


def test_a_session_is_of_the_node_whose_agent_was_asked(pool):
    for a in pool.agents:
        s = session(a, TTL="15s", LockDelay="0s")
        info = pool.agents[0].get(f"/v1/session/info/{s}").json[0]
        assert info["Node"] == a.name
        assert a.put(f"/v1/session/renew/{s}").json[0]["ID"] == s
        assert a.put(f"/v1/kv/lock?acquire={s}", "x").json is True
        assert pool.agents[1].get("/v1/kv/lock").json[0]["Session"] == s
        assert pool.agents[3].put(f"/v1/session/destroy/{s}").json is True
        assert "Session" not in a.get("/v1/kv/lock").json[0]


def test_who_waits_anywhere_wakes(pool):
    pool.agents[0].put("/v1/kv/w", "1")
    index = pool.agents[3].get("/v1/kv/w").index
    waits = [Blocked(a, f"/v1/kv/w?index={index}&wait=30s") for a in pool.agents for _ in range(5)]
    time.sleep(0.3)  # most are there by then; those that are not answer at once
    assert all(w.answer is None for w in waits)
    pool.agents[3].put("/v1/kv/w", "2")
    for w in waits:
        assert value(w.result(20).json[0]) == b"2" and w.answer.index > index
    same = Blocked(pool.agents[3], f"/v1/kv/w?index={waits[0].answer.index}&wait=1s").result()
    assert same.index == waits[0].answer.index and value(same.json[0]) == b"2"


def test_a_client_that_goes_is_forgotten_at_the_server_too(pool):
    pool.agents[0].put("/v1/kv/w", "1")
    index = pool.agents[3].get("/v1/kv/w").index
    before = [parked(a) for a in pool.agents[:3]]
    with pytest.raises(AssertionError):  # gives up after a second
        Blocked(pool.agents[3], f"/v1/kv/w?index={index}&wait=60s", timeout=1).result(20)
    wait_until("no server holds it", lambda: [parked(a) for a in pool.agents[:3]] == before)


def test_transactions_and_locks_of_many(pool):
    """Counters that all agents raise at once: compare-and-set, and a transaction over two keys."""
    pool.agents[0].put("/v1/kv/n", "0")

    def count(agent):
        for _ in range(10):
            while True:
                e = agent.get("/v1/kv/n").json[0]
                n = int(value(e)) + 1
                text = base64.b64encode(str(n).encode()).decode()
                r = agent.put("/v1/txn", [
                    {"KV": {"Verb": "cas", "Key": "n", "Index": e["ModifyIndex"], "Value": text}},
                    {"KV": {"Verb": "set", "Key": f"seen/{n:03}", "Value": text}}])
                assert r.status in (200, 409), r.text
                if r.status == 200:
                    break
    threads = [threading.Thread(target=count, args=(a,)) for a in pool.agents]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert pool.agents[3].get("/v1/kv/n?raw").body == b"40"
    assert len(pool.agents[3].get("/v1/kv/seen/?keys").json) == 40


def test_a_session_on_what_was_registered_a_moment_ago(pool):
    """The server that is asked may not have heard of the check yet."""
    client = pool.agents[3]
    for i in range(20):
        client.put("/v1/agent/check/register",
                   {"Name": f"c{i}", "TTL": "60s", "Status": "passing"})
        s = session(client, NodeChecks=["serfHealth", f"c{i}"], LockDelay="0s")
        assert client.put(f"/v1/kv/held?acquire={s}", "x").json is True
        client.put(f"/v1/session/destroy/{s}")
        client.put(f"/v1/agent/check/deregister/c{i}")
    begun = time.monotonic()  # what is not there at all is said at once
    r = client.put("/v1/session/create", {"NodeChecks": ["never"]})
    assert r.status == 500 and "Missing check 'never' registration" in r.text
    assert time.monotonic() - begun < 0.9
