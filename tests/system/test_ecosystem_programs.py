"""Every call of Consul's API that other programs were seen to make, program by program, with what they
rely on in the answer. (Consul's own clients: test_ecosystem.py.)
"""
import json
import socket
import threading

import dns.flags
import dns.message
import dns.query
import dns.rdatatype

from ecosystem_harness import call, three, web  # noqa: F401  (fixtures)
from harness import wait_until
from test_keys import GONE, LOCK_FLAGS, Blocked, value

# ---- libkv ----

def test_libkv(call):
    w = "wait=3000ms"
    assert call.put(f"/v1/kv/libkv/a?flags=0&{w}", "1").json is True
    index = call.get(f"/v1/kv/libkv/a?consistent&{w}").json[0]["ModifyIndex"]
    assert call.put(f"/v1/kv/libkv/a?cas={index}&flags=0&{w}", "2").json is True
    assert call.put(f"/v1/kv/libkv/a?cas={index}&flags=0&{w}", "3").json is False
    r = call.get(f"/v1/kv/libkv?recurse&{w}")
    watch = Blocked(call.agents[1], f"/v1/kv/libkv/a?index={r.index}&wait=15000ms")
    s = call.put(f"/v1/session/create?{w}", {"Behavior": "delete", "LockDelay": "1ms",
                                             "TTL": "10s"}).json["ID"]
    assert call.put(f"/v1/kv/libkv/eph?acquire={s}&flags=0&{w}", "x").json is True
    for _ in range(50):
        call.put(f"/v1/session/renew/{s}?{w}")
    assert call.get(f"/v1/kv/libkv/eph?consistent&{w}").json[0]["Session"] == s
    assert call.put(f"/v1/session/destroy/{s}?{w}").json is True
    call.get(f"/v1/kv/libkv/eph?consistent&{w}", status=404)
    assert call.put(f"/v1/kv/libkv/a?flags=0&{w}", "4").json is True
    assert value(watch.result().json[0]) == b"4"
    assert call("DELETE", f"/v1/kv/libkv/a?cas={index}&{w}").json is False
    assert call("DELETE", f"/v1/kv/libkv?recurse&{w}").json is True


# ---- Prometheus ----

def test_prometheus(call):
    call.headers = {"User-Agent": "Prometheus/2.42.0", "Authorization": "Basic Og==",
                    "Accept-Encoding": "identity"}
    web(call)
    assert call.get("/v1/agent/self").json["Config"]["Datacenter"] == "dc1"
    for more in ("", "stale&", "stale&dc=dc1&", "node-meta=no:v&"):
        names = call.get(f"/v1/catalog/services?{more}index=0&wait=120000ms").json
        assert ("web" in names) == ("node-meta" not in more)
    r = call.get("/v1/catalog/services?stale&", at=1)
    watch = Blocked(call.agents[1], f"/v1/catalog/services?stale&index={r.index}&wait=120000ms")
    (found,) = call.get("/v1/health/service/web?stale&dc=dc1&tag=a&tag=b&index=0&wait=120000ms").json
    assert found["Node"]["Node"] == "n1" and found["Node"]["Datacenter"] == "dc1"
    assert {"lan", "wan", "lan_ipv4", "wan_ipv4"} <= set(found["Node"]["TaggedAddresses"])
    assert found["Node"]["Meta"]["consul-network-segment"] == ""
    service = found["Service"]
    assert (service["ID"], service["Address"], service["Port"]) == ("web-0", "", 80)
    assert service["Tags"] == ["a", "b"] and service["Meta"] == {"zone": "z1"}
    for x in call.get("/v1/health/service/consul").json:
        assert x["Service"]["Port"] == 8300 and x["Service"]["Tags"] == []
    web(call, ID="bare", Tags=None, at=1, Name="bare")
    assert "bare" in watch.result().json
    assert call.get("/v1/health/service/bare?index=0").json[0]["Service"]["Tags"] == []
    r = call.get("/v1/health/service/web", at=2)
    watch = Blocked(call.agents[2], f"/v1/health/service/web?stale&index={r.index}&wait=120000ms")
    call.put("/v1/agent/maintenance?enable=true&reason=x", at=0)
    assert "_node_maintenance" in [c["CheckID"] for c in watch.result().json[0]["Checks"]]
    call.put("/v1/agent/maintenance?enable=false", at=0)
    call.put("/v1/agent/service/maintenance/web-0?enable=true", at=0)
    call.until("/v1/health/service/web", lambda r: "_service_maintenance:web-0" in
               [c["CheckID"] for c in r.json[0]["Checks"]], at=2)


# ---- HAProxy and resolvers ----

