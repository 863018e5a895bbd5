"""Nodes that are no agents, through three servers and an agent that holds no copy: what is registered
through one is decided by the cluster and shown by all (RULES 4, 5).
"""
import threading

import pytest

from harness import wait_until
from pool_harness import leads, servers_and_one
from test_keys import parked


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    with servers_and_one(tmp_path_factory.mktemp("external")) as pool:
        yield pool


@pytest.fixture
def pool(four):
    for n in nodes(four.agents[0]):
        if n.startswith("x"):
            assert four.agents[0].put("/v1/catalog/deregister", {"Node": n}).json is True
    for a in four.agents:
        wait_until("the last test's nodes are gone",
                   lambda a=a: not [n for n in nodes(a) if n.startswith("x")])
    return four


def nodes(agent):
    return [n["Node"] for n in agent.get("/v1/catalog/nodes").json]


def register(agent, node, service=None, check=None, **more):
    body = {"Node": node, "Address": "10.9.9.9", **more}
    if service:
        body["Service"] = {"Service": service, "Port": 80}
    if check:
        body["Check"] = check
    r = agent.put("/v1/catalog/register", body)
    assert r.status == 200 and r.json is True, r.text


def services(agent, name):
    return sorted(s["Node"] for s in agent.get(f"/v1/catalog/service/{name}").json)


def leader(pool):
    address = next(a.get("/v1/status/leader").json for a in pool.agents if a.alive())
    return next(a for a in pool.agents[:3] if a.address == address.split(":")[0])


def test_a_registration_anywhere_is_seen_there_at_once_and_everywhere(pool):
    for n in range(20):
        agent = pool.agents[n % 4]
        register(agent, f"x{n}", "printer", {"Name": "c", "ServiceID": "printer",
                                             "Status": "passing"})
        mine = agent.get(f"/v1/catalog/node/x{n}").json
        assert mine["Services"]["printer"]["Port"] == 80, agent.name
        assert len(agent.get(f"/v1/health/node/x{n}").json) == 1
    want = sorted(f"x{n}" for n in range(20))
    for a in pool.agents:
        wait_until(f"{a.name} shows all", lambda a=a: services(a, "printer") == want)
        assert len(a.get("/v1/health/service/printer?passing").json) == 20
    # the log's numbers are the same at all of them
    def of(a):
        return {s["Node"]: s["ModifyIndex"] for s in a.get("/v1/catalog/service/printer").json}
    assert all(of(a) == of(pool.agents[0]) for a in pool.agents)


def test_kind_and_proxy_come_back(pool):
    body = {"Node": "x", "Address": "10.9.9.9", "NodeMeta": {"a": "b"},
            "Service": {"Service": "web-proxy", "Kind": "connect-proxy", "Port": 1,
                        "Proxy": {"DestinationServiceName": "web", "Mode": "direct"}}}
    assert pool.agents[3].put("/v1/catalog/register", body).json is True
    for a in pool.agents:
        wait_until(f"{a.name} shows it", lambda a=a: services(a, "web-proxy") == ["x"])
        s = a.get("/v1/catalog/service/web-proxy").json[0]
        assert s["ServiceKind"] == "connect-proxy" and s["NodeMeta"] == {"a": "b"}
        assert s["ServiceProxy"]["DestinationServiceName"] == "web"
    # the node stays as it is
    assert pool.agents[0].put("/v1/catalog/register", {
        "Node": "x", "Address": "10.1.1.1", "SkipNodeUpdate": True,
        "Service": {"Service": "other"}}).json is True
    assert pool.agents[0].get("/v1/catalog/node/x").json["Node"]["Address"] == "10.9.9.9"


def test_deregistered_anywhere_gone_there_at_once_and_everywhere(pool):
    for n, agent in enumerate(pool.agents):
        register(agent, f"x{n}", "printer", {"Name": "c", "ServiceID": "printer"})
        register(agent, f"x{n}", "lamp")
    for n, agent in enumerate(reversed(pool.agents)):
        wait_until("it is there", lambda: f"x{n}" in services(agent, "lamp"))
        drop = {"Node": f"x{n}", "ServiceID": "printer"}
        assert agent.put("/v1/catalog/deregister", drop).json is True
        assert list(agent.get(f"/v1/catalog/node/x{n}").json["Services"]) == ["lamp"]
        assert agent.get(f"/v1/health/node/x{n}").json == []
        assert agent.put("/v1/catalog/deregister", {"Node": f"x{n}"}).json is True
        assert agent.get(f"/v1/catalog/node/x{n}").json is None
    for a in pool.agents:
        wait_until(f"{a.name} has none", lambda a=a: services(a, "lamp") == [])


