"""The commands about catalog, local services, maintenance, log and watches, as Consul has them."""
import json
import os
import signal
import subprocess
import threading

from harness import MUSTER, WRAP, Agent, wait_until
from test_cli import bad, good, rows, run

ASKING = [["catalog", "nodes"], ["catalog", "services"], ["catalog", "datacenters"],
          ["services", "register", "-name", "x"], ["services", "deregister", "-id", "x"],
          ["maint"], ["monitor"], ["reload"], ["watch", "-type", "nodes"]]


def words(agent, *rest):
    """Flags of the agent stand behind the words of a group's command."""
    n = 2 if rest[0] in ("catalog", "services") else 1
    return [*rest[:n], "-http-addr", f"127.0.0.1:{agent.http_port}", *rest[n:]]


def ask(agent, *rest, **kw):
    return good(*words(agent, *rest), **kw)


def refused(agent, *rest, **kw):
    return bad(*words(agent, *rest), **kw)


def test_nobody_there_and_help():
    for command in ASKING:
        n = 2 if command[0] in ("catalog", "services") else 1
        err = bad(*command[:n], "-http-addr", "127.0.0.1:1", *command[n:])
        assert "no agent answers at 127.0.0.1:1" in err, command
        assert good(*command[:n], "--help").startswith(f"Usage: muster {' '.join(command[:n])}")


def test_catalog(agent):
    agent.put("/v1/agent/service/register", {"Name": "web", "Tags": ["b", "a"]})
    agent.put("/v1/agent/service/register", {"ID": "w2", "Name": "web", "Tags": ["c"]})
    agent.put("/v1/agent/service/register", {"Name": "db"})
    assert ask(agent, "catalog", "datacenters") == "dc1\n"
    assert ask(agent, "catalog", "services") == "consul\ndb\nweb\n"
    table = rows(ask(agent, "catalog", "services", "-tags"))
    assert table[0] == ["consul"] and table[2][0] == "web"
    assert sorted(table[2][1].split(",")) == ["a", "b", "c"]
    assert "web" in ask(agent, "catalog", "services", "-node", "n1")
    nodes = agent.get("/v1/catalog/nodes").json
    table = rows(ask(agent, "catalog", "nodes"))
    assert table == [["Node", "ID", "Address", "DC"],
                     ["n1", nodes[0]["ID"].split("-")[0], "127.0.0.1", "dc1"]]
    assert rows(ask(agent, "catalog", "nodes", "-service", "web")) == table
    assert nodes[0]["ID"] in ask(agent, "catalog", "nodes", "-detailed")
    assert ask(agent, "catalog", "nodes", "-service", "none").startswith("No nodes match")
    assert ask(agent, "catalog", "services", "-node-meta", "a=b").startswith("No services match")


def test_services_by_flags(agent):
    out = ask(agent, "services", "register", "-name", "web", "-id", "w1", "-port", "80",
              "-address", "10.0.0.9", "-tag", "a", "-tag=b", "-meta", "k=v=w", "-meta", "x=",
              "-tagged-address", "lan=10.0.0.8:81")
    assert out == "Registered service: web\n"
    s = agent.services()["w1"]
    assert (s["Service"], s["Port"], s["Address"]) == ("web", 80, "10.0.0.9")
    assert s["Tags"] == ["a", "b"] and s["Meta"] == {"k": "v=w", "x": ""}
    assert s["TaggedAddresses"]["lan"] == {"Address": "10.0.0.8", "Port": 81}
    assert ask(agent, "services", "deregister", "-id", "w1") == "Deregistered service: w1\n"
    assert ask(agent, "services", "register", "-name", "side", "-kind", "connect-proxy") == \
        "Registered service: side\n"
    assert agent.services()["side"]["Kind"] == "connect-proxy"
    assert ask(agent, "services", "deregister", "-id=side") == "Deregistered service: side\n"
    assert agent.services() == {}
    assert "-port is a number" in refused(agent, "services", "register", "-name", "a", "-port=x")
    assert "KEY=VALUE" in refused(agent, "services", "register", "-name", "a", "-meta", "x")
    assert "-name" in refused(agent, "services", "register")
    assert "-id" in refused(agent, "services", "deregister")


def test_services_by_files(agent, tmp_path):
    hcl = tmp_path / "a.hcl"
    hcl.write_text('service { name = "one" port = 1 check { ttl = "1h" } }\n'
                   'service { id = "t2" name = "two" tagged_addresses { lan { address = "::1" } } }')
    js = tmp_path / "b.json"
    js.write_text('{"services": [{"Name": "three", "Meta": {"a_b": "c"}}]}')
    out = ask(agent, "services", "register", str(hcl), str(js))
    assert out == "Registered service: one\nRegistered service: two\nRegistered service: three\n"
    assert sorted(agent.services()) == ["one", "t2", "three"]
    assert agent.services()["three"]["Meta"] == {"a_b": "c"}
    assert len(agent.get("/v1/agent/checks").json) == 1
    assert ask(agent, "services", "deregister", str(hcl)) == \
        "Deregistered service: one\nDeregistered service: t2\n"
    assert sorted(agent.services()) == ["three"]
    hcl.write_text("node_name = 1")
    assert "defines no service" in refused(agent, "services", "register", str(hcl))


