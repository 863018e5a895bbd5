"""The main job: what a real Docker engine runs is in DNS and in the HTTP catalog, and goes
from there when it ends."""
import json
import os
import signal
import socket
import time

import dns.message
import dns.rcode

from harness import server_command, srv_key, wait_until


def in_dns(agent, name):
    return agent.dns_data(name + ".service.consul", "SRV")


def health_of(agent, name):
    """{check id: (status, output)} of the only instance of a service."""
    entries = agent.get(f"/v1/health/service/{name}").json
    assert len(entries) == 1, entries
    return {c["CheckID"]: (c["Status"], c["Output"]) for c in entries[0]["Checks"]}


def events_since(docker, since_ns, until):
    """What the engine itself says happened (its own record, replayed)."""
    since = f"{since_ns // 10**9}.{since_ns % 10**9:09d}"
    body = docker.api("GET", f"/events?since={since}&until={until:.9f}").body.decode()
    return [json.loads(line) for line in body.splitlines()]


def test_started_is_found_stopped_is_gone(docker, agents):
    a = agents(docker=docker.url)
    docker.docker("run", "-d", "--name", "c1", "-p", "18080:80", "-e", "SERVICE_NAME=web",
                  "-e", "SERVICE_TAGS=blue,fast", "web", *server_command())
    wait_until("web in DNS", lambda: in_dns(a, "web"))
    assert srv_key(in_dns(a, "web")[0]) == (18080, "n1.node.dc1.consul.") or \
        srv_key(in_dns(a, "web")[0])[0] == 18080
    dug = a.dig("SRV", "web.service.consul", "+short")
    assert dug.split()[2] == "18080"
    entry, = a.get("/v1/catalog/service/web").json
    assert entry["ServicePort"] == 18080 and entry["ServiceAddress"] == "127.0.0.1"
    assert sorted(entry["ServiceTags"]) == ["blue", "fast"]
    assert entry["ServiceID"] == "n1:c1:80"
    assert a.dns_data("blue.web.service.consul", "SRV")
    docker.docker("stop", "-t", "5", "c1")
    wait_until("web is gone", lambda: a.get("/v1/catalog/service/web").json == [])
    assert a.dns("web.service.consul", "SRV").rcode() == dns.rcode.NXDOMAIN


def test_what_runs_already_is_found_at_start(docker, agents):
    docker.docker("run", "-d", "--name", "old", "-p", "18081:80", "web", *server_command())
    a = agents(docker=docker.url)
    wait_until("found", lambda: "n1:old:80" in a.services())


def test_draining_leaves_answers_while_the_process_runs(docker, agents):
    a = agents(docker=docker.url)
    docker.docker("run", "-d", "--name", "slow", "-p", "18082:80", "-e", "SERVICE_NAME=slow",
                  "web", *server_command("sleep 5; exit 0"))
    wait_until("in DNS", lambda: in_dns(a, "slow"))
    docker.docker("kill", "-s", "TERM", "slow")
    wait_until("out of DNS", lambda: not in_dns(a, "slow"), 3)
    assert json.loads(docker.docker("inspect", "slow"))[0]["State"]["Running"]
    assert a.passing("slow") == []
    status, output = health_of(a, "slow")["docker-state:n1:slow:80"]
    assert status == "critical" and "draining" in output
    wait_until("deregistered at its end", lambda: "n1:slow:80" not in a.services(), 15)


def test_a_signal_that_does_not_stop_changes_nothing(docker, agents):
    a = agents(docker=docker.url)
    docker.docker("run", "-d", "--name", "hup", "-p", "18083:80", "web", "sh", "-c",
                  "trap : HUP; httpd -p 80 -h /www; while :; do sleep 0.05; done")
    wait_until("in DNS", lambda: in_dns(a, "web"))
    begun = time.time_ns()
    docker.docker("kill", "-s", "HUP", "hup")
    seen = events_since(docker, begun, time.time() + 0.2)
    assert [e["Action"] for e in seen if e["Type"] == "container"] == ["kill"]
    # the next event is handled after it: once this container is known, the signal was seen
    docker.docker("run", "-d", "--name", "after", "-p", "18084:80", "-e", "SERVICE_NAME=after",
                  "web", *server_command())
    wait_until("the later container", lambda: in_dns(a, "after"))
    assert in_dns(a, "web")
    assert health_of(a, "web").get("docker-state:n1:hup:80", ("passing",))[0] == "passing"