def test_haproxy(call):
    for i in range(40):
        call.put("/v1/agent/service/register", {
            "ID": f"hap{i}", "Name": "hap", "Port": 8000 + i, "Address": f"127.0.2.{i + 1}",
            "Tags": ["tag"], "Weights": {"Passing": 256 if i == 0 else 1, "Warning": 1}}, at=i % 3)
    call.everywhere("/v1/catalog/service/hap", lambda r: len(r.json) == 40)
    for agent in call.agents:
        for name in ("_hap._tcp.service.consul", "_hap._tcp.service.dc1.consul",
                     "_hap._tag.service.consul", "_hap._tcp.consul"):
            r = agent.dns(name, "SRV", use_edns=0, payload=8192)
            records = {(rr.port, rr.weight) for rrset in r.answer for rr in rrset}
            assert records == {(8000 + i, 256 if i == 0 else 1) for i in range(40)}
            targets = {str(rr.target) for rrset in r.answer for rr in rrset}
            assert {str(rrset.name) for rrset in r.additional
                    if rrset.rdtype == dns.rdatatype.A} == targets
            assert "7f000201.addr.dc1.consul." in targets and not r.flags & 0x200  # no TC
        assert agent.dns_data("7f000201.addr.dc1.consul") == ["127.0.2.1"]
        assert agent.dns("hap.service.consul", "AAAA").rcode() == 0
        assert len(agent.dns("hap.service.consul", "AAAA").answer) == 0
        assert agent.dns("none.service.consul", "A").rcode() == 3
        assert agent.dns_data("n1.node.consul") == [call.agents[0].address]


def test_resolvers(call):
    web(call, Address="127.0.3.1")
    agent = call.agents[2]
    # unbound as a stub: no recursion wanted, AA wanted; its minimised question does not end it
    q = dns.message.make_query("web.service.consul", "A", use_edns=0, payload=1232, want_dnssec=True)
    q.flags &= ~dns.flags.RD
    r = dns.query.udp(q, agent.address, 5, port=agent.dns_port)
    assert r.flags & dns.flags.AA and str(r.answer[0][0]) == "127.0.3.1"
    # glibc: no EDNS; a search list tries names that are not there
    for name in ("n1.service.consul", "nope.service.consul.service.consul"):
        assert agent.dns(name, "A").rcode() == 3
    assert len(agent.dns("web.service.consul", "A").answer) == 1
    # dnsmasq: TCP as the asker did, reverse questions
    assert str(agent.dns("web.service.consul", "A", tcp=True).answer[0][0]) == "127.0.3.1"
    reverse = agent.dns_data("1.3.0.127.in-addr.arpa", "PTR")
    assert reverse == ["web.service.dc1.consul."]
    # dig
    assert agent.dig("web.service.consul", "+short") == "127.0.3.1"
    assert "127.0.3.1" in agent.dig("web.service.consul", "ANY", "+short")
    assert agent.dig("-x", "127.0.3.1", "+short") == "web.service.dc1.consul."
    assert agent.dig("consul", "SOA", "+short").startswith("ns.consul. hostmaster.consul. ")
    assert sorted(agent.dig("consul", "NS", "+short").split()) == [
        f"n{i}.node.dc1.consul." for i in (1, 2, 3)]
    soa = agent.dns("none.service.consul", "A").authority
    assert str(soa[0][0]).startswith("ns.consul. hostmaster.consul. ")


# ---- consul-template ----

def test_consul_template(call):
    web(call)
    w = "stale&wait=60000ms"
    assert call.get("/v1/agent/self").json["Config"]["NodeName"] in ("n1", "n2", "n3")
    (found,) = call.get(f"/v1/health/service/web?passing=1&tag=a&{w}").json
    assert {c["Status"] for c in found["Checks"]} == {"passing"}
    assert len(call.get(f"/v1/health/service/web?{w}").json) == 1
    assert "web" in call.get(f"/v1/catalog/services?{w}").json
    assert len(call.get(f"/v1/catalog/nodes?{w}").json) == 3
    assert "web-0" in call.get(f"/v1/catalog/node/n1?{w}").json["Services"]
    assert call.get(f"/v1/catalog/datacenters?{w}").json == ["dc1"]
    missing = call.get(f"/v1/kv/ct/k?{w}", status=404, at=1)
    watch = Blocked(call.agents[1], f"/v1/kv/ct/k?stale&wait=60000ms&index={missing.index}")
    call.put("/v1/kv/ct/k", "v")
    assert value(watch.result().json[0]) == b"v"
    wait_until("it is there for stale readers", lambda: [e["Key"] for e in call.get(
        f"/v1/kv/ct/?recurse&{w}", status=200).json] == ["ct/k"])
    s = call.put("/v1/session/create", {"Behavior": "delete", "TTL": "15s",
                                        "LockDelay": "15s"}).json["ID"]
    key = "/v1/kv/consul-template/dedup/abc/data"
    assert call.put(f"{key}?acquire={s}&flags={LOCK_FLAGS}").json is True
    assert call.put(f"{key}?flags={LOCK_FLAGS}", b"\x00\x01packed").json is True
    entry = call.get(key + "?consistent").json[0]
    assert entry["Session"] == s and value(entry) == b"\x00\x01packed"
    assert call.put(f"/v1/session/destroy/{s}").json is True


