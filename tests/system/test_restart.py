"""What an agent has registered, over restarts: whole as it was, nothing that was removed, no flap."""
import json
import signal
import threading

import pytest

from harness import wait_until
from test_keys import Blocked

ENDS = (signal.SIGTERM, signal.SIGKILL)
WHOLE = {
    "ID": "w/1", "Name": "web", "Tags": ["b", "a", "b"], "Port": 80, "Address": "10.1.2.3",
    "Meta": {"team_x": "y", "z": ""}, "Kind": "", "EnableTagOverride": True,
    "TaggedAddresses": {"lan": {"Address": "10.1.2.4", "Port": 81},
                        "virtual": {"Address": "240.0.0.1", "Port": 82}},
    "Weights": {"Passing": 10, "Warning": 3},
    "Check": {"CheckID": "one", "Name": "first", "Notes": "n", "TTL": "600s"},
    "Checks": [{"TTL": "600s", "Status": "warning"},
               {"HTTP": "http://127.0.0.1:9/", "Interval": "600s", "Timeout": "1s",
                "Header": {"X-A": ["1", "2"]}, "Method": "PUT", "Body": "b",
                "SuccessBeforePassing": 2, "FailuresBeforeCritical": 1,
                "DeregisterCriticalServiceAfter": "90m"},
               {"AliasNode": "n1"}],
}
SNAKE = {
    "id": "w/1", "name": "web", "tags": ["b", "a", "b"], "port": 80, "address": "10.1.2.3",
    "meta": {"team_x": "y", "z": ""}, "kind": "", "enable_tag_override": True,
    "tagged_addresses": {"lan": {"address": "10.1.2.4", "port": 81},
                         "virtual": {"address": "240.0.0.1", "port": 82}},
    "weights": {"passing": 10, "warning": 3},
    "check": {"checkid": "one", "name": "first", "notes": "n", "ttl": "600s"},
    "checks": [{"ttl": "600s", "status": "warning"},
               {"http": "http://127.0.0.1:9/", "interval": "600s", "timeout": "1s",
                "header": {"X-A": ["1", "2"]}, "method": "PUT", "body": "b",
                "success_before_passing": 2, "failures_before_critical": 1,
                "deregister_critical_service_after": "90m"},
               {"alias_node": "n1"}],
}
for row in SNAKE["checks"]:  # these two Consul takes in one spelling only
    for name in ("success_before_passing", "failures_before_critical", "alias_node"):
        if name in row:
            row[name.replace("_", "")] = row.pop(name)


@pytest.fixture
def kept(agents, tmp_path):
    """make(*flags): an agent that keeps what it knows."""
    def make(*flags):
        return agents("-data-dir", str(tmp_path / "data"), "-server", "-bootstrap", "-bind",
                      "127.0.0.1", *flags, dev=False)
    return make


def register(agent, body, query=""):
    r = agent.put("/v1/agent/service/register" + query, body)
    assert r.status == 200, r.text


def again(agent, end):
    agent.proc.send_signal(end)
    agent.proc.wait(20)
    agent.start()


def bare(value):
    """Without indexes, which count this agent's changes."""
    if isinstance(value, dict):
        return {k: bare(v) for k, v in value.items() if k not in ("CreateIndex", "ModifyIndex")}
    return [bare(v) for v in value] if isinstance(value, list) else value


def shown(agent):
    """Everything that is said about the service, and the hash of it."""
    paths = ("/v1/agent/services", "/v1/agent/checks", "/v1/agent/service/w/1",
             "/v1/catalog/service/web", "/v1/health/service/web", "/v1/health/checks/web")
    return {path: bare(agent.get(path).json) for path in paths}


def told(agent):
    agent.put("/v1/agent/check/pass/one?note=all+well")
    wait_until("the others have run", lambda: all(
        c["Output"] for i, c in agent.get("/v1/agent/checks").json.items()
        if i in ("service:w/1:3", "service:w/1:4")))


def test_every_part_of_a_registration_is_back_in_either_spelling(kept):
    agent = kept()
    register(agent, WHOLE)
    told(agent)
    before = shown(agent)
    service = before["/v1/agent/service/w/1"]
    for name in ("ID", "Tags", "Port", "Address", "Meta", "EnableTagOverride", "Weights"):
        assert service[name] == WHOLE[name]
    assert service["TaggedAddresses"] == {
        **WHOLE["TaggedAddresses"], "lan_ipv4": {"Address": "10.1.2.3", "Port": 80},
        "wan_ipv4": {"Address": "10.1.2.3", "Port": 80}}
    checks = before["/v1/agent/checks"]
    assert {i: (c["Status"], c["Type"]) for i, c in checks.items()} == {
        "one": ("passing", "ttl"), "service:w/1:2": ("warning", "ttl"),
        "service:w/1:3": ("critical", "http"), "service:w/1:4": ("passing", "alias")}
    assert (checks["one"]["Output"], checks["one"]["Notes"]) == ("all well", "n")
    for end in ENDS:
        again(agent, end)
        assert shown(agent) == before
    index = agent.get("/v1/health/service/web").index
    register(agent, SNAKE)
    assert shown(agent) == before
    assert agent.get("/v1/health/service/web").index == index  # it was no change
    again(agent, signal.SIGTERM)
    assert shown(agent) == before


