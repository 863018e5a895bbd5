"""Prepared queries: definitions by HTTP and by python-consul, instances by HTTP and DNS, on one agent
and on three servers with an agent that holds no keys.
"""
import random

import dns.rcode
import dns.rdatatype
import pytest

from harness import wait_until
from pool_harness import leads, servers_and_one
from test_keys import Blocked, parked, session


def create(agent, **body):
    r = agent.request("POST", "/v1/query", body)
    assert r.status == 200, r.text
    return r.json["ID"]


def register(agent, ident, name="web", **more):
    r = agent.put("/v1/agent/service/register", {"ID": ident, "Name": name, **more})
    assert r.status == 200, r.text


def executed(agent, name, params=""):
    r = agent.get(f"/v1/query/{name}/execute{params}")
    assert r.status == 200, r.text
    return [n["Service"]["ID"] for n in r.json["Nodes"]]


@pytest.fixture
def web(agent):
    for i, tags in (1, ["blue"]), (2, ["green"]), (3, ["blue", "old"]):
        register(agent, f"w{i}", Port=8000 + i, Address=f"10.9.0.{i}", Tags=tags,
                 Meta={"i": str(i)})
    wait_until("they are in the catalog", lambda: len(agent.passing("web")) == 3)
    return agent


# ---- HTTP ----

def test_a_definition_from_creation_to_deletion(web):
    q = create(web, Name="q", Service={"Service": "web", "Tags": ["blue", "!old"]})
    r = web.get(f"/v1/query/{q}")
    assert r.json[0]["Service"]["Tags"] == ["blue", "!old"] and r.index > 0
    assert web.get("/v1/query").json == r.json
    assert executed(web, "q") == executed(web, q) == ["w1"]
    assert web.put(f"/v1/query/{q}", {"Name": "r", "Service": {"Service": "web"}}).status == 200
    assert web.get("/v1/query/q/execute").status == 404
    assert sorted(executed(web, "r")) == ["w1", "w2", "w3"]
    assert len(executed(web, "r", "?limit=2")) == 2
    assert web.request("DELETE", f"/v1/query/{q}").status == 200
    gone = web.get(f"/v1/query/{q}")
    assert (gone.status, gone.text) == (404, "Query not found")


def test_health_decides(web):
    for i, status in (1, "passing"), (2, "warning"), (3, "critical"):
        web.put("/v1/agent/check/register", {"ID": f"c{i}", "Name": "c", "ServiceID": f"w{i}",
                                             "TTL": "1h", "Status": status})
    create(web, Name="any", Service={"Service": "web"})
    create(web, Name="good", Service={"Service": "web", "OnlyPassing": True})
    create(web, Name="all", Service={"Service": "web", "IgnoreCheckIDs": ["c3"]})
    wait_until("the checks count", lambda: sorted(executed(web, "any")) == ["w1", "w2"])
    assert executed(web, "good") == ["w1"]
    assert sorted(executed(web, "all")) == ["w1", "w2", "w3"]
    create(web, Name="meta", Service={"Service": "web", "ServiceMeta": {"i": "2"}})
    assert executed(web, "meta") == ["w2"]


def test_a_blocked_list_wakes_and_a_session_takes_its_queries(web):
    s = session(web, TTL="30s", LockDelay="0s")
    q = create(web, Session=s, Service={"Service": "web"})
    assert len(executed(web, q)) == 3
    listed = web.get("/v1/query")
    watch = Blocked(web, f"/v1/query?index={listed.index}")
    wait_until("it waits", lambda: parked(web) == 1)
    web.put("/v1/kv/other", "x")
    assert parked(web) == 1
    web.put(f"/v1/session/destroy/{s}")
    woken = watch.result()
    assert woken.json == [] and woken.index > listed.index
    assert web.get(f"/v1/query/{q}/execute").status == 404


def test_queries_outlive_a_restart(agents, tmp_path):
    a = agents("-data-dir", str(tmp_path / "data"), "-server", "-bootstrap", "-bind",
               "127.0.0.1", dev=False)
    wait_until("it leads", lambda: leads(a))
    create(a, Name="kept", Service={"Service": "consul"}, DNS={"TTL": "9s"})
    before = a.get("/v1/query")
    assert a.stop() == 0
    a.start()
    wait_until("it leads again", lambda: leads(a))
    after = a.get("/v1/query")
    assert after.json == before.json and after.index == before.index