# ---- fabio ----

def test_fabio(call):
    assert call.get("/v1/agent/self").json["Config"]["Datacenter"] == "dc1"
    call.put("/v1/agent/service/register", {
        "ID": "fabio-1", "Name": "fabio", "Address": "127.0.0.1", "Port": 9998, "Tags": None,
        "Checks": [
            {"HTTP": "http://127.0.0.1:9/health", "Interval": "600s", "Timeout": "3s",
             "DeregisterCriticalServiceAfter": "90m", "Status": "passing"},
            {"CheckID": "fabio-1-ttl", "TTL": "600s",
             "DeregisterCriticalServiceAfter": "2m"}]}, at=0)
    call.put("/v1/agent/check/update/fabio-1-ttl", {"Status": "passing", "Output": ""}, at=0)
    assert "fabio-1" in call.get("/v1/agent/services", at=0).json
    web(call, at=1)
    r = call.get("/v1/health/state/any?consistent=", at=2)
    by_id = {c["CheckID"]: c for c in r.json if c["Node"] == "n2"}
    assert by_id["serfHealth"]["Status"] == "passing" and by_id["serfHealth"]["ServiceID"] == ""
    assert by_id["service:web-1"]["ServiceName"] == "web"
    watch = Blocked(call.agents[2], f"/v1/health/state/any?consistent=&index={r.index}")
    call.put("/v1/agent/service/maintenance/web-1?enable=true", at=1)
    # fabio's own checks may still have news before that
    for _ in range(5):
        seen = watch.result()
        if "_service_maintenance:web-1" in [c["CheckID"] for c in seen.json]:
            break
        watch = Blocked(call.agents[2], f"/v1/health/state/any?consistent=&index={seen.index}")
    else:
        raise AssertionError(seen.text)
    (entry,) = call.get("/v1/catalog/service/web?consistent=").json
    assert (entry["Node"], entry["ServiceID"], entry["ServiceName"], entry["ServiceAddress"],
            entry["ServicePort"], entry["ServiceTags"]) == ("n2", "web-1", "web", "", 81, ["a", "b"])
    assert entry["Address"] == call.agents[1].address
    for key in ("config", "noroute.html"):
        r = call.get(f"/v1/kv/fabio/{key}?consistent=&recurse=", status=404, at=0)
        watch = Blocked(call.agents[0],
                        f"/v1/kv/fabio/{key}?consistent=&recurse=&index={r.index}")
        call.put("/v1/kv/elsewhere", "x")  # wakes it not: it would spin
        call.put(f"/v1/kv/fabio/{key}", "route add")
        assert value(watch.result().json[0]) == b"route add"
    call.put("/v1/agent/service/deregister/fabio-1", at=0)


# ---- Traefik ----

def test_traefik(call):
    web(call)
    r = call.get("/v1/catalog/services", at=0)
    watches = [Blocked(call.agents[0], f"/v1/catalog/services?index={r.index}&wait=15000ms")]
    call.get("/v1/catalog/service/web")
    r = call.get("/v1/health/state/any", at=0)
    watches.append(Blocked(call.agents[0], f"/v1/health/state/any?index={r.index}&wait=15000ms"))
    web(call, at=1, Name="more")
    assert "more" in watches[0].result().json
    assert watches[1].result().index > r.index
    assert len(call.get("/v1/health/service/web").json) == 1
    w = "wait=30000ms"
    for i in range(20):
        call.put(f"/v1/kv/traefik/backends/b{i}?{w}", "x")
        assert len(call.get(f"/v1/kv/traefik/backends/?consistent&recurse&{w}").json) == i + 1
        call.get(f"/v1/kv/traefik/backends/b{i}?consistent&{w}")
    r = call.get("/v1/kv/traefik?recurse", at=1)
    watch = Blocked(call.agents[1], f"/v1/kv/traefik?recurse&index={r.index}&wait=15000ms")
    s = call.put(f"/v1/session/create?{w}", {"Behavior": "release", "LockDelay": "1ms",
                                             "TTL": "20s"}).json["ID"]
    assert call.put(f"/v1/kv/traefik/leader?acquire={s}&flags={LOCK_FLAGS}&{w}", "t1").json is True
    assert watch.result().index > r.index
    assert call.put(f"/v1/session/renew/{s}?{w}").json[0]["ID"] == s
    assert call.put(f"/v1/session/destroy/{s}?{w}").json is True