def test_checks_that_were_replaced_stay_away(kept):
    agent = kept()

    def checks():
        return sorted(agent.get("/v1/agent/checks").json)
    body = {"Name": "web", "Checks": [{"CheckID": i, "TTL": "600s"} for i in ("a", "b", "c")]}
    register(agent, body)
    agent.put("/v1/agent/check/register", {"ID": "own", "Name": "own", "TTL": "600s",
                                           "ServiceID": "web"})
    agent.put("/v1/agent/check/register", {"ID": "node", "Name": "node", "TTL": "600s"})
    agent.put("/v1/agent/check/pass/b?note=kept")
    body["Checks"] = [{"CheckID": "b", "TTL": "600s"}]
    register(agent, body)
    assert checks() == ["a", "b", "c", "node", "own"]
    register(agent, body, "?replace-existing-checks=false")
    assert checks() == ["a", "b", "c", "node", "own"]
    register(agent, body, "?replace-existing-checks=true")
    for end in ENDS:
        assert checks() == ["b", "node"]
        assert agent.get("/v1/agent/checks").json["b"]["Output"] == "kept"
        assert [c["CheckID"] for c in agent.get("/v1/health/checks/web").json] == ["b"]
        again(agent, end)
    agent.put("/v1/agent/check/deregister/b")
    agent.put("/v1/agent/service/deregister/web")
    again(agent, signal.SIGKILL)
    assert checks() == ["node"] and agent.services() == {}


def test_maintenance_lasts_until_it_is_ended(kept):
    agent = kept()
    for name in ("web", "db"):
        register(agent, {"Name": name, "Check": {"TTL": "600s", "Status": "passing"}})
    agent.put("/v1/agent/service/maintenance/web?enable=true&reason=new+disk")
    for end in ENDS:
        again(agent, end)
        check = agent.get("/v1/agent/checks").json["_service_maintenance:web"]
        assert (check["Status"], check["Notes"], check["ServiceID"], check["Type"]) == (
            "critical", "new disk", "web", "maintenance")
        assert agent.passing("web") == [] and len(agent.passing("db")) == 1
        assert agent.get("/v1/agent/health/service/id/web").status == 503
    register(agent, {"Name": "web", "Port": 1})  # changes nothing about it
    assert agent.passing("web") == []
    agent.put("/v1/agent/service/maintenance/web?enable=false")
    agent.put("/v1/agent/maintenance?enable=true&reason=moving")
    for end in ENDS:
        again(agent, end)
        assert agent.get("/v1/agent/checks").json["_node_maintenance"]["Notes"] == "moving"
        assert agent.passing("web") == [] == agent.passing("db")
    agent.put("/v1/agent/maintenance?enable=false")
    again(agent, signal.SIGKILL)
    assert len(agent.passing("web")) == 1 == len(agent.passing("db"))


def test_what_files_define_keeps_what_it_reported(kept, tmp_path):
    path = tmp_path / "conf.json"
    path.write_text(json.dumps({
        "service": {"name": "web", "enable_tag_override": True, "weights": {"passing": 4},
                    "tagged_addresses": {"wan": {"address": "192.0.2.1", "port": 9}},
                    "checks": [{"id": "t", "ttl": "600s"}]},
        "check": {"id": "disk", "name": "disk", "ttl": "600s"}}))
    agent = kept("-config-file", str(path))
    agent.put("/v1/agent/check/pass/t?note=fine")
    agent.put("/v1/agent/check/warn/disk?note=full")
    stop, seen = threading.Event(), set()

    def watch():
        while not stop.is_set():
            try:
                for c in agent.get("/v1/health/node/n1").json:
                    seen.add((c["CheckID"], c["Status"], c["Output"]))
            except OSError:
                continue
    watching = threading.Thread(target=watch)
    watching.start()
    try:
        for end in ENDS:
            again(agent, end)
            s = agent.services()["web"]
            assert s["EnableTagOverride"] is True and s["Weights"]["Passing"] == 4
            assert s["TaggedAddresses"] == {"wan": {"Address": "192.0.2.1", "Port": 9}}
    finally:
        stop.set()
        watching.join(20)
    assert {x for x in seen if x[0] != "serfHealth"} == {
        ("t", "passing", "fine"), ("disk", "warning", "full")}


def test_the_hash_of_a_service_is_what_is_waited_for(kept):
    agent = kept()
    register(agent, {"Name": "web", "Tags": ["a"], "Check": {"TTL": "600s"}})
    path = "/v1/agent/service/web"
    seen = agent.get(path).json["ContentHash"]
    again(agent, signal.SIGKILL)
    assert agent.get(path).json["ContentHash"] == seen
    quiet = Blocked(agent, f"{path}?hash={seen}&wait=300ms")
    register(agent, {"Name": "other"})
    agent.put("/v1/agent/check/pass/service:web")
    register(agent, {"Name": "web", "Tags": ["a"], "Check": {"TTL": "600s"}})
    assert quiet.result().json["ContentHash"] == seen and quiet.seconds >= 0.29
    woken = Blocked(agent, f"{path}?hash={seen}&wait=30s")
    register(agent, {"Name": "web", "Tags": ["b"]})
    new = woken.result()
    assert new.json["Tags"] == ["b"] and woken.seconds < 20
    assert new.headers["X-Consul-ContentHash"] == new.json["ContentHash"] != seen
    # one that is not its own is answered at once
    assert Blocked(agent, f"{path}?hash={seen}&wait=30s").result().json["Tags"] == ["b"]
    gone = Blocked(agent, f"{path}?hash={new.json['ContentHash']}&wait=30s")
    agent.put("/v1/agent/service/deregister/web")
    assert gone.result().status == 404 and gone.seconds < 20