def test_errors_are_consuls_wherever_they_are_asked_for(pool):
    for path, body in (("register", {"Node": "x"}), ("register", {"Address": "1.2.3.4"}),
                       ("register", {"Node": "x", "Address": "a", "ID": "no"}),
                       ("register", {"Node": "x", "Address": "a", "Service": {"ID": "s"}}),
                       ("register", {"Node": "x", "Address": "a", "Datacenter": "no"}),
                       ("register", {"Node": "x", "Address": "a",
                                     "Check": {"Name": "c", "ServiceID": "none"}}),
                       ("register", "nonsense"), ("deregister", {})):
        answers = [a.put(f"/v1/catalog/{path}", body) for a in pool.agents]
        assert len({(r.status, r.body) for r in answers}) == 1, [r.text for r in answers]
        assert answers[0].status in (400, 500)
    assert "Must provide address" in pool.agents[3].put("/v1/catalog/register", {"Node": "x"}).text


def test_what_an_agent_owns_is_masked_until_it_says_so_again(pool):
    owner, other = pool.agents[3], pool.agents[1]
    owner.register("mine", 81)
    for agent in (owner, other):
        assert agent.put("/v1/catalog/deregister",
                         {"Node": owner.name, "ServiceID": "mine"}).json is True
        assert services(agent, "mine") == []
        for a in pool.agents:
            wait_until(f"{a.name} hides it", lambda a=a: services(a, "mine") == [])
        owner.register("mine", 81 if agent is other else 82)
        if agent is owner:
            for a in pool.agents:
                wait_until(f"{a.name} shows it", lambda a=a: services(a, "mine") == [owner.name])
    # an equal registration is no news, but the agent's own minute is
    wait_until("it is shown again", lambda: services(other, "mine") == [owner.name], seconds=70)
    owner.deregister("mine")


def test_transactions_of_keys_and_catalog_are_one(pool):
    plain = pool.agents[3]
    plain.put("/v1/kv/n", "1")

    def txn(agent, *ops):
        return agent.put("/v1/txn", list(ops))
    node = {"Node": {"Verb": "set", "Node": {"Node": "x1", "Address": "10.1.1.1"}}}
    service = {"Service": {"Verb": "set", "Node": "x1", "Service": {"Service": "lamp", "Port": 5}}}
    check = {"Check": {"Verb": "set", "Check": {"Node": "x1", "Name": "c", "ServiceID": "lamp"}}}
    key = {"KV": {"Verb": "set", "Key": "k", "Value": "dg=="}}
    bad = {"KV": {"Verb": "cas", "Key": "n", "Index": 3, "Value": "dg=="}}
    for agent in pool.agents:
        r = txn(agent, node, service, check, key, bad)
        assert r.status == 409 and [e["OpIndex"] for e in r.json["Errors"]] == [4]
        assert agent.get("/v1/catalog/node/x1").json is None
        assert agent.get("/v1/kv/k").status == 404
    r = txn(plain, node, service, check, key)
    assert r.status == 200, r.text
    kinds = [list(x)[0] for x in r.json["Results"]]
    assert kinds == ["Node", "Service", "Check", "KV"]
    assert plain.get("/v1/catalog/node/x1").json["Services"]["lamp"]["Port"] == 5
    index = r.json["Results"][1]["Service"]["ModifyIndex"]
    for agent in pool.agents:  # a condition means the same everywhere
        wait_until("it is there as it is now", lambda: [
            s["ModifyIndex"] for s in agent.get("/v1/catalog/service/lamp").json] == [index])
        stale = txn(agent, {"Service": {"Verb": "cas", "Node": "x1", "Service": {
            "Service": "lamp", "Port": 6, "ModifyIndex": index - 1}}}, key)
        assert stale.status == 409, stale.text
        r = txn(agent, {"Service": {"Verb": "cas", "Node": "x1", "Service": {
            "Service": "lamp", "Port": 6 + index % 1000, "ModifyIndex": index}}})
        assert r.status == 200, r.text
        index = r.json["Results"][0]["Service"]["ModifyIndex"]
    r = txn(plain, {"Node": {"Verb": "delete", "Node": {"Node": "x1"}}},
            {"KV": {"Verb": "delete", "Key": "k"}})
    assert r.status == 200 and plain.get("/v1/catalog/node/x1").json is None