def test_maint(agent):
    agent.put("/v1/agent/service/register", {"Name": "web"})
    assert ask(agent, "maint") == ""
    assert ask(agent, "maint", "-enable", "-reason", "new disk") == \
        "Node maintenance is now enabled\n"
    assert ask(agent, "maint", "-enable", "-service", "web") == \
        'Service maintenance is now enabled for "web"\n'
    text = ask(agent, "maint")
    assert "Node:\n  Name:   n1\n  Reason: new disk\n" in text
    assert "Service:\n  ID:     web\n  Reason: " in text
    assert agent.passing("web") == []
    assert ask(agent, "maint", "-disable") == "Node maintenance is now disabled\n"
    assert ask(agent, "maint", "-disable", "-service=web") == \
        'Service maintenance is now disabled for "web"\n'
    assert ask(agent, "maint") == "" and len(agent.passing("web")) == 1
    for wrong in (["-enable", "-disable"], ["-reason", "x"], ["-service", "web"]):
        refused(agent, "maint", *wrong)
    assert "404" in refused(agent, "maint", "-enable", "-service", "none")


def test_reload(agent):
    assert ask(agent, "reload") == "Configuration reload triggered\n"


class Running:
    """A command that goes on; what it says is read in a thread."""

    def __init__(self, *line):
        self.proc = subprocess.Popen([*WRAP, MUSTER, *line], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self.text = ""
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.proc.stdout:
            self.text += line

    def has(self, text, seconds=20):
        wait_until(f"it says {text!r}", lambda: text in self.text, seconds)

    def end(self, sig=signal.SIGINT):
        self.proc.send_signal(sig)
        return self.proc.wait(15)


def test_monitor_until_it_is_interrupted(agent):
    m = Running(*words(agent, "monitor", "-log-level", "debug"))
    js = Running(*words(agent, "monitor", "-log-json"))
    wait_until("both read", lambda: "muster_monitor_readers 2" in
               agent.get("/v1/agent/metrics?format=prometheus").text)
    ask(agent, "reload")
    m.has("info  agent: reloaded\n")
    js.has('"@message":"reloaded"')
    assert m.end() == 0
    assert "Unknown log level" in refused(agent, "monitor", "-log-level", "loud")
    agent.stop()
    assert js.proc.wait(15) == 1


def test_watch_shows_once(agent):
    agent.put("/v1/kv/a", "1")
    key = json.loads(ask(agent, "watch", "-type", "key", "-key", "a"))
    assert key["Key"] == "a" and key["Value"] == "MQ=="
    assert json.loads(ask(agent, "watch", "-type", "key", "-key", "b")) is None
    assert [k["Key"] for k in json.loads(ask(agent, "watch", "-type=keyprefix",
                                             "-prefix", "a"))] == ["a"]
    assert json.loads(ask(agent, "watch", "-type", "services")) == {"consul": []}
    assert json.loads(ask(agent, "watch", "-type", "nodes"))[0]["Node"] == "n1"
    assert json.loads(ask(agent, "watch", "-type", "service", "-service", "consul"))[0]["Node"]
    assert json.loads(ask(agent, "watch", "-type", "checks"))[0]["CheckID"] == "serfHealth"
    assert json.loads(ask(agent, "watch", "-type", "event")) == []
    assert "Watch type not specified" in refused(agent, "watch")
    assert "single key" in refused(agent, "watch", "-type", "key")


def test_watch_runs_a_program_for_each_change(agent, tmp_path):
    out = tmp_path / "out"
    w = Running(*words(agent, "watch", "-type", "key", "-key", "a",
                       f"(cat; echo index $CONSUL_INDEX) >> {out}; echo again"))
    wait_until("the first run", lambda: "null\n" in (out.read_text() if out.exists() else ""))
    agent.put("/v1/kv/a", "1")
    wait_until("the second", lambda: '"Value":"MQ=="' in out.read_text())
    index = agent.get("/v1/kv/a").index  # the program writes it a moment later
    wait_until("its index", lambda: f"index {index}\n" in out.read_text())
    agent.put("/v1/kv/other", "1")
    agent.put("/v1/kv/a", "2")
    wait_until("the third", lambda: '"Value":"Mg=="' in out.read_text())
    w.has("again\nagain\nagain\n")
    assert out.read_text().count("index") == 3
    w.end(signal.SIGTERM)
    once = run(*words(agent, "watch", "-shell=false", "-type", "nodes", "/bin/false"))
    assert once.returncode == 1 and "exit status 1" in once.stderr
    events = tmp_path / "events"
    w = Running(*words(agent, "watch", "-type", "event", "-name", "go", f"cat >> {events}"))
    wait_until("it looks", lambda: events.exists())
    for payload in ("one", "two"):
        agent.put("/v1/event/fire/go", payload)
        wait_until("the event", lambda: events.read_text().count('"Name":"go"') ==
                   (1 if payload == "one" else 2))
    agent.put("/v1/event/fire/other", "x")
    w.end(signal.SIGTERM)
