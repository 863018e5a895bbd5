"""py_client.py PAGE-PORT HOST...: the module `consul` that PYTHONPATH finds first -- python-consul
0.7 or python-consul2 -- against the agents of one cluster: writes go to one, reads to another.
"""
import http.server
import sys
import threading
import time

import consul

TWO = hasattr(consul.Consul, "Txn")  # python-consul2
page_port, *hosts = int(sys.argv[1]), *sys.argv[2:]
a, b, c = (consul.Consul(host=h) for h in hosts)


def until(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        assert time.monotonic() < end, f"{what}: last {got!r}"
        time.sleep(0.02)


def serve_page():
    class Fine(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.headers.get("x-from", "a") == "a" else 500)
            self.end_headers()

        def log_message(self, *unused):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", page_port), Fine)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def status():
    assert a.status.leader() == c.status.leader() != ""
    assert len(a.status.peers()) == 3 and sorted(a.status.peers()) == sorted(b.status.peers())
    assert a.agent.self()["Config"]["NodeName"] == "n1"
    assert {m["Name"] for m in a.agent.members()} == {"n1", "n2", "n3"}
    assert a.catalog.datacenters() == ["dc1"]
    assert a.agent.join(hosts[1]) is TWO  # 0.7 asks with GET, see services()


def services():
    check = consul.Check
    assert a.agent.service.register(
        "web", service_id="web/1", address="10.1.1.1", port=80, tags=["blue", "v1"],
        check=check.ttl("60s")) is True
    assert a.agent.services()["web/1"]["Tags"] == ["blue", "v1"]
    assert a.agent.checks()["service:web/1"]["Status"] == "critical"
    until("web is elsewhere", lambda: c.catalog.service("web")[1])
    assert c.health.service("web", passing=True)[1] == []
    index, _ = c.health.service("web")
    soon = threading.Timer(0.3, lambda: a.agent.check.ttl_pass("service:web/1", notes="fine"))
    if TWO:
        soon.start()
    else:  # python-consul 0.7 asks with GET, which Consul of its time allowed; 405 is its False
        assert a.agent.check.ttl_pass("service:web/1") is False
        threading.Timer(0.3, lambda: a.agent.service.register(
            "web", service_id="web/1", address="10.1.1.1", port=80, tags=["blue", "v1"],
            check=check.http(f"http://127.0.0.1:{page_port}/", "1s", timeout="1s"))).start()
    until("web passes", lambda: follow("web", index))
    (found,) = c.health.service("web", passing=True, tag="blue")[1]
    assert found["Node"]["Node"] == "n1" and found["Service"]["Address"] == "10.1.1.1"
    assert c.health.service("web", tag="green")[1] == []
    (found,) = b.catalog.service("web", tag="v1")[1]
    assert (found["ServiceID"], found["ServicePort"]) == ("web/1", 80)
    assert b.catalog.services()[1]["web"] == ["blue", "v1"]
    assert "web/1" in b.catalog.node("n1")[1]["Services"]
    assert b.catalog.node("none")[1] is None
    assert [x["CheckID"] for x in b.health.checks("web")[1]] == ["service:web/1"]
    assert {x["CheckID"] for x in b.health.node("n1")[1]} >= {"serfHealth", "service:web/1"}
    assert any(x["CheckID"] == "service:web/1" for x in b.health.state("passing")[1])
    assert {n["Node"] for n in b.catalog.nodes()[1]} >= {"n1", "n2", "n3"}

    assert a.agent.service.maintenance("web/1", True, "for a test") is True
    until("in maintenance", lambda: not c.health.service("web", passing=True)[1])
    assert a.agent.service.maintenance("web/1", False) is True
    until("and back", lambda: c.health.service("web", passing=True)[1])
    assert a.agent.maintenance(True, "all of it") is True
    until("the node in maintenance", lambda: not c.health.service("web", passing=True)[1])
    assert a.agent.maintenance(False) is True
    until("the node is back", lambda: c.health.service("web", passing=True)[1])

    assert a.agent.check.register("tcp", check=check.tcp("127.0.0.1", page_port, "1s"),
                                  check_id="open", service_id="web/1") is True
    until("the TCP check passes", lambda: a.agent.checks()["open"]["Status"] == "passing")
    assert a.agent.check.deregister("open") is TWO
    assert a.agent.service.deregister("web/1") is TWO
    if not TWO:
        a.http.put(consul.base.CB.bool(), "/v1/agent/service/deregister/web/1")
    until("web is gone everywhere", lambda: not c.catalog.service("web")[1])


def follow(name, index, seconds=20):
    """As a client does that waits: the next answer, and the next."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        index, found = c.health.service(name, passing=True, index=index, wait="2s")
        if found:
            return True
    return False


def healthy():
    try:
        return a.operator.autopilot.health()["Healthy"]
    except consul.base.ClientError:  # 429: one of them had no time for a moment
        return False


def more_of_two():
    assert a.agent.service.register(
        "api", port=81, meta={"zone": "z1"},
        check=consul.Check.http(f"http://127.0.0.1:{page_port}/", "1s", header={"x-from": ["a"]}))
    until("api passes", lambda: c.health.service("api", passing=True)[1])
    assert c.health.service("api")[1][0]["Service"]["Meta"] == {"zone": "z1"}
    assert a.agent.check.register("ttl", check=consul.Check.ttl("60s"), check_id="mine") is True
    for call, want in ((a.agent.check.ttl_pass, "passing"), (a.agent.check.ttl_warn, "warning"),
                       (a.agent.check.ttl_fail, "critical")):
        assert call("mine", notes=want + " it is") is True
        mine = a.agent.checks()["mine"]
        assert (mine["Status"], mine["Output"]) == (want, want + " it is")
    assert a.agent.check.deregister("mine") is True
    assert a.agent.service.deregister("api") is True

    done = a.txn.put([{"KV": {"Verb": "set", "Key": "t/x", "Value": "dg=="}},
                      {"KV": {"Verb": "get", "Key": "t/x"}}])
    assert done["Errors"] is None and done["Results"][1]["KV"]["Value"] == "dg=="
    assert b.kv.get("t/x")[1]["Value"] == b"v"
    assert len(a.operator.raft.configuration()["Servers"]) == 3
    assert "CleanupDeadServers" in a.operator.autopilot.configuration()
    until("all are healthy", healthy)
    kept = a.snapshot.get()
    assert b.kv.delete("t/", recurse=True) is True
    b.snapshot.put(kept)
    assert c.kv.get("t/x")[1]["Value"] == b"v"
    assert c.kv.delete("t/", recurse=True) is True


def catalog():
    assert a.catalog.register("ext", "192.0.2.7", service={
        "Service": "mail", "ID": "mail1", "Port": 25, "Tags": ["mx"]}, check={
        "Node": "ext", "CheckID": "service:mail1", "Name": "m", "Status": "passing",
        "ServiceID": "mail1"}) is True
    until("it is elsewhere", lambda: c.health.service("mail", passing=True)[1])
    (found,) = c.catalog.service("mail")[1]
    assert (found["Address"], found["ServicePort"]) == ("192.0.2.7", 25)
    assert a.catalog.deregister("ext", service_id="mail1") is True
    until("the service is gone", lambda: not c.catalog.service("mail")[1])
    assert a.catalog.deregister("ext") is True
    until("the node is gone", lambda: c.catalog.node("ext")[1] is None)


def events():
    fired = a.event.fire("deploy", "v42")
    assert fired["Name"] == "deploy" if isinstance(fired, dict) else fired
    until("the event is elsewhere",
          lambda: any(e["Name"] == "deploy" and e["Payload"] in (b"v42", "v42", "djQy")
                      for e in b.event.list("deploy")[1]))


def keys():
    assert a.kv.put("k/a", "one", flags=5, cas=0) is True
    assert b.kv.put("k/a", "two", cas=0) is False
    index, entry = c.kv.get("k/a")
    assert entry["Value"] == b"one" and entry["Flags"] == 5 and "Session" not in entry
    threading.Timer(0.3, lambda: a.kv.put("k/a", "three")).start()
    _, entry = c.kv.get("k/a", index=index, wait="10s")
    assert entry["Value"] == b"three"
    assert a.kv.get("k/", keys=True, separator="/")[1] == ["k/a"]
    assert c.kv.get("k/none")[1] is None
    held = a.session.create(name="s", ttl=15, behavior="delete", lock_delay=0)
    assert b.kv.put("k/lock", "me", acquire=held) is True
    assert c.kv.get("k/lock")[1]["Session"] == held
    assert c.session.info(held)[1]["Node"] == "n1"
    assert [x["ID"] for x in b.session.node("n1")[1]] == [held]
    assert held in [x["ID"] for x in b.session.list()[1]]
    assert b.session.renew(held)["TTL"] == "15s"
    assert b.session.destroy(held) is True
    assert c.kv.get("k/lock")[1] is None
    assert c.kv.delete("k/", recurse=True) is True
    assert len(a.operator.raft_config()["Servers"]) == 3


def queries():
    assert a.agent.service.register(
        "q-web", port=80, tags=["blue"],
        check=consul.Check.http(f"http://127.0.0.1:{page_port}/", "1s")) is True
    until("it passes", lambda: c.health.service("q-web", passing=True)[1])
    # both clients make every query a template, which answers for all names that begin like its own
    made = a.query.create("q-web", name="py-q", onlypassing=True, tags=["blue"], nearestn=2,
                          ttl="10s")["ID"]
    assert c.query.get(made)[0]["Service"]["Service"] == "q-web"
    assert made in [q["ID"] for q in b.query.list()]
    found = until("the query finds it", lambda: c.query.execute("py-q", limit=1)["Nodes"])
    assert [n["Service"]["Service"] for n in found] == ["q-web"]
    assert b.query.explain("py-q")["Query"]["Name"] == "py-q"
    assert b.query.update(made, service="q-web", name="py-q", tags=["green"]) is True
    assert c.query.execute("py-q")["Nodes"] == []
    assert c.query.delete(made) is True
    assert made not in [q["ID"] for q in a.query.list()]
    a.http.put(consul.base.CB.bool(), "/v1/agent/service/deregister/q-web")


def coordinates():
    assert [d["Datacenter"] for d in a.coordinate.datacenters()] == ["dc1"]
    until("all have coordinates",
          lambda: {x["Node"] for x in b.coordinate.nodes()[1]} >= {"n1", "n2", "n3"}, 60)


serve_page()
parts = [status, services, catalog, events, keys, queries, coordinates]
for part in parts + ([more_of_two] if TWO else []):
    print(part.__name__, flush=True)
    part()
print("fine")