def test_still_running_after_its_grace_it_is_back(docker, agents):
    a = agents("-docker-drain", "1s", docker=docker.url)
    docker.docker("run", "-d", "--name", "stay", "--stop-timeout", "1", "-p", "18085:80", "web",
                  "sh", "-c", "trap : TERM; httpd -p 80 -h /www; while :; do sleep 0.05; done")
    wait_until("in DNS", lambda: in_dns(a, "web"))
    docker.docker("kill", "-s", "TERM", "stay")
    wait_until("out of DNS", lambda: not in_dns(a, "web"), 3)
    wait_until("back in DNS", lambda: in_dns(a, "web"), 5)


def test_pause_is_critical_and_unpause_is_back(docker, agents):
    a = agents(docker=docker.url)
    docker.docker("run", "-d", "--name", "p1", "-p", "18086:80", "web", *server_command())
    wait_until("in DNS", lambda: in_dns(a, "web"))
    docker.docker("pause", "p1")
    wait_until("out of DNS", lambda: not in_dns(a, "web"))
    status, output = health_of(a, "web")["docker-state:n1:p1:80"]
    assert status == "critical" and "paused" in output
    docker.docker("unpause", "p1")
    wait_until("back", lambda: in_dns(a, "web"))


def test_healthcheck_becomes_a_check(docker, agents):
    a = agents(docker=docker.url)
    docker.docker("run", "-d", "--name", "h1", "-p", "18087:80", "--health-cmd",
                  "cat /tmp/ok && echo all is well", "--health-interval", "0.3s",
                  "--health-retries", "1", "web", *server_command())
    wait_until("registered", lambda: "n1:h1:80" in a.services())
    assert health_of(a, "web")["docker-health:n1:h1:80"][0] == "critical"  # starting
    docker.docker("exec", "h1", "touch", "/tmp/ok")
    wait_until("healthy", lambda: in_dns(a, "web"), 15)
    status, output = health_of(a, "web")["docker-health:n1:h1:80"]
    assert status == "passing" and "all is well" in output
    docker.docker("exec", "h1", "rm", "/tmp/ok")
    wait_until("unhealthy", lambda: not in_dns(a, "web"), 15)
    status, output = health_of(a, "web")["docker-health:n1:h1:80"]
    assert status == "critical" and "ok" in output


def test_killed_agent_finds_exactly_what_runs(docker, agents, tmp_path):
    folder = str(tmp_path / "data")
    a = agents("-data-dir", folder, "-server", "-bootstrap", "-bind", "127.0.0.1",
               docker=docker.url, dev=False)
    for i in range(3):
        docker.docker("run", "-d", "--name", f"k{i}", "-p", "80", "-e", "SERVICE_NAME=web",
                      "web", *server_command())
    wait_until("three", lambda: len(in_dns(a, "web")) == 3)
    assert a.put("/v1/agent/service/register", {"Name": "mine", "Port": 1}).status == 200
    me = a.get("/v1/agent/self").json["Config"]["NodeID"]
    a.proc.send_signal(signal.SIGKILL)
    a.proc.wait()
    docker.docker("rm", "-f", "k0")
    docker.docker("run", "-d", "--name", "k3", "-p", "80", "-e", "SERVICE_NAME=web", "web",
                  *server_command())
    a.start()
    want = {"n1:k1:80", "n1:k2:80", "n1:k3:80", "mine"}
    wait_until("exactly what runs", lambda: set(a.services()) == want)
    assert len(a.get("/v1/catalog/service/web").json) == 3
    assert a.get("/v1/agent/self").json["Config"]["NodeID"] == me


def poll_until_answered(port, name, seconds=20):
    """Every response to one SRV question after the other, up to the first with an answer. A
    connected socket hears at once that nobody listens yet."""
    seen, end = [], time.monotonic() + seconds
    query = dns.message.make_query(name, "SRV").to_wire()
    while not (seen and seen[-1].answer):
        assert time.monotonic() < end, seen[-1:]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.05)
            s.connect(("127.0.0.1", port))
            try:
                s.send(query)
                seen.append(dns.message.from_wire(s.recv(4096)))
            except OSError:
                pass
    return seen


def test_a_starting_agent_never_says_that_nothing_runs(docker, agents, tmp_path):
    """Before it has heard of the engine it answers SERVFAIL: nobody takes a restart for an end."""
    docker.docker("run", "-d", "--name", "c1", "-p", "18080:80", "-e", "SERVICE_NAME=web", "web",
                  *server_command())
    flags = ("-data-dir", str(tmp_path / "data"), "-bind", "127.0.0.1", "-server", "-bootstrap")
    a = agents(*flags, docker=docker.url, dev=False)
    wait_until("web in DNS", lambda: in_dns(a, "web"))
    for _ in range(5):
        a.stop(signal.SIGKILL)
        a.start(wait=False)
        seen = poll_until_answered(a.dns_port, "web.service.consul")
        assert {dns.rcode.to_text(r.rcode()) for r in seen} <= {"NOERROR", "SERVFAIL"}
        assert all(r.answer for r in seen if r.rcode() == dns.rcode.NOERROR)


