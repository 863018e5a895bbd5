"""Every call that Consul's own clients were seen to make, in Go and older ones, with what they rely
on in the answer. (Recipes of keys alone, such as Docker's and the Go client's: test_keys.py; other
programs: test_ecosystem_programs.py.)
"""
import base64
import gzip
import json
import signal
import socket
import time

from ecosystem_harness import call, three, web  # noqa: F401  (fixtures)
from harness import wait_until
from test_keys import GONE, LOCK_FLAGS, SEMAPHORE_FLAGS, Blocked, value

# ---- what holds for all of them: requests ----

def test_waits_in_any_spelling_and_place(call):
    for wait, least in (("1ms", 0), ("0.25s", 0.25), ("300ms", 0.3), ("0.2843212345678901s", 0.28)):
        index = call.get("/v1/kv/none", status=404, at=0).index
        begun = time.monotonic()
        call.get(f"/v1/kv/none?index={index}&wait={wait}", status=404, at=0)
        assert least * 0.99 <= time.monotonic() - begun < least + 5
    begun = time.monotonic()
    for path in ("/v1/catalog/nodes?wait=15000ms", "/v1/catalog/services?index=0&wait=120000ms",
                 "/v1/agent/self?wait=10s", "/v1/agent/services?wait=30000ms"):
        call.get(path)  # no index, no wait
    call.put("/v1/kv/w?wait=30000ms", "x")
    call("DELETE", "/v1/kv/w?wait=3000ms")
    assert time.monotonic() - begun < 10


def test_flags_count_by_their_presence(call):
    call.put("/v1/kv/f/a", "1")
    for at in range(3):  # a stale reader may be a moment behind
        wait_until("the key is there", lambda: call.agents[at].get("/v1/kv/f/a?stale").status == 200)
    for word in ("", "=", "=1", "=true", "=True"):
        assert call.get(f"/v1/kv/f/?recurse{word}&stale{word}").json[0]["Key"] == "f/a"
        assert call.get(f"/v1/kv/f/?keys{word}&consistent{word}").json == ["f/a"]
        assert call.get(f"/v1/kv/f/a?raw{word}").body == b"1"
        assert call.get(f"/v1/health/service/none?passing{word}&cached{word}").json == []
    for on, off in (("true", "false"), ("True", "False")):
        call.put(f"/v1/agent/maintenance?enable={on}", at=0)
        assert "_node_maintenance" in call.get("/v1/agent/checks", at=0).json
        call.put(f"/v1/agent/maintenance?enable={off}", at=0)
        assert "_node_maintenance" not in call.get("/v1/agent/checks", at=0).json
    assert call.put("/v1/agent/maintenance", status=400).text == "Missing value for enable"


def test_parameters_that_repeat_or_mean_nothing(call):
    web(call)
    for path, found in (("tag=a&tag=b", 1), ("tag=a&tag=no", 0), ("node-meta=no:v", 0),
                        ("index=0", 1), ("near=_agent", 1), ("merge-central-config", 1),
                        ("some=thing&else", 1)):
        assert len(call.get("/v1/health/service/web?" + path).json) == found, path
        assert len(call.get("/v1/catalog/service/web?" + path).json) == found, path
    assert call.get("/v1/agent/members?wan=1&segment").status == 200
    call.get("/v1/agent/members?segment=blue", status=500)


def test_bodies_in_any_case_and_with_empty_members(call):
    call.put("/v1/agent/service/register", {
        "name": "py", "id": "py:1", "tags": ["x"], "port": 1, "address": "", "enabletagoverride": True,
        "check": {"http": "http://127.0.0.1:9/", "interval": "600s", "timeout": "0.001s",
                  "DeregisterCriticalServiceAfter": "100.0s"}}, at=0)
    got = call.get("/v1/agent/services", at=0).json["py:1"]
    assert got["EnableTagOverride"] is True and got["Tags"] == ["x"] and got["Port"] == 1
    call.put("/v1/agent/service/register", {
        "ID": "go", "Name": "go", "Check": None, "Checks": None, "Tags": None, "Meta": None,
        "Weights": None, "Connect": None, "Proxy": None, "Port": 0, "Address": "", "Kind": "",
        "EnableTagOverride": False}, at=0)
    got = call.get("/v1/agent/services", at=0).json["go"]
    assert got["Tags"] == [] and got["Meta"] == {} and got["Weights"] == {"Passing": 1, "Warning": 1}
    s = call.put("/v1/session/create", {"name": "s", "lockdelay": "0.001s", "ttl": "10.0s",
                                        "behavior": "delete", "checks": []}).json["ID"]
    (info,) = call.get(f"/v1/session/info/{s}").json
    assert info["TTL"] == "10.0s" and info["LockDelay"] == 1000000
    call.put(f"/v1/session/destroy/{s}")
    s = call.put("/v1/session/create").json["ID"]  # with an empty body
    assert call.put(f"/v1/session/destroy/{s}").json is True