def test_one_winner_of_many(pool):
    """Counters in a service's port that all agents raise by compare-and-set."""
    register(pool.agents[0], "x", "n")
    pool.agents[0].put("/v1/catalog/register", {"Node": "x", "Address": "10.9.9.9",
                                                "Service": {"Service": "n", "Port": 100}})

    def count(agent):
        done = 0
        while done < 5:
            s = agent.get("/v1/catalog/node/x").json
            s = s and s["Services"].get("n")
            if s is None or s["Port"] < 100:
                continue
            r = agent.put("/v1/txn", [{"Service": {"Verb": "cas", "Node": "x", "Service": {
                "Service": "n", "Port": s["Port"] + 1, "ModifyIndex": s["ModifyIndex"]}}}])
            assert r.status in (200, 409), r.text
            done += r.status == 200
    threads = [threading.Thread(target=count, args=(a,)) for a in pool.agents]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for a in pool.agents:
        wait_until("all are counted", lambda a=a: a.get(
            "/v1/catalog/node/x").json["Services"]["n"]["Port"] == 120)


def test_a_blocked_query_wakes_at_every_agent(pool):
    index = [a.get("/v1/catalog/service/late").index for a in pool.agents]
    answers, before = [None] * 4, sum(map(parked, pool.agents))

    def wait(i):
        answers[i] = pool.agents[i].get(
            f"/v1/catalog/service/late?index={index[i]}&wait=20s", timeout=30).json
    threads = [threading.Thread(target=wait, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    wait_until("all four are held", lambda: sum(map(parked, pool.agents)) >= before + 4)
    register(pool.agents[3], "x", "late")
    for t in threads:
        t.join()
    assert all([s["Node"] for s in a] == ["x"] for a in answers)


def test_the_leader_dies_all_restart_and_nothing_is_lost(pool):
    for n, a in enumerate(pool.agents):
        register(a, f"x{n}", "printer")
    first = leader(pool)
    first.kill()
    rest = [a for a in pool.agents if a is not first]
    for n, a in enumerate(rest):  # each waits for the next leader
        if a is pool.agents[3]:  # what it carries to a dead leader is not sent twice
            wait_until("it knows the next one", lambda a=a: a.put(
                "/v1/catalog/register", {"Node": "x", "Address": "10.9.9.9"}).status == 200)
        register(a, f"x1{n}", "printer")
        assert f"x1{n}" in services(a, "printer")
    want = sorted([f"x{n}" for n in range(4)] + [f"x1{n}" for n in range(3)])
    for a in rest:
        wait_until(f"{a.name} shows all", lambda a=a: services(a, "printer") == want)
    # no quorum: reads stay, writes do not
    second = leader(pool)
    second.kill()
    left = [a for a in rest if a is not second]
    for a in left:
        texts = []
        for _ in range(2):  # what was sent to the one that died may yet be done, Consul says
            r = a.put("/v1/catalog/register", {"Node": "y", "Address": "10.9.9.9"}, timeout=30)
            assert r.status == 500, r.text
            texts.append(r.text)
        assert texts[1] == "No cluster leader", texts
        assert services(a, "printer") == want
    for a in left:
        a.kill()
    for a in pool.agents:
        a.start(wait=False)
    pool.wait_complete()
    pool.wait_all("it reaches a leader", leads, seconds=30)
    for a in pool.agents:
        wait_until(f"{a.name} shows all again", lambda a=a: services(a, "printer") == want)
    assert pool.agents[3].put("/v1/catalog/deregister", {"Node": "x0"}).json is True
    assert services(pool.agents[3], "printer") == want[1:]  # x0 is the first
    for a in pool.agents:
        wait_until(f"{a.name} has it no more",
                   lambda a=a: services(a, "printer") == want[1:])
    pool.wait_equal(20)