def test_traefik_2(call):
    """Its provider pairs the two answers of a service by their places, and takes what passes or
    warns. Only services with the tag are asked for."""
    on = {"Tags": ["traefik.enable=true", "traefik.http.routers.web.rule=Host(`web.example.com`)"]}
    for at in range(3):
        web(call, at=at, **on)
    web(call, Name="other", ID="other-0")
    call.put("/v1/agent/check/fail/service:web-1", at=1)
    call.everywhere("/v1/health/service/web", lambda r: "critical" in r.text)
    for at in range(3):
        services = call.get("/v1/catalog/services", at=at).json
        assert [n for n, tags in services.items() if "traefik.enable=true" in tags] == ["web"]
        tag = "tag=traefik.enable%3Dtrue"
        catalog = call.get(f"/v1/catalog/service/web?{tag}", at=at).json
        health = call.get(f"/v1/health/service/web?{tag}", at=at).json
        assert len(catalog) == 3
        assert [s["ServiceID"] for s in catalog] == [h["Service"]["ID"] for h in health]
        up = {h["Service"]["ID"] for h in health
              if "critical" not in {c["Status"] for c in h["Checks"]}}
        assert up == {"web-0", "web-2"}
        assert catalog[0]["ServiceTags"] == on["Tags"]


# ---- Patroni ----

def test_patroni(call):
    call.headers = {"User-Agent": "Patroni/3.0.2 Python/3.11.2 Linux"}
    top = "/v1/kv/service/batman/"
    s = call.put("/v1/session/create", {"name": "batman-pg1", "checks": [], "ttl": "10.0s",
                                        "lockdelay": "0.001s", "behavior": "delete"}, at=0).json["ID"]
    assert call.put(f"/v1/session/renew/{s}").json[0]["TTL"] == "10.0s"
    call.put(f"/v1/session/renew/{GONE}", status=404)
    call.get(top + "?recurse=1", status=404)
    assert call.put(top + "initialize?cas=0", "7").json is True
    for name in ("config", "status", "history", "failover", "initialize"):
        assert call.put(top + name, "{}").json is True
    assert call.put(f"{top}leader?acquire={s}", "pg1").json is True
    for content in ("{}", '{"role":"master"}'):
        assert call.put(f"{top}members/pg1?acquire={s}", content).json is True
    keys = {e["Key"]: e for e in call.get(top + "?recurse=1").json}  # read after write, anywhere
    leader = keys["service/batman/leader"]
    assert leader["Session"] == s and keys["service/batman/members/pg1"]["Session"] == s
    watch = Blocked(call.agents[2],
                    f"{top}leader?index={leader['ModifyIndex']}&wait=1.9876543210987654s")
    assert watch.result().index == leader["ModifyIndex"] and watch.seconds > 1.9
    other = call.put("/v1/session/create", {"name": "batman-pg2", "checks": [], "ttl": "10.0s",
                                            "lockdelay": "0.001s", "behavior": "delete"}).json["ID"]
    assert call.put(f"{top}leader?acquire={other}", "pg2").json is False
    assert call("DELETE", f"{top}leader?cas={leader['ModifyIndex']}").json is True

    answer = {"status": 200}

    def serve(sock):
        while True:
            try:
                c, _ = sock.accept()
            except OSError:
                return
            c.recv(4096)
            c.sendall(f"HTTP/1.0 {answer['status']} x\r\n\r\n".encode())
            c.close()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        threading.Thread(target=serve, args=(sock,), daemon=True).start()
        port = sock.getsockname()[1]
        call.put("/v1/agent/service/register", {
            "id": "batman/pg1", "name": "batman", "address": "127.0.0.1", "port": 5432,
            "tags": ["master", "primary"], "enabletagoverride": True, "check": {
                "http": f"http://127.0.0.1:{port}/master", "interval": "1s",
                "DeregisterCriticalServiceAfter": "100.0s"}}, at=0)
        passing = "/v1/health/service/batman?passing&tag=primary"
        call.everywhere(passing, lambda r: len(r.json) == 1)
        answer["status"] = 503
        call.everywhere(passing, lambda r: r.json == [])
        sock.shutdown(socket.SHUT_RDWR)
    r = call.put("/v1/session/create", {"ttl": "5.0s"}, status=500)
    assert r.text.startswith("Invalid Session TTL")
    assert "SessionTTLMin" in call.get("/v1/agent/self").json["DebugConfig"]
    call.put("/v1/agent/service/deregister/batman/pg1", at=0)
    call.put(f"/v1/session/destroy/{s}")
    call.get(top + "members/pg1", status=404)
    call.put(f"/v1/session/destroy/{other}")