def test_headers_do_not_matter(call):
    for kind in (None, "application/octet-stream", "text/plain; charset=utf-8",
                 "application/json; charset=utf-8"):
        headers = {} if kind is None else {"Content-Type": kind}
        call.put("/v1/kv/h", "x", **headers)
        call.put("/v1/agent/service/register", json.dumps({"Name": "h"}), at=0, **headers)
    for headers in ({"X-Consul-Token": "root"}, {"Authorization": "Basic Og=="}):
        assert call.get("/v1/kv/h?raw", **headers).body == b"x"
    assert call.get("/v1/kv/h?raw&token=root").body == b"x"
    call.put("/v1/kv/big", "y" * 20000)
    for accepted in ("gzip", "gzip, deflate", "identity"):
        r = call.get("/v1/kv/big", **{"Accept-Encoding": accepted})
        packed = r.headers.get("Content-Encoding") == "gzip"
        assert not packed or "gzip" in accepted
        body = gzip.decompress(r.body) if packed else r.body
        assert value(json.loads(body)[0]) == b"y" * 20000


def test_methods_of_old_clients(call):
    """python-consul 0.7 asks so; it takes the 405 as "no"."""
    web(call)
    for path in ("service/deregister/web-0", "check/deregister/service:web-0",
                 "check/pass/service:web-0", "check/warn/service:web-0", "check/fail/service:web-0",
                 "join/127.0.0.1", "force-leave/nobody"):
        r = call.get("/v1/agent/" + path, at=0, status=405)
        assert "PUT" in r.headers["Allow"]
    assert call.get("/v1/health/service/web?passing=1", at=0).json != []


def test_ids_with_slashes_and_colons(call):
    call.put("/v1/agent/service/register", {"ID": "pgtest/pa", "Name": "pgtest",
                                            "Check": {"TTL": "600s"}}, at=0)
    call.put("/v1/agent/check/pass/service:pgtest/pa", at=0)
    call.put("/v1/agent/service/maintenance/pgtest/pa?enable=true", at=0)
    assert "_service_maintenance:pgtest/pa" in call.get("/v1/agent/checks", at=0).json
    call.put("/v1/agent/service/maintenance/pgtest/pa?enable=false", at=0)
    call.put("/v1/agent/service/deregister/pgtest/pa", at=0)
    assert "pgtest/pa" not in call.get("/v1/agent/services", at=0).json


def test_the_whole_store(call):
    for key in ("a", "b/c"):
        call.put("/v1/kv/" + key, "x")
    assert call.get("/v1/kv/?keys=true").json == ["a", "b/c"]
    assert [e["Key"] for e in call.get("/v1/kv/?recurse=true").json] == ["a", "b/c"]
    assert call.get("/v1/kv/", status=400).text.startswith("Missing key name")
    assert call("DELETE", "/v1/kv/?recurse=true").json is True
    call.get("/v1/kv/?recurse=true", status=404)


