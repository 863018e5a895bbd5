"""The HTTP API from outside: checks by TTL, blocking queries, external nodes, python's view."""
import threading
import time
import urllib.parse

import dns.rcode

from harness import wait_until
from test_keys import Blocked


def test_registered_over_http_is_in_dns(agent):
    agent.put("/v1/agent/service/register", {"Name": "web", "Port": 8080, "Tags": ["blue"]})
    assert agent.dig("SRV", "web.service.consul", "+short").startswith("1 1 8080 ")
    assert agent.dns_data("web.service.consul") == ["127.0.0.1"]
    assert agent.dns("green.web.service.consul").rcode() == dns.rcode.NXDOMAIN
    agent.put("/v1/agent/service/deregister/web")
    assert agent.dns("web.service.consul").rcode() == dns.rcode.NXDOMAIN


def test_ttl_check_goes_through_its_states(agent):
    agent.put("/v1/agent/service/register", {"Name": "web", "Port": 1, "Check": {"TTL": "1s"}})
    assert agent.passing("web") == []
    agent.put("/v1/agent/check/pass/service:web?note=good")
    assert len(agent.passing("web")) == 1
    wait_until("it runs out", lambda: agent.passing("web") == [], 5)
    assert "TTL" in agent.get("/v1/health/checks/web").json[0]["Output"]
    agent.put("/v1/agent/check/warn/service:web")
    assert agent.get("/v1/health/checks/web").json[0]["Status"] == "warning"


def test_an_equal_registration_changes_nothing(agent):
    body = {"Name": "web", "Port": 8080, "Check": {"TTL": "60s"}}
    agent.put("/v1/agent/service/register", body)
    before = agent.get("/v1/health/service/web").index
    agent.put("/v1/agent/service/register", body)
    assert agent.get("/v1/health/service/web").index == before


def test_a_blocked_query_wakes_for_its_own_service_only(agent):
    index = agent.get("/v1/health/service/web").index
    got = []

    def ask():
        got.append((agent.get(f"/v1/health/service/web?index={index}&wait=30s", timeout=40),
                    time.monotonic()))
    thread = threading.Thread(target=ask)
    thread.start()
    for i in range(20):
        agent.put("/v1/agent/service/register", {"Name": f"other{i}"})
    assert not got
    begun = time.monotonic()
    agent.put("/v1/agent/service/register", {"Name": "web"})
    thread.join(30)
    answer, when = got[0]
    assert answer.index > index and len(answer.json) == 1 and when - begun < 10


def test_a_filter_of_services_waits_for_all_that_it_may_ask_for(agent):
    def web(**more):
        agent.put("/v1/agent/service/register", {"Name": "web", "Tags": ["t"], **more})

    def external(**meta):
        assert agent.put("/v1/catalog/register", {
            "Node": "ext", "Address": "192.0.2.7", "NodeMeta": meta,
            "Service": {"Service": "db"}}).json is True

    def wakes(filter_, change, names):
        path = "/v1/catalog/services?filter=" + urllib.parse.quote(filter_)
        first = agent.get(path)
        again = agent.get(f"{path}&index={first.index}&wait=50ms")
        assert again.index == first.index and again.body == first.body
        watch = Blocked(agent, f"{path}&index={first.index}&wait=30s")
        change()
        assert sorted(watch.result().json) == names and watch.seconds < 20, filter_
        assert watch.answer.index > first.index
    web(Port=1)
    external()
    wakes('ServiceMeta.zone == "z1"', lambda: web(Port=1, Meta={"zone": "z1"}), ["web"])
    wakes("ServicePort == 2", lambda: web(Port=2), ["web"])
    wakes("ServicePort == 2", lambda: web(Port=3), [])
    wakes('NodeMeta.rack == "r1"', lambda: external(rack="r1"), ["db"])
    wakes('Node == "ext"', lambda: agent.put("/v1/catalog/deregister", {"Node": "ext"}), [])


def test_many_readers_wake_from_one_change(agent):
    index = agent.get("/v1/catalog/service/web").index
    got = []
    threads = [threading.Thread(target=lambda: got.append(
        agent.get(f"/v1/catalog/service/web?index={index}&wait=30s", timeout=40)))
        for _ in range(50)]
    for t in threads:
        t.start()
    agent.put("/v1/agent/service/register", {"Name": "web"})
    for t in threads:
        t.join(30)
    assert len(got) == 50 and all(len(a.json) == 1 for a in got)


def test_external_nodes(agent):
    assert agent.put("/v1/catalog/register", {
        "Node": "printer", "Address": "192.0.2.9",
        "Service": {"Service": "ipp", "Port": 631},
        "Check": {"CheckID": "c", "Name": "c", "Status": "passing", "ServiceID": "ipp"}}).json
    assert agent.dns_data("printer.node.consul") == ["192.0.2.9"]
    assert agent.dns_data("ipp.service.consul", "SRV") == ["1 1 631 printer.node.dc1.consul."]
    assert agent.put("/v1/catalog/deregister", {"Node": "printer"}).json
    assert agent.dns("ipp.service.consul").rcode() == dns.rcode.NXDOMAIN


def test_python_consul_reads_it(agent):
    import consul
    c = consul.Consul(host="127.0.0.1", port=agent.http_port)
    c.agent.service.register("web", service_id="web-1", port=8080, tags=["a"],
                             check=consul.Check.ttl("30s"))
    assert c.agent.services()["web-1"]["Port"] == 8080
    index, nodes = c.health.service("web", passing=True)
    assert nodes == [] and int(index) > 0
    index, nodes = c.catalog.service("web")
    assert nodes[0]["ServiceTags"] == ["a"]
    assert c.catalog.datacenters() == ["dc1"]
    assert c.status.leader()
    assert [m["Name"] for m in c.agent.members()] == ["n1"]