def test_engine_away_and_back(docker, agents):
    a = agents(docker=docker.url)
    docker.docker("run", "-d", "--name", "e1", "-p", "18088:80", "web", *server_command())
    docker.docker("run", "-d", "--name", "e2", "-p", "18089:80", "-e", "SERVICE_NAME=two",
                  "web", *server_command())
    wait_until("both", lambda: in_dns(a, "web") and in_dns(a, "two"))
    docker.kill()
    wait_until("noticed", lambda: "engine" in a.log() and "away" in a.log())
    assert set(a.services()) == {"n1:e1:80", "n1:e2:80"}  # kept while the engine is away
    docker.start()
    docker.docker("start", "e1")
    wait_until("what runs, once each", lambda: set(a.services()) == {"n1:e1:80"}, 30)
    wait_until("in DNS", lambda: len(in_dns(a, "web")) == 1)


def test_no_engine_yet(docker, agents, tmp_path):
    """An agent that started before the engine finds it when it comes."""
    later = docker.run + "/later.sock"
    a = agents(docker="unix://" + later)
    docker.docker("run", "-d", "--name", "l1", "-p", "18090:80", "web", *server_command())
    assert a.services() == {}
    os.link(docker.socket, later)
    wait_until("found", lambda: "n1:l1:80" in a.services(), 30)


def test_restart_rename_and_update(docker, agents):
    a = agents(docker=docker.url)
    docker.docker("run", "-d", "--name", "r1", "-p", "18091:80", "web", *server_command())
    wait_until("registered", lambda: "n1:r1:80" in a.services())
    docker.docker("rename", "r1", "r2")
    wait_until("renamed", lambda: set(a.services()) == {"n1:r2:80"})
    docker.docker("restart", "-t", "2", "r2")
    wait_until("after restart", lambda: set(a.services()) == {"n1:r2:80"} and in_dns(a, "web"))
    docker.docker("update", "--memory", "64m", "--memory-swap", "64m", "r2")
    assert set(a.services()) == {"n1:r2:80"}


def test_newest_of_two_with_one_id_wins(docker, agents):
    a = agents(docker=docker.url)
    docker.docker("run", "-d", "--name", "w1", "-p", "18092:80", "-e", "SERVICE_ID=one", "web",
                  *server_command())
    wait_until("first", lambda: a.services().get("one", {}).get("Port") == 18092)
    docker.docker("run", "-d", "--name", "w2", "-p", "18093:80", "-e", "SERVICE_ID=one", "web",
                  *server_command())
    wait_until("second wins", lambda: a.services()["one"]["Port"] == 18093)
    assert "warn" in a.log() and "one" in a.log()
    docker.docker("rm", "-f", "w2")
    wait_until("first is back", lambda: a.services().get("one", {}).get("Port") == 18092)


def test_networks_connect_and_disconnect(docker, agents):
    a = agents("-docker-internal", docker=docker.url)
    docker.docker("network", "create", "--subnet", "172.31.79.0/24", "own")
    docker.docker("run", "-d", "--name", "net", "--net", "own", "web", *server_command())
    wait_until("with its own address",
               lambda: a.services().get("n1:net:80", {}).get("Address", "").startswith("172.31.79."))
    docker.docker("network", "disconnect", "own", "net")
    docker.docker("network", "connect", "--ip", "172.31.79.99", "own", "net")
    wait_until("with its new address",
               lambda: a.services().get("n1:net:80", {}).get("Address") == "172.31.79.99")


def test_huge_labels_do_no_harm(docker, agents):
    a = agents(docker=docker.url)
    labels = {f"l{i}": "v" for i in range(5000)}
    labels["SERVICE_BIG"] = "x" * 65536
    labels["SERVICE_NAME"] = "with.dots_and_more"
    made = docker.api("POST", "/containers/create?name=big", {
        "Image": "web", "Labels": labels, "Cmd": server_command(),
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "18094"}]}}})
    assert made.status == 201, made.text
    docker.docker("start", "big")
    docker.docker("run", "-d", "--name", "small", "-p", "18095:80", "web", *server_command())
    wait_until("the agent goes on", lambda: "n1:small:80" in a.services())
    assert a.proc.poll() is None


def test_containers_that_die_at_once(docker, agents):
    a = agents(docker=docker.url)
    for i in range(5):
        docker.docker("run", "-d", "--name", f"d{i}", "-p", "80", "web", "true")
    docker.docker("run", "-d", "--name", "last", "-p", "18096:80", "web", *server_command())
    wait_until("only the one that runs", lambda: set(a.services()) == {"n1:last:80"})