def test_access_control_is_disabled(agent):
    for method, path in ("GET", "tokens"), ("PUT", "bootstrap"), ("PUT", "token"), \
            ("GET", "policies"), ("DELETE", "role/x"), ("POST", "login"), ("GET", "list"):
        r = agent.request(method, f"/v1/acl/{path}", "{}" if method == "PUT" else None)
        assert (r.status, r.text) == (401, "ACL support disabled"), path
    assert agent.get("/v1/acl/bootstrap").status == 405
    assert agent.get("/v1/acl/none").status == 404


def test_python_consul_speaks_of_queries(web):
    import consul
    c = consul.Consul(host="127.0.0.1", port=web.http_port)
    q = c.query.create("web", name="py", tags=["blue"], onlypassing=True, ttl="3s",
                       nearestn=1, datacenters=["dc2"])["ID"]
    assert [d["Name"] for d in c.query.list()] == ["py"]
    d = c.query.get(q)[0]
    assert d["Service"]["Failover"] == {"NearestN": 1, "Datacenters": ["dc2"]}
    assert d["DNS"]["TTL"] == "3s" and d["Service"]["OnlyPassing"] is True
    found = c.query.execute("py", near="_agent", limit=1)
    assert len(found["Nodes"]) == 1 and found["Datacenter"] == "dc1"
    assert c.query.update(q, service="web", name="py", tags=["green"]) is True
    # what this client makes is a template, always: found by its name only
    assert [n["Service"]["ID"] for n in c.query.execute("py")["Nodes"]] == ["w2"]
    assert c.query.explain("py")["Query"]["ID"] == q
    assert c.query.delete(q) is True
    assert c.query.list() == []
    t = c.query.create("${match(1)}", name="py-", regexp="^py-(.*)$")["ID"]
    assert len(c.query.execute("py-web")["Nodes"]) == 3
    assert c.query.explain("py-web")["Query"]["Service"]["Service"] == "web"
    c.query.delete(t)


# ---- DNS ----

def test_names_of_queries(web):
    create(web, Name="Geo.Web", Service={"Service": "web", "Tags": ["blue"]}, DNS={"TTL": "7s"})
    a = ["geo.web.query.consul. 7 IN A 10.9.0.1", "geo.web.query.consul. 7 IN A 10.9.0.3"]

    def data(name, rdtype):
        return sorted(f"{s.name} {s.ttl} IN {rdtype} {rr}" for s in web.dns(name, rdtype).answer
                      for rr in s)

    assert data("geo.web.query.consul", "A") == a
    assert data("geo.web.query.dc1.consul", "A") == [r.replace("query.", "query.dc1.") for r in a]
    assert sorted(str(rr) for s in web.dns("geo.web.query.consul", "ANY").answer for rr in s) == \
        ["10.9.0.1", "10.9.0.3"]
    srv = web.dns("geo.web.query.consul", "SRV")
    assert sorted(str(rr) for rr in srv.answer[0]) == \
        ["1 1 8001 0a090001.addr.dc1.consul.", "1 1 8003 0a090003.addr.dc1.consul."]
    assert srv.answer[0].ttl == 7
    assert [rrset.rdtype for rrset in srv.additional].count(dns.rdatatype.A) == 2
    none = web.dns("geo.web.query.consul", "AAAA")
    assert none.rcode() == dns.rcode.NOERROR and not none.answer
    assert none.authority[0].rdtype == dns.rdatatype.SOA
    for name in "no.query.consul", "query.consul", "geo.web.query.dc2.consul", \
            "x.geo.web.query.consul":
        assert web.dns(name).rcode() == dns.rcode.NXDOMAIN, name
    # the very names that dig shows, with the spelling of the question
    assert sorted(web.dig("+short", "GEO.web.Query.consul").split()) == ["10.9.0.1", "10.9.0.3"]


def test_what_is_answered_follows_at_once(web):
    q = create(web, Name="q", Service={"Service": "web"})
    assert len(web.dns_data("q.query.consul", tcp=True)) == 3
    web.put(f"/v1/query/{q}", {"Name": "q", "Service": {"Service": "nothing"}})
    assert web.dns("q.query.consul").rcode() == dns.rcode.NXDOMAIN
    web.request("DELETE", f"/v1/query/{q}")
    assert web.dns("q.query.consul").rcode() == dns.rcode.NXDOMAIN