def test_the_client_goes_in_the_middle_of_a_wait(call):
    agent = call.agents[0]

    def held():
        return int(agent.get("/v1/agent/self").json["Stats"]["muster"]["waiting_queries"])
    before = held()
    s = socket.create_connection((agent.address, agent.http_port))
    index = agent.get("/v1/kv/none").index
    s.sendall(f"GET /v1/kv/none?index={index}&wait=60s HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    wait_until("it is held", lambda: held() > before)
    s.close()
    wait_until("it is let go", lambda: held() <= before)


# ---- and answers ----

def test_a_blocked_query_comes_back_with_the_same_index(call):
    web(call)
    for path in ("/v1/catalog/services", "/v1/catalog/nodes", "/v1/catalog/service/web",
                 "/v1/health/service/web", "/v1/health/state/any", "/v1/health/node/n1"):
        # the last changes of the pool may still come in: then the query wakes, and we ask again
        for _ in range(20):
            first = call.get(path, at=0)
            again = call.get(f"{path}?index={first.index}&wait=50ms", at=0)
            if again.index == first.index:
                break
        assert again.index == first.index and again.body == first.body, path
    call.put("/v1/kv/k", "x")
    for path, status in (("/v1/kv/k", 200), ("/v1/kv/none", 404), ("/v1/kv/none/?recurse", 404),
                         ("/v1/session/list", 200)):
        first = call.get(path, at=0, status=status)
        mark = "&" if "?" in path else "?"
        again = call.get(f"{path}{mark}index={first.index}&wait=50ms", at=0, status=status)
        assert again.index == first.index > 0 and again.body == first.body, path


def test_what_is_not_there(call):
    for path in ("/v1/health/service/none", "/v1/catalog/service/none", "/v1/health/checks/none",
                 "/v1/health/node/none", f"/v1/session/info/{GONE}", "/v1/event/list?name=none"):
        assert call.get(path).json == [], path
    assert call.get("/v1/catalog/node/none").json is None
    assert call.get("/v1/kv/none", status=404).index > 0


def test_entries_of_keys(call):
    call.put("/v1/kv/e/empty")
    call.put("/v1/kv/e/full?flags=7", b"\x00\xff")
    empty, full = call.get("/v1/kv/e/?recurse").json
    assert set(empty) == {"LockIndex", "Key", "Flags", "Value", "CreateIndex", "ModifyIndex"}
    assert empty["Value"] is None and value(full) == b"\x00\xff" and full["Flags"] == 7


def test_statuses_and_texts(call):
    call.put("/v1/agent/service/register", {"Name": "h", "Check": {
        "HTTP": "http://127.0.0.1:9/", "Interval": "600s"}}, at=0)
    r = call.put("/v1/agent/check/pass/service:h", at=0, status=500)
    assert 'CheckID "service:h" does not have associated TTL' in r.text
    assert "No path to datacenter" in call.get("/v1/catalog/nodes?dc=none", status=500).text
    assert "No path to datacenter" in call.get("/v1/status/leader?dc=none", status=500).text
    call.get("/v1/session/info/no-uuid", status=500)
    call.put(f"/v1/session/renew/{GONE}", status=404)
    assert call.put(f"/v1/session/destroy/{GONE}").json is True
    assert call.put("/v1/session/create", {"ttl": "5s"}, status=500).text.startswith(
        "Invalid Session TTL")
    assert "invalid session" in call.put(f"/v1/kv/x?acquire={GONE}", "x", status=500).text
    r = call.put("/v1/txn", [{"KV": {"Verb": "cas", "Key": "x", "Index": 9, "Value": ""}}],
                 status=409)
    assert r.json["Results"] is None and r.json["Errors"][0]["OpIndex"] == 0
    assert r.json["Errors"][0]["What"]
    assert "PUT" in call.get("/v1/session/create", status=405).headers["Allow"]


def test_a_write_of_the_same_wakes_nobody(call):
    s = call.put("/v1/session/create", {"TTL": "60s"}).json["ID"]
    for query in ("", "?flags=5", f"?acquire={s}"):
        call.put("/v1/kv/same" + query, "x")
        index = call.get("/v1/kv/same").index
        watch = Blocked(call.agents[1], f"/v1/kv/same?index={index}&wait=500ms")
        call.put("/v1/kv/same" + query, "x")
        assert watch.result().index == index and watch.seconds >= 0.49
    call.put(f"/v1/session/destroy/{s}")


# ---- the Go client and its test suite ----

def test_go_client_agent(call):
    me = call.get("/v1/agent/self", at=0).json
    assert me["Config"]["NodeName"] == "n1" and me["Member"]["Name"] == "n1"
    assert {m["Name"] for m in call.get("/v1/agent/members").json} == {"n1", "n2", "n3"}
    assert call.get("/v1/agent/members?wan=1&segment=", at=0).json[0]["Name"] == "n1"
    call.put("/v1/agent/service/register", {
        "ID": "foo", "Name": "foo", "Tags": ["bar"], "Port": 8000, "Meta": {"k": "v"},
        "Check": {"TTL": "600s"}}, at=0)
    call.put("/v1/agent/service/register?replace-existing-checks=true", {
        "ID": "foo", "Name": "foo", "Tags": ["bar"], "Port": 8000, "Checks": [
            {"CheckID": "one", "TTL": "600s"}, {"CheckID": "two", "TTL": "600s"}]}, at=0)
    assert {i for i, c in call.get("/v1/agent/checks", at=0).json.items()
            if c["ServiceID"] == "foo"} == {"one", "two"}
    assert list(call.get("/v1/agent/services?filter=foo+in+Service", at=0).json) == ["foo"]
    assert list(call.get('/v1/agent/checks?filter=CheckID+==+"two"', at=0).json) == ["two"]
    r = call.get("/v1/agent/service/foo", at=0)
    seen = r.headers["X-Consul-ContentHash"]
    assert r.json["ContentHash"] == seen
    again = call.get(f"/v1/agent/service/foo?hash={seen}&wait=100ms", at=0)
    assert again.json["ContentHash"] == seen
    call.get("/v1/agent/service/none", at=0, status=404)

    def health(status):
        r = call.get("/v1/agent/health/service/id/foo?format=json", at=0, status=status)
        named = call.get("/v1/agent/health/service/name/foo?format=json", at=0, status=status)
        assert named.json[0]["AggregatedStatus"] == r.json["AggregatedStatus"]
        return r.json["AggregatedStatus"]
    assert health(503) == "critical"
    call.put("/v1/agent/check/pass/one?note=good", at=0)
    call.put("/v1/agent/check/warn/two?note=meh", at=0)
    assert health(429) == "warning"
    call.put("/v1/agent/check/update/two", {"Status": "passing", "Output": "fine"}, at=0)
    assert health(200) == "passing"
    checks = call.get("/v1/agent/checks", at=0).json
    assert (checks["one"]["Output"], checks["two"]["Output"]) == ("good", "fine")
    call.put("/v1/agent/check/fail/one?note=bad", at=0)
    assert health(503) == "critical"
    call.get("/v1/agent/health/service/id/none?format=json", at=0, status=404)
    call.put("/v1/agent/service/maintenance/foo?enable=true&reason=why", at=0)
    assert health(503) == "maintenance"
    call.put("/v1/agent/service/maintenance/foo?enable=false", at=0)
    call.put("/v1/agent/check/register", {"ID": "own", "Name": "own", "TTL": "60s"}, at=0)
    call.put("/v1/agent/check/deregister/own", at=0)
    call.put(f"/v1/agent/join/{call.agents[1].address}", at=0)
    call.put("/v1/agent/force-leave/nobody?prune=1", at=0, status=500)
    call.put("/v1/agent/service/deregister/foo", at=0)
    call.put("/v1/agent/service/deregister/none", at=0, status=200)


def test_go_client_catalog_and_health(call):
    web(call)
    assert call.get("/v1/catalog/datacenters").json == ["dc1"]
    for path in ("/v1/catalog/nodes", "/v1/catalog/nodes?index=0"):
        r = call.get(path)
        assert r.index >= 2 and {n["Node"] for n in r.json} == {"n1", "n2", "n3"}
    assert call.get("/v1/catalog/nodes?node-meta=no:v").json == []
    assert [n["Node"] for n in call.get('/v1/catalog/nodes?filter=Node+==+n2').json] == ["n2"]
    assert "web" in call.get("/v1/catalog/services").json
    assert call.get("/v1/catalog/services?node-meta=no:v").json == {}
    assert len(call.get("/v1/catalog/service/web?tag=a&tag=b").json) == 1
    assert call.get("/v1/catalog/service/web?node-meta=no:v").json == []
    r = call.get("/v1/catalog/service/web?cached")
    assert r.headers["X-Cache"] == "MISS" or int(r.headers["Age"]) >= 0
    assert len(call.get('/v1/catalog/service/web?filter=ServiceMeta.zone+==+z1').json) == 1
    assert "web-0" in call.get("/v1/catalog/node/n1?filter=Service+==+web").json["Services"]
    assert "web-0" in [s["ID"] for s in call.get("/v1/catalog/node-services/n1").json["Services"]]
    assert "serfHealth" in [c["CheckID"] for c in call.get("/v1/health/node/n1").json]
    assert len(call.get("/v1/health/node/n1?filter=CheckID+==+serfHealth").json) == 1
    for path, found in (("checks/web", 1), ("checks/web?node-meta=no:v", 0),
                        ("checks/web?filter=Status+==+critical", 0),
                        ("service/web?passing=1&tag=a", 1),
                        ("service/web?passing=1&node-meta=no:v", 0),
                        ("service/web?filter=Checks.Status+==+passing", 1),
                        ("state/critical?node-meta=no:v", 0),
                        ("state/passing?filter=ServiceName+==+web", 1)):
        assert len(call.get("/v1/health/" + path).json) == found, path
    assert call.get("/v1/status/leader?dc=dc1").json
    assert len(call.get("/v1/status/peers?dc=dc1").json) == 3


def test_go_client_keys_sessions_and_txn(call):
    flags = f"flags={LOCK_FLAGS}"
    assert call.put("/v1/kv/app/k?flags=5&cas=0", "v").json is True
    r = call.get("/v1/kv/app/k?consistent")
    index = r.json[0]["ModifyIndex"]
    assert call.put(f"/v1/kv/app/k?cas={index}", "w").json is True
    assert call.get("/v1/kv/app/?keys&separator=/").json == ["app/k"]
    s = call.put("/v1/session/create", {
        "Name": "Consul API Lock", "Node": "n1", "TTL": "15s", "LockDelay": "1ms",
        "Behavior": "delete", "NodeChecks": ["serfHealth"], "ServiceChecks": None}).json["ID"]
    assert call.put(f"/v1/kv/app/lock?acquire={s}&{flags}", "who").json is True
    held = call.get("/v1/kv/app/lock?consistent")
    assert held.json[0]["Session"] == s and held.json[0]["Flags"] == LOCK_FLAGS
    watch = Blocked(call.agents[2], f"/v1/kv/app/lock?consistent=&index={held.index}")
    assert call.put(f"/v1/kv/app/lock?release={s}&{flags}", "who").json is True
    assert "Session" not in watch.result().json[0]
    assert call.put(f"/v1/kv/sem/.lock?cas=0&flags={SEMAPHORE_FLAGS}", "{}").json is True
    assert call.get("/v1/kv/sem/.lock").json[0]["Flags"] == SEMAPHORE_FLAGS
    assert call.put(f"/v1/session/renew/{s}").json[0]["ID"] == s
    assert s in [x["ID"] for x in call.get("/v1/session/list").json]
    assert s in [x["ID"] for x in call.get("/v1/session/node/n1").json]
    assert call.put(f"/v1/session/destroy/{s}").json is True
    done = call.put("/v1/txn", [
        {"KV": {"Verb": "set", "Key": "t", "Value": base64.b64encode(b"v").decode()}},
        {"KV": {"Verb": "get", "Key": "t"}}]).json
    assert done["Results"][1]["KV"]["Key"] == "t"
    index = call.get("/v1/kv/app/k").json[0]["ModifyIndex"]
    assert call("DELETE", "/v1/kv/app/k?cas=1").json is False
    assert call("DELETE", f"/v1/kv/app/k?cas={index}").json is True
    assert call("DELETE", "/v1/kv/app?recurse").json is True


def test_go_client_events(call):
    fired = call.put("/v1/event/fire/eco", b"\x00raw").json
    r = call.until("/v1/event/list?name=eco",
                   lambda r: fired["ID"] in [e["ID"] for e in r.json], at=1)
    assert base64.b64decode(r.json[-1]["Payload"]) == b"\x00raw"
    watch = Blocked(call.agents[1], f"/v1/event/list?name=eco&index={r.index}")
    next_one = call.put("/v1/event/fire/eco", b"two").json
    assert watch.result().json[-1]["ID"] == next_one["ID"]
    assert watch.answer.index != r.index


def test_go_client_queries(call):
    web(call)
    made = call("POST", "/v1/query", {
        "ID": "", "Name": "go-q", "Session": "", "Token": "", "Service": {
            "Service": "web", "Near": "", "Failover": {"NearestN": 0, "Datacenters": None},
            "IgnoreCheckIDs": None, "OnlyPassing": True, "Tags": ["a"], "NodeMeta": None,
            "ServiceMeta": None}, "DNS": {"TTL": ""},
        "Template": {"Type": "", "Regexp": ""}}).json["ID"]
    (stored,) = call.get(f"/v1/query/{made}").json
    assert stored["Name"] == "go-q" and stored["Service"]["Tags"] == ["a"]
    assert made in [q["ID"] for q in call.get("/v1/query").json]
    for name in ("go-q", made):
        got = call.get(f"/v1/query/{name}/execute").json
        assert [n["Service"]["ID"] for n in got["Nodes"]] == ["web-0"]
    assert call.get("/v1/query/go-q/explain").json["Query"]["Service"]["Service"] == "web"
    call.put(f"/v1/query/{made}", {"Name": "go-q", "Service": {"Service": "none"}})
    assert call.get("/v1/query/go-q/execute").json["Nodes"] == []
    call("DELETE", f"/v1/query/{made}")
    call.get(f"/v1/query/{made}", status=404)


def test_go_client_operator(call):
    assert [d["Datacenter"] for d in call.get("/v1/coordinate/datacenters").json] == ["dc1"]
    assert {n["Node"] for n in call.get("/v1/coordinate/nodes").json} <= {"n1", "n2", "n3"}
    assert len(call.get("/v1/operator/raft/configuration").json["Servers"]) == 3
    call("DELETE", "/v1/operator/raft/peer?address=192.0.2.1:8300", status=500)
    config = call.get("/v1/operator/autopilot/configuration").json
    assert call.put(f"/v1/operator/autopilot/configuration?cas={config['ModifyIndex']}",
                    config).json is True
    wait_until("all are healthy", lambda: call.agents[1].get(
        "/v1/operator/autopilot/health").json["Healthy"], 20)
    kept = call.get("/v1/snapshot").body
    call.put("/v1/snapshot", kept)
    call.put("/v1/snapshot", b"no snapshot", status=400)


def test_go_client_autopilot_state(call):
    ids = {n["Node"]: n["ID"] for n in call.get("/v1/catalog/nodes").json}
    call.until("/v1/operator/autopilot/state", lambda r: r.json["Healthy"], 20)
    for at in range(3):
        s = call.get("/v1/operator/autopilot/state", at=at).json
        assert (s["FailureTolerance"], s["OptimisticFailureTolerance"]) == (1, 1)
        assert set(s["Servers"]) == set(s["Voters"]) == set(ids.values())
        leader = s["Servers"][s["Leader"]]
        assert call.get("/v1/status/leader").json == leader["Address"]
        assert sorted(x["Status"] for x in s["Servers"].values()) == ["leader", "voter", "voter"]
        for ident, x in s["Servers"].items():
            assert x["ID"] == ident == ids[x["Name"]]
            assert (x["NodeStatus"], x["Healthy"], x["NodeType"], x["ReadReplica"]) == (
                "alive", True, "voter", False)
            assert x["LastContact"].endswith("s") and x["LastTerm"] > 0 and x["LastIndex"] > 0
            assert x["Meta"]["consul-network-segment"] == "" and x["StableSince"].endswith("Z")
            assert x["Version"] == call.get("/v1/agent/self").json["Config"]["Version"]
    call.get("/v1/operator/autopilot/state?dc=none", status=500)


COORD = {"Vec": [0.5, -1.5, 2.0, 0, 0, 0, 0, 0.25], "Error": 1.5, "Adjustment": 0.001,
         "Height": 0.00001}


def test_go_client_coordinates(call):
    """An agent tells its own some time after its start (test_gossip.py waits for that); here that of
    a node without an agent, which its test suite does."""
    (dc,) = call.get("/v1/coordinate/datacenters").json
    assert dc["Datacenter"] == "dc1" and dc["AreaID"] == "wan"
    assert {n["Node"] for n in dc["Coordinates"]} <= {"n1.dc1", "n2.dc1", "n3.dc1"}
    call.put("/v1/catalog/register", {"Node": "foo", "Address": "192.0.2.1"}, at=0)
    try:
        call.get("/v1/coordinate/node/foo", status=404, at=0)
        index = call.get("/v1/coordinate/nodes", at=1).index
        watch = Blocked(call.agents[1], f"/v1/coordinate/nodes?index={index}&wait=60s")
        r = call.put("/v1/coordinate/update", {"Node": "foo", "Segment": "", "Coord": COORD}, at=0)
        assert r.body == b""
        wanted = [{"Node": "foo", "Segment": "", "Coord": COORD}]
        assert call.get("/v1/coordinate/node/foo", at=0).json == wanted
        assert wanted[0] in watch.result().json
        for at in range(3):
            call.until("/v1/coordinate/nodes?segment=", lambda r: wanted[0] in r.json, at=at)
            assert call.get("/v1/coordinate/node/FOO", at=at).json == wanted
            assert call.get("/v1/coordinate/nodes?segment=blue", at=at).json == []
        # what is of no use, or of nobody
        for coord, text in ((None, "incompatible coordinate"),
                            ({**COORD, "Vec": [1, 2, 3]}, "incompatible coordinate"),
                            ({**COORD, "Height": -1}, "invalid coordinate"),
                            ({**COORD, "Error": 1e300}, "invalid coordinate")):
            r = call.put("/v1/coordinate/update", {"Node": "foo", "Coord": coord}, status=500)
            assert text in r.text, coord
        call.put("/v1/coordinate/update", "x", status=400)
        call.put("/v1/coordinate/update?dc=none", {"Node": "foo", "Coord": COORD}, status=500)
        call.put("/v1/coordinate/update", {"Node": "nobody", "Coord": COORD}, at=0)
        call.get("/v1/coordinate/node/nobody", status=404, at=0)
        before = call.get("/v1/coordinate/nodes", at=0).json
        call.put("/v1/coordinate/update", {"Node": "n2", "Coord": COORD}, at=0)  # it knows better
        assert [c for c in call.get("/v1/coordinate/nodes", at=0).json if c["Node"] == "n2"] == \
            [c for c in before if c["Node"] == "n2"]
    finally:
        call.put("/v1/catalog/deregister", {"Node": "foo"}, at=0)
    call.get("/v1/coordinate/node/foo", status=404, at=0)
    call.put("/v1/catalog/register", {"Node": "foo", "Address": "192.0.2.1"}, at=0)
    call.get("/v1/coordinate/node/foo", status=404, at=0)  # that one was another
    call.put("/v1/catalog/deregister", {"Node": "foo"}, at=0)


def test_go_client_catalog_writes(call):
    """Its whole registration, then as python-consul words the end."""
    call.put("/v1/catalog/register", {
        "ID": "", "Node": "foobar", "Address": "192.0.2.9", "TaggedAddresses": {"lan": "127.0.0.1"},
        "NodeMeta": {"somekey": "somevalue"}, "Datacenter": "dc1", "SkipNodeUpdate": False,
        "Service": {"ID": "redis1", "Service": "redis", "Tags": ["master", "v1"], "Port": 8000,
                    "Address": "", "Meta": None, "Weights": {"Passing": 1, "Warning": 1},
                    "EnableTagOverride": False, "CreateIndex": 0, "ModifyIndex": 0},
        "Check": {"Node": "foobar", "CheckID": "service:redis1", "Name": "Redis health check",
                  "Status": "passing", "ServiceID": "redis1", "Definition": {
                      "HTTP": "", "Interval": 0, "Timeout": 0}}, "Checks": None}, at=0)
    call.everywhere("/v1/health/service/redis?passing=1&node-meta=somekey:somevalue",
                    lambda r: [x["Node"]["Node"] for x in r.json] == ["foobar"])
    assert call.get("/v1/catalog/services?node-meta=somekey:somevalue").json == {
        "redis": ["master", "v1"]}
    for what, where in (({"checkid": "service:redis1"}, "/v1/health/node/foobar"),
                        ({"serviceid": "redis1"}, "/v1/catalog/service/redis"),
                        ({}, "/v1/catalog/nodes?node-meta=somekey:somevalue")):
        assert call.get(where).json != []
        assert call.put("/v1/catalog/deregister", {"node": "foobar", **what}).json is True
        call.everywhere(where, lambda r: r.json == [])


def test_go_client_sessions_on_checks(call):
    web(call)
    s = call.put("/v1/session/create", {
        "Name": "s", "Node": "n1", "Behavior": "release", "NodeChecks": ["serfHealth"],
        "ServiceChecks": [{"ID": "service:web-0", "Namespace": ""}]}, at=0).json["ID"]
    (info,) = call.get(f"/v1/session/info/{s}").json
    assert [c["ID"] for c in info["ServiceChecks"]] == ["service:web-0"]
    call.put("/v1/agent/check/fail/service:web-0", at=0)
    # a leader that is new waits for as long as a suspicion may last (RULES 7)
    call.until(f"/v1/session/info/{s}", lambda r: r.json == [], 60)


def test_go_client_transactions_of_the_catalog(call):
    node = {"Node": "txn-x", "Address": "192.0.2.5", "Datacenter": "dc1"}
    ops = [{"Node": {"Verb": "set", "Node": node}},
           {"Service": {"Verb": "set", "Node": "txn-x", "Service": {
               "ID": "s1", "Service": "txn-svc", "Port": 5}}},
           {"Check": {"Verb": "set", "Check": {
               "Node": "txn-x", "CheckID": "c1", "Name": "c", "Status": "passing",
               "ServiceID": "s1", "Definition": {"IntervalDuration": "10s"}}}},
           {"KV": {"Verb": "set", "Key": "txn-k", "Value": ""}}]
    done = call.put("/v1/txn", ops).json["Results"]
    assert [next(iter(r)) for r in done] == ["Node", "Service", "Check", "KV"]
    call.everywhere("/v1/health/service/txn-svc?passing=1", lambda r: len(r.json) == 1)
    call.put("/v1/txn", [{"Node": {"Verb": "delete", "Node": node}}])
    call.everywhere("/v1/catalog/service/txn-svc", lambda r: r.json == [])


def test_go_client_agents_own(call):
    """What concerns one process alone."""
    host = call.get("/v1/agent/host", at=0).json
    assert host["CPU"] and host["Memory"]["total"] > 0 and host["Host"]["os"] == "linux"
    figures = call.get("/v1/agent/metrics", at=0).json
    assert {"Timestamp", "Gauges", "Points", "Counters", "Samples"} <= set(figures)
    assert call.put("/v1/agent/reload", at=0).body == b""
    agent = call.agents[0]
    with socket.create_connection((agent.address, agent.http_port), timeout=20) as s:
        s.sendall(b"GET /v1/agent/monitor?loglevel=debug&logjson=true HTTP/1.1\r\nHost: x\r\n\r\n")
        got = s.recv(65536)
        assert b" 200 " in got.split(b"\r\n")[0]
        call.put("/v1/agent/reload", at=0)
        while b'"@message"' not in got:
            more = s.recv(65536)
            assert more
            got += more
    # there is one pool only: nothing to join, and no key to manage
    call.put(f"/v1/agent/join/{call.agents[1].address}?wan=1", at=0, status=500)
    for method in ("GET", "POST", "PUT", "DELETE"):
        call(method, "/v1/operator/keyring", None if method == "GET" else {
            "Key": base64.b64encode(b"k" * 16).decode()}, status=500)
    assert call.get("/v1/agent/members?wan=1", at=0).json[0]["Name"] == "n1"


def test_go_client_starts_a_server_from_a_file(agents, tmp_path):
    """As its test suite does; unknown sections must not stop the start, SIGINT must end it."""
    path = tmp_path / "server.json"
    path.write_text(json.dumps({
        "node_name": "go-1", "node_id": "7e7bd0f5-0fb6-4ee7-9e0e-0f1f6c1c2c3d",
        "performance": {"raft_multiplier": 1}, "bootstrap": True, "server": True,
        "data_dir": str(tmp_path / "data"), "segments": None, "disable_update_check": True,
        "log_level": "debug", "bind_addr": "127.0.0.1", "addresses": {}, "acl": {"tokens": {}},
        "connect": {"enabled": True, "ca_config": {"cluster_id": GONE}},
        "enable_script_checks": True, "node_meta": {"a": "b"}, "enable_debug": True,
        "primary_datacenter": "dc1", "ports": {"serf_wan": 1, "grpc": 2, "https": -1}}))
    a = agents("-config-file", str(path), dev=False, node="go-1", start=False)
    a.start(wait=False)
    wait_until("it knows a leader", lambda: answers(a, "/v1/status/leader"), 20)
    wait_until("its catalog", lambda: answers(a, "/v1/catalog/nodes") and
               a.get("/v1/catalog/nodes?index=0").index >= 2, 20)
    assert a.get("/v1/catalog/nodes").json[0]["Meta"]["a"] == "b"
    wait_until("serfHealth", lambda: any(
        c["CheckID"] == "serfHealth" and c["Status"] == "passing"
        for c in a.get("/v1/health/node/go-1").json))
    assert a.stop(signal.SIGINT) == 0


def answers(agent, path):
    try:
        return agent.get(path).json
    except OSError:
        return None


def test_go_client_starts_an_agent_that_is_alone(agents, tmp_path):
    a = agents("-data-dir", str(tmp_path / "data"), "-bind", "127.0.0.1", dev=False, start=False)
    a.start(wait=False)
    wait_until("its agent answers", lambda: answers(a, "/v1/agent/self"), 20)
    assert a.put("/v1/agent/service/register", {"Name": "alone"}).status == 200
    assert "alone" in a.services() and a.get("/v1/agent/checks").json == {}