def test_templates_in_dns(web):
    create(web, Name="geo-", Template={"Type": "name_prefix_match",
                                       "Regexp": "^geo-([^-]+)-([^-]+)$"},
           Service={"Service": "${match(1)}", "Tags": ["${match(2)}"]})
    assert web.dig("+short", "GEO-web-green.query.consul") == "10.9.0.2"
    assert web.dns("geo-web-red.query.consul").rcode() == dns.rcode.NXDOMAIN
    create(web, Name="", Template={"Type": "name_prefix_match"},
           Service={"Service": "${name.full}"})
    assert len(web.dns_data("web.query.consul")) == 3
    assert web.dns("web-2.query.consul").rcode() == dns.rcode.NXDOMAIN


# ---- a cluster ----

@pytest.fixture(scope="module")
def four(tmp_path_factory):
    with servers_and_one(tmp_path_factory.mktemp("query")) as pool:
        yield pool


def test_a_query_made_anywhere_is_known_everywhere(four):
    for n, writer in enumerate(four.agents):
        name = f"any{n}"
        register(writer, f"s{n}", name=f"svc{n}", Port=80)
        q = create(writer, Name=name, Service={"Service": f"svc{n}"}, DNS={"TTL": "4s"})
        # by the agent that was asked at once, although what it registered is still on its way
        assert executed(writer, name) == [f"s{n}"]
        for reader in four.agents:
            assert reader.get(f"/v1/query/{q}").json[0]["Name"] == name
        four.wait_all("DNS answers it", lambda a: a.dns_data(f"{name}.query.consul") ==
                      [writer.address])
    lists = [a.get("/v1/query") for a in four.agents]
    assert len({r.index for r in lists}) == 1 and len({r.body for r in lists}) == 1


def test_near_is_the_agent_that_is_asked(four):
    for a in four.agents:
        register(a, "near", name="near", Port=80)
    create(random.choice(four.agents), Name="near", Service={"Service": "near", "Near": "_agent"})
    for a in four.agents:
        wait_until("all are known", lambda: len(executed(a, "near")) == 4)  # noqa: B023
        r = a.get("/v1/query/near/execute?limit=1").json
        assert r["Nodes"][0]["Node"]["Node"] == a.name
        wait_until("DNS has all of them", lambda: len(a.dns_data(  # noqa: B023
            "near.query.consul", tcp=True)) == 4)
        for _ in range(10):
            first = a.dns("near.query.consul").answer[0]
            assert str(first[0]) == a.address


def test_near_is_the_client_that_asks(four):
    """As the first proxy names it; also where the request is carried to a server."""
    for a in four.agents:
        register(a, "client", name="client", Port=80)
    create(four.agents[0], Name="client", Service={"Service": "client", "Near": "_ip"})
    create(four.agents[0], Name="plain", Service={"Service": "client"})
    for a in four.agents:
        wait_until("all are known", lambda: len(executed(a, "client")) == 4)  # noqa: B023
        for other in four.agents:
            for name in "client", "plain":
                r = a.get(f"/v1/query/{name}/execute?limit=1&near=_ip",
                          headers={"X-Forwarded-For": f"{other.address}, 192.0.2.1"}).json
                assert [n["Node"]["Node"] for n in r["Nodes"]] == [other.name], a.name
        # of nobody that is known: in any order
        found = {a.get("/v1/query/client/execute?limit=1", headers={
            "X-Forwarded-For": "192.0.2.99"}).json["Nodes"][0]["Node"]["Node"] for _ in range(60)}
        assert len(found) > 1


def test_a_blocked_list_is_carried(four):
    plain = four.agents[3]
    index = plain.get("/v1/query").index
    watch = Blocked(plain, f"/v1/query?index={index}")
    create(four.agents[0], Name="late", Service={"Service": "x"})
    woken = watch.result()
    assert "late" in [q["Name"] for q in woken.json] and woken.index > index


def test_dns_goes_on_without_servers(four):
    """An agent without keys answers from its copy, and follows again when they are back."""
    plain, servers = four.agents[3], four.agents[:3]
    register(plain, "own", name="own", Port=80)
    q = create(plain, Name="own", Service={"Service": "own"})
    wait_until("DNS answers", lambda: plain.dns_data("own.query.consul") == [plain.address])
    for s in servers:
        s.kill()
    assert plain.dns_data("own.query.consul") == [plain.address]
    for s in servers:
        s.start(wait=False)
    four.wait_all("it reaches a leader", leads, seconds=40)
    assert plain.request("DELETE", f"/v1/query/{q}").status == 200
    wait_until("the copy follows", lambda: plain.dns(
        "own.query.consul").rcode() == dns.rcode.NXDOMAIN, 30)
