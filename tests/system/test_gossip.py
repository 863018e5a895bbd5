"""Several agents, one catalog: what is registered on one is answered by all, whoever comes, goes,
dies, moves or is called like another."""
import base64
import contextlib
import json
import re
import signal
import socket
import subprocess
import threading
import time

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from harness import MUSTER, PATIENCE, WRAP, wait_until
from pool_harness import (ALIVE, FAILED, LEFT, SOAK, Poller, Pool, PoolAgent, catalog_of, loopback,
                          new_key)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    pool = Pool(tmp_path_factory.mktemp("three"))
    try:
        pool.start(3)
        yield pool
    finally:
        pool.stop()


@pytest.fixture
def pool(three):
    """The three agents, all up and without services, whatever the test before did."""
    three.agents = three.agents[:3]
    for a in three.agents:
        if not a.alive():
            a.start(wait=False)
    wait_until("n1 is ready", three.agents[0].ready, 20)
    for name, status in three.agents[0].members().items():  # of a test that failed
        if name not in ("n1", "n2", "n3") and status in (ALIVE, FAILED):
            three.agents[0].put(f"/v1/agent/force-leave/{name}?prune")
    three.wait_complete()
    for a in three.agents:
        for ident in a.services():
            if ident != "consul":
                a.deregister(ident)
    three.agents[0].put("/v1/catalog/deregister", {"Node": "printer"})
    three.wait_all("is empty", lambda a: set(a.get("/v1/catalog/services").json) == {"consul"})
    return three


@pytest.fixture
def others(tmp_path):
    """make(…) an agent beside the pool; all are ended, and must end well."""
    beside = Pool(tmp_path)

    def make(name, n, *flags, start=True, wait=True, retry_join=(), **kw):
        a = PoolAgent(str(tmp_path), name, loopback(n), "-retry-interval", "1s", *flags,
                      retry_join=retry_join, **kw)
        beside.agents.append(a)
        return a.start(wait) if start else a

    yield make
    beside.stop()


# what is registered

def test_a_registration_is_answered_by_every_agent(pool):
    n1, n2, n3 = pool.agents
    n2.register("web", 8080, Tags=["blue"])
    for a in pool.agents:
        wait_until(f"{a.name} answers", lambda: a.addresses("web") == [n2.address], 2)
        assert a.addresses("blue.web") == [n2.address]
        assert a.dns_data("web.service.consul", "SRV") == ["1 1 8080 n2.node.dc1.consul."]
        assert [(e["Node"]["Node"], e["Service"]["Port"]) for e in a.passing("web")] == \
            [("n2", 8080)]
        assert a.get("/v1/catalog/services").json["web"] == ["blue"]
    n3.register("web", 8081)
    pool.wait_all("both", lambda a: a.addresses("web") == sorted([n2.address, n3.address]), None, 2)
    n2.deregister("web")
    pool.wait_all("one", lambda a: a.addresses("web") == [n3.address], None, 2)
    n3.deregister("web")
    pool.wait_all("gone", lambda a: a.catalog("web") == [], None, 2)
    assert n1.dns("web.service.consul").rcode() == dns.rcode.NXDOMAIN


def test_a_change_elsewhere_wakes_who_waits(pool):
    n1, n2, _ = pool.agents
    index = n1.get("/v1/health/service/woken").index
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(
        (n1.get(f"/v1/health/service/woken?index={index}&wait=60s", timeout=70), time.monotonic())))
    waiting.start()
    wait_until("it waits", lambda: n1.get("/v1/status/leader").status == 200)
    begun = time.monotonic()
    n2.register("woken")
    waiting.join(10)
    answer, when = answers[0]
    assert [e["Node"]["Node"] for e in answer.json] == ["n2"] and answer.index > index
    assert when - begun < 2 * PATIENCE


def test_the_status_of_a_check_travels(pool):
    n2 = pool.agents[1]
    n2.register("db", 5432, Check={"TTL": "600s", "Status": "critical"})
    pool.wait_all("listed, hidden", lambda a: a.catalog("db") == [("n2", "db")] and
                  a.addresses("db") == [], None, 2)
    for verb, shown, status in (("pass", True, "passing"), ("fail", False, "critical"),
                                ("warn", True, "warning")):
        assert n2.put(f"/v1/agent/check/{verb}/service:db?note=because").status == 200
        for a in pool.agents:
            wait_until(f"{a.name}: {status}", lambda: (a.addresses("db") != []) == shown, 2)
            check = [c for c in a.get("/v1/health/checks/db").json if c["ServiceName"] == "db"]
            assert [c["Status"] for c in check] == [status]


def test_external_records_are_seen_by_all(pool):
    n1 = pool.agents[0]
    assert n1.put("/v1/catalog/register", {
        "Node": "printer", "Address": "192.0.2.9",
        "Service": {"Service": "print", "Port": 631}}).text.strip() == "true"
    pool.wait_all("seen", lambda a: a.addresses("print") == ["192.0.2.9"], None, 2)
    pool.wait_equal(2)
    assert n1.put("/v1/catalog/deregister", {"Node": "printer"}).text.strip() == "true"
    pool.wait_all("gone", lambda a: a.catalog("print") == [] and
                  "printer" not in catalog_of(a), None, 2)


def test_many_at_once_are_all_there(pool):
    """Far more than the datagrams of a moment carry."""
    def load(a):
        for i in range(200):
            a.register(f"bulk{i}", 1000 + i, Tags=["x" * 100])
    loaders = [threading.Thread(target=load, args=(a,)) for a in pool.agents]
    for t in loaders:
        t.start()
    for t in loaders:
        t.join()
    names = {f"bulk{i}" for i in range(200)} | {"consul"}
    pool.wait_all("has all", lambda a: set(a.get("/v1/catalog/services").json) == names)
    found = pool.wait_equal(5)
    assert all(len([s for s in found[a.name]["services"] if s[1] != "consul"]) == 200
               for a in pool.agents)


# who is there

def test_members_as_listed(pool):
    n1 = pool.agents[0]
    for a in pool.agents:
        by_name = {m["Name"]: m for m in a.get("/v1/agent/members").json}
        assert {n: (m["Addr"], m["Port"], m["Status"]) for n, m in by_name.items()} == \
            {b.name: (b.address, 8301, ALIVE) for b in pool.agents}
        assert {n: m["Tags"]["id"] for n, m in by_name.items()} == \
            {b.name: b.id() for b in pool.agents}
        assert [by_name[n]["Tags"]["role"] for n in ("n1", "n2", "n3")] == \
            ["consul", "node", "node"]
    out = n1.cli("members")
    assert out.returncode == 0, out.stderr
    lines = [re.split(r"\s{2,}", line.strip()) for line in out.stdout.splitlines()]
    assert lines[0][:4] == ["Node", "Address", "Status", "Type"]
    assert sorted(line[:4] for line in lines[1:]) == [
        [a.name, f"{a.address}:8301", "alive", "server" if a is n1 else "client"]
        for a in pool.agents]
    out = n1.cli("members", "-detailed")
    assert all(f"id={a.id()}" in out.stdout for a in pool.agents)
    out = n1.cli("members", "-status=failed")
    assert "n2" not in out.stdout


def test_a_killed_agent_is_hidden_until_it_is_back(pool):
    n1, n2, n3 = pool.agents
    n3.register("hid", 99)
    n2.register("hid", 98)
    both = sorted([n2.address, n3.address])
    pool.wait_all("both", lambda a: a.addresses("hid") == both, None, 2)
    ident = n3.id()
    n3.kill()
    for a in (n1, n2):
        wait_until("out of DNS", lambda: a.addresses("hid") == [n2.address], 10)
        wait_until("failed", lambda: a.sees("n3", FAILED), 2)
        assert [e["Node"]["Node"] for e in a.passing("hid")] == ["n2"]
        assert a.catalog("hid") == [("n2", "hid"), ("n3", "hid")]
        assert a.serf_health("n3") == ["critical"]
        assert [c["Status"] for c in a.get("/v1/health/state/critical").json] == ["critical"]
    n3.start()
    pool.wait_complete(seconds=10)
    pool.wait_all("both again", lambda a: a.addresses("hid") == both, None, 5)
    pool.wait_all("healthy", lambda a: a.serf_health("n3") == ["passing"], None, 2)
    assert n3.id() == ident
    pool.wait_equal(2)


def test_what_changed_while_one_was_dead(pool):
    n1, n2, n3 = pool.agents
    n3.register("stays")
    n2.register("goes")
    pool.wait_all("both", lambda a: a.catalog("stays") and a.catalog("goes"), None, 2)
    n3.kill()
    n2.deregister("goes")
    n2.register("comes")
    n3.start()
    wait_until("n3 has heard", lambda: n3.catalog("goes") == [] and
               n3.catalog("comes") == [("n2", "comes")], 5)
    pool.wait_all("n3's are there", lambda a: a.catalog("stays") == [("n3", "stays")], None, 5)
    pool.wait_complete(seconds=10)
    pool.wait_equal(5)


@pytest.mark.parametrize("rounds", [5 if SOAK else 2])
def test_no_answer_misses_who_restarts(pool, rounds):
    """An upgrade: stop and start within -restart-grace, under load."""
    n1, n2, n3 = pool.agents
    n3.register("up", 99)
    pool.wait_all("there", lambda a: a.addresses("up") == [n3.address], None, 2)
    with Poller([n1, n2], "up.service.consul") as poller:
        for _ in range(rounds):
            assert n3.stop(signal.SIGTERM) == 0
            time.sleep(1.0)  # the time that replacing a program takes
            n3.start()
            pool.wait_complete(seconds=10)
        wait_until("n3 itself", lambda: n3.addresses("up") == [n3.address], 5)
        time.sleep(1.0)
    assert len(poller.answers) > 200
    assert poller.without(n3.address) == []
    pool.wait_all("healthy", lambda a: a.serf_health("n3") == ["passing"], None, 2)


def test_who_stops_for_longer_than_its_grace_is_hidden(pool, others):
    n1 = pool.agents[0]
    a = others("brief", 11, "-restart-grace", "4s", retry_join=[n1.address])
    a.register("brief", 1)
    wait_until("seen", lambda: n1.addresses("brief") == [a.address], 5)
    a.stop(signal.SIGTERM)
    stopped = time.monotonic()
    wait_until("hidden", lambda: n1.addresses("brief") == [], 20)
    assert time.monotonic() - stopped > 3.5
    assert n1.catalog("brief") == [("brief", "brief")] and n1.serf_health("brief") == ["critical"]
    assert n1.cli("force-leave", "-prune", "brief").returncode == 0
    pool.wait_all("forgotten", lambda x: "brief" not in x.members(), None, 5)


def test_who_leaves_is_out_at_once_and_listed_as_left(pool):
    n1, n2, n3 = pool.agents
    n3.register("bye", 99)
    pool.wait_all("there", lambda a: a.addresses("bye") == [n3.address], None, 2)
    with Poller([n1, n2], "bye.service.consul") as poller:
        begun = time.monotonic()
        out = n3.cli("leave")
        assert out.returncode == 0, out.stderr
        pool.wait_all("out of DNS", lambda a: a.addresses("bye") == [], [n1, n2], 2)
    last = max(when for when, _, _ in poller.with_address(n3.address))
    assert last - begun < 1.0 * PATIENCE
    n3.left()
    for a in (n1, n2):
        wait_until("left", lambda: a.sees("n3", LEFT), 5)
        assert a.catalog("bye") == [] and "n3" not in catalog_of(a)
    n3.start()
    pool.wait_complete(seconds=10)
    pool.wait_all("there again", lambda a: a.addresses("bye") == [n3.address], None, 5)


def test_leave_by_http(pool):
    n1, _, n3 = pool.agents
    assert n3.put("/v1/agent/leave").status == 200
    n3.left()
    wait_until("left", lambda: n1.sees("n3", LEFT), 5)


def test_force_leave_and_prune(pool, others):
    n1, n2, n3 = pool.agents
    n3.register("forced", 99)
    pool.wait_all("there", lambda a: a.addresses("forced") == [n3.address], None, 2)
    n3.kill()
    pool.wait_all("failed", lambda a: a.sees("n3", FAILED), [n1, n2], 15)
    assert n2.cli("force-leave", "n3").returncode == 0
    for a in (n1, n2):
        wait_until("left", lambda: a.sees("n3", LEFT), 5)
        wait_until("out of the catalog", lambda: a.catalog("forced") == [] and
                   "n3" not in catalog_of(a), 2)
    assert n1.put("/v1/agent/force-leave/n3?prune").status == 200
    pool.wait_all("forgotten", lambda a: "n3" not in a.members(), [n1, n2], 5)
    # whoever joins exchanges everything with somebody: nothing of it may come back
    n4 = others("n4", 12, retry_join=[n2.address])
    end = time.monotonic() + (70 if SOAK else 2) * PATIENCE
    while time.monotonic() < end:
        for a in (n1, n2, n4):
            assert "n3" not in a.members() and a.catalog("forced") == []
        time.sleep(0.05)
    assert n4.cli("leave").returncode == 0
    n4.left()
    n3.start()  # with its life behind it: it is there again, and so is what it keeps
    pool.wait_complete(seconds=15)
    pool.wait_all("there again", lambda a: a.addresses("forced") == [n3.address], None, 10)


def test_force_leave_of_who_lives_or_is_unknown(pool):
    n1, _, n3 = pool.agents
    out = n1.cli("force-leave", "nobody")
    assert out.returncode != 0 and "nobody" in out.stderr
    n1.put("/v1/agent/force-leave/n3")
    wait_until("it says that it lives", lambda: n1.sees("n3", ALIVE), 5)
    pool.wait_complete(seconds=5)


def test_two_nodes_with_one_name(pool, others):
    """A warning with both ids; nobody stops, and the services of both are answered."""
    n1, n2, _ = pool.agents
    twin = others("n2", 13, retry_join=[n1.address])
    twin_id = twin.id()
    ids = {n2.id(), twin_id}
    n2.register("one", 1)
    twin.register("two", 2)
    for a in (n1, n2, twin):
        wait_until(f"{a.address}: both are members", lambda: {
            m["Tags"]["id"] for m in a.get("/v1/agent/members").json
            if m["Status"] == ALIVE and m["Tags"].get("id") in ids} == ids, 10)
        wait_until("both are answered", lambda: a.addresses("one") == [n2.address] and
                   a.addresses("two") == [twin.address], 5)
        # the name is whose it was; the catalog calls the newcomer by its id too
        assert a.catalog("one") == [("n2", "one")]
        assert a.catalog("two") == [(f"n2~{twin_id[:8]}", "two")]
        assert a.dns_data("n2.node.consul") == [n2.address]
    wait_until("somebody was told", lambda: any(
        a.log_has("warn", *ids) for a in (n1, n2, twin)), 5)
    assert n2.alive() and twin.alive()
    assert twin.cli("leave").returncode == 0
    twin.left()
    wait_until("one of them", lambda: n1.catalog("two") == [] and
               n1.addresses("one") == [n2.address], 5)
    assert n1.cli("force-leave", "-prune", f"n2~{twin_id[:8]}").returncode == 0
    pool.wait_all("one n2", lambda a: len([m for m in a.get("/v1/agent/members").json
                                           if m["Name"] == "n2"]) == 1, None, 5)


def test_a_node_that_moved_is_the_same_node(pool, others):
    n1, n2, n3 = pool.agents
    n3.register("moves", 7)
    pool.wait_all("there", lambda a: a.addresses("moves") == [n3.address], None, 2)
    ident = n3.id()
    n3.kill()
    moved = others("n3", 14, start=False, retry_join=[n1.address])
    moved.data = n3.data
    moved.start()
    for a in (n1, n2):
        wait_until("at its new address", lambda: a.addresses("moves") == [moved.address], 10)
        wait_until("one member", lambda: [
            (m["Addr"], m["Status"]) for m in a.get("/v1/agent/members").json
            if m["Name"] == "n3"] == [(moved.address, ALIVE)], 5)
        assert catalog_of(a)["n3"]["address"] == moved.address
        assert catalog_of(a)["n3"]["id"] == ident
        assert not a.log_has("warn", "n3", moved.address)
    moved.stop()
    n3.start()
    pool.wait_complete(seconds=15)
    pool.wait_all("back", lambda a: a.addresses("moves") == [n3.address], None, 10)


# joining

def test_not_ready_before_the_first_exchange(pool, others):
    n1 = pool.agents[0]
    n1.register("known", 1)
    a = others("late", 21, wait=False, retry_join=[loopback(99), n1.address])
    n1.proc.send_signal(signal.SIGSTOP)  # its port is open, it does not answer
    try:
        wait_until("it answers for itself", lambda: reachable(a), 10)
        assert a.get("/v1/agent/self").status == 200
        r = a.get("/v1/catalog/nodes")
        assert r.status == 500 and "No cluster leader" in r.text
        assert a.get("/v1/health/service/known").status == 500
        assert a.dns("known.service.consul").rcode() == dns.rcode.SERVFAIL
        a.register("early", 1)
        assert "early" in a.services()
    finally:
        n1.proc.send_signal(signal.SIGCONT)
    wait_until("ready", a.ready, 10)
    assert a.addresses("known") == [n1.address]  # the very first answer is a whole one
    wait_until("seen", lambda: n1.addresses("early") == [a.address], 5)
    assert a.cli("leave").returncode == 0
    a.left()


def reachable(agent):
    try:
        return agent.get("/v1/agent/self").status == 200
    except OSError:
        return False


def stays_alone(agent):
    """It has tried to join, in vain, more than once."""
    wait_until(f"{agent.name} has tried", lambda: reachable(agent) and
               agent.log().count("retry-join failed") >= 2, 10)
    return set(agent.members()) == {agent.name}


def test_ready_after_a_while_when_nobody_is_there(others):
    a = others("alone", 22, wait=False, retry_join=[loopback(99)])
    wait_until("it answers for itself", lambda: reachable(a), 10)
    begun = time.monotonic()
    assert a.get("/v1/catalog/nodes").status == 500
    wait_until("ready", a.ready, 15)
    assert time.monotonic() - begun > 5
    assert a.addresses("nothing") == []


def test_join_of_nobody_ends_the_start(tmp_path):
    out = subprocess.run(
        [*WRAP, MUSTER, "agent", "-docker", "off", "-bind", loopback(23), "-client", loopback(23),
         "-data-dir", str(tmp_path / "d"), "-join", loopback(99)],
        capture_output=True, text=True, timeout=60 * PATIENCE, stdin=subprocess.DEVNULL)
    assert out.returncode != 0 and loopback(99) in out.stderr.splitlines()[-1]


def test_join_when_asked(pool, others):
    n1 = pool.agents[0]
    a = others("asked", 24)
    assert set(a.members()) == {"asked"}
    out = a.cli("join", loopback(99))
    assert out.returncode != 0
    out = a.cli("join", n1.address)
    assert out.returncode == 0 and "1" in out.stdout, out.stdout + out.stderr
    wait_until("joined", lambda: n1.sees("asked") and len(a.members()) >= 4, 5)
    assert a.cli("leave").returncode == 0
    a.left()
    b = others("asked2", 25)
    assert b.put(f"/v1/agent/join/{n1.address}").status == 200
    wait_until("joined", lambda: n1.sees("asked2") and b.sees("n3"), 5)
    assert b.cli("leave").returncode == 0
    b.left()


def test_known_members_are_joined_again(pool):
    """No -join at all: what -data-dir knows is enough."""
    n1, _, n3 = pool.agents
    n3.stop()
    before, n3.retry_join = n3.retry_join, []
    n3.start()
    n3.retry_join = before
    pool.wait_complete(seconds=10)
    wait_until("n1 has it", lambda: n1.serf_health("n3") == ["passing"], 5)


class NameServer(threading.Thread):
    """Answers NXDOMAIN until it is given addresses."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.sock = socket.socket(type=socket.SOCK_DGRAM)
        self.sock.bind((address, 53))
        self.addresses, self.asked = [], 0
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                data, who = self.sock.recvfrom(4096)
                q = dns.message.from_wire(data)
                r = dns.message.make_response(q)
                r.flags |= dns.flags.RA
                if not self.addresses:
                    r.set_rcode(dns.rcode.NXDOMAIN)
                elif q.question[0].rdtype == 1:
                    r.answer.append(dns.rrset.from_text(q.question[0].name, 0, "IN", "A",
                                                        *self.addresses))
                self.asked += 1
                self.sock.sendto(r.to_wire(), who)


def test_a_name_that_resolves_later(pool, others, tmp_path):
    n1 = pool.agents[0]
    server = NameServer(loopback(53))
    resolv = tmp_path / "resolv.conf"
    resolv.write_text(f"nameserver {loopback(53)}\noptions timeout:1 attempts:1\n")
    # its own view of that file, so nothing of this host is touched
    before = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"',
              str(resolv)]
    a = others("named", 26, wait=False, before=before, retry_join=["pool.muster.test"])
    wait_until("it has asked, in vain, and again", lambda: server.asked >= 3, 15)
    assert not n1.sees("named")
    server.addresses = [loopback(99), n1.address]  # the first does not answer
    wait_until("joined", lambda: n1.sees("named"), 10)
    wait_until("ready", a.ready, 10)
    assert a.cli("leave").returncode == 0
    a.left()
    server.sock.close()


# events

def test_events_reach_everybody_once(pool):
    n1, n2, n3 = pool.agents
    fired = n1.put("/v1/event/fire/deploy", "v1.2")
    assert fired.status == 200 and fired.json["Name"] == "deploy"
    out = n2.cli("event", "-name=restart", "now")
    assert out.returncode == 0, out.stderr

    def seen(a, name):
        return [base64.b64decode(e["Payload"] or "").decode()
                for e in a.get(f"/v1/event/list?name={name}").json]
    for a in pool.agents:
        wait_until("deploy", lambda: seen(a, "deploy"), 5)
        wait_until("restart", lambda: seen(a, "restart"), 5)
    time.sleep(1.5 * PATIENCE)  # several rounds of gossip: no second copy
    for a in pool.agents:
        assert seen(a, "deploy") == ["v1.2"] and seen(a, "restart") == ["now"]
    ids = {a.get("/v1/event/list?name=deploy").json[0]["ID"] for a in pool.agents}
    assert len(ids) == 1 and ids != {""}


# who may not join

def test_another_datacenter_is_refused(pool, others):
    n1 = pool.agents[0]
    a = others("far", 31, "-datacenter", "dc2", wait=False, retry_join=[n1.address])
    wait_until("somebody says why", lambda: a.log_has("dc1", "dc2") or n1.log_has("dc1", "dc2") or
               a.log_has("n1", "dc1") or n1.log_has("far", "dc2"), 15)
    time.sleep(1.0 * PATIENCE)
    for b in pool.agents:
        assert not b.sees("far") and "far" not in catalog_of(b)
    assert "n1" not in {n for n, s in a.members().items() if s == ALIVE}
    pool.wait_complete()


def test_coordinates_of_all(pool):
    """What the acks carry becomes the distance between any two."""
    n1 = pool.agents[0]

    def known():
        nodes = n1.get("/v1/coordinate/nodes").json
        # who was started a moment ago tells its own a quarter of a minute later
        return {c["Node"] for c in nodes} >= ({"n1", "n2", "n3"} if SOAK else {"n1", "n2"})
    wait_until("they have one", known, 30, 0.1)
    n1.register("near", 1)
    pool.agents[1].register("near", 2)
    pool.wait_all("both", lambda a: len(a.catalog("near")) == 2, None, 2)
    for a in pool.agents[:2]:
        assert [s["Node"] for s in a.get(f"/v1/catalog/service/near?near={a.name}").json][0] == \
            a.name
    out = n1.cli("rtt", "n1", "n2")
    assert out.returncode == 0 and re.search(r"\d+\.\d+ ms", out.stdout), out.stdout + out.stderr


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    pool = Pool(tmp_path_factory.mktemp("secret"))
    pool.FIRST = 41
    pool.key = new_key()
    try:
        pool.start(3, "-encrypt", pool.key)
        yield pool
    finally:
        pool.stop()


def test_an_encrypted_pool_refuses_who_has_no_key(secret, others):
    n1 = secret.agents[0]
    n1.register("hush", 1)
    secret.wait_all("seen", lambda a: a.addresses("hush") == [n1.address], None, 2)
    plain = others("plain", 51, wait=False, retry_join=[n1.address])
    wrong = others("wrong", 52, "-encrypt", new_key(), wait=False, retry_join=[n1.address])
    for a in (plain, wrong):
        assert stays_alone(a)
        assert a.get("/v1/catalog/service/hush").status == 500
    for a in secret.agents:
        assert set(a.members()) == {"n1", "n2", "n3"}
    secret.wait_complete()


def keys(agent):
    """(key: number of agents that have it), from the whole pool."""
    r = agent.get("/v1/operator/keyring", timeout=30)
    assert r.status == 200, r.text
    found = {}
    for pool in r.json:
        if not pool.get("WAN"):
            assert not pool.get("Messages"), pool
            found = pool["Keys"]
            assert pool["NumNodes"] == 3
    return found


def test_keys_are_rotated_over_the_pool(secret, others):
    n1, n2, n3 = secret.agents
    old, new = secret.key, new_key()
    assert keys(n1) == {old: 3}
    out = n2.cli("keyring", f"-install={new}")
    assert out.returncode == 0, out.stdout + out.stderr
    assert keys(n3) == {old: 3, new: 3}
    out = n1.cli("keyring", f"-remove={old}")
    assert out.returncode != 0  # the one in use
    out = n2.cli("keyring", f"-use={new}")
    assert out.returncode == 0, out.stdout + out.stderr
    assert n3.request("DELETE", "/v1/operator/keyring", {"Key": old}, timeout=30).status == 200
    assert keys(n1) == {new: 3}
    out = n1.cli("keyring", "-list")
    assert out.returncode == 0 and new in out.stdout and old not in out.stdout
    # a restart with the old key on its command line: the ring in -data-dir counts
    n3.stop()
    n3.start()
    secret.wait_complete(seconds=15)
    n1.register("after", 1)
    secret.wait_all("seen", lambda a: a.addresses("after") == [n1.address], None, 2)
    late = others("old", 53, "-encrypt", old, wait=False, retry_join=[n1.address])
    assert stays_alone(late)
    joined = others("new", 54, "-encrypt", new, retry_join=[n1.address])
    wait_until("joined", lambda: n2.sees("new"), 5)
    assert joined.cli("leave").returncode == 0
    joined.left()


def test_encryption_is_rolled_out_over_a_running_pool(tmp_path):
    """Three rounds of restarts, as Consul's manual has them; no answer misses anybody meanwhile."""
    pool = Pool(tmp_path)
    pool.FIRST = 61
    path = tmp_path / "encrypt.json"
    path.write_text("{}")
    key = new_key()
    try:
        n1, n2 = pool.start(2, "-config-file", str(path))
        n1.register("roll", 1)
        n2.register("roll", 2)
        pool.wait_all("both", lambda a: len(a.addresses("roll")) == 2, None, 5)
        for incoming, outgoing in ((False, False), (False, True), (True, True)):
            path.write_text(json.dumps({"encrypt": key, "encrypt_verify_incoming": incoming,
                                        "encrypt_verify_outgoing": outgoing}))
            for one, other in ((n1, n2), (n2, n1)):
                with Poller([other], "roll.service.consul") as p:
                    one.stop()
                    one.start()
                    pool.wait_complete(seconds=15)
                    wait_until("both", lambda: len(one.addresses("roll")) == 2, 5)
                assert p.without(one.address) == [] and p.without(other.address) == []
        path.write_text("{}")
        plain = pool.add("-retry-interval", "1s")
        plain.start(wait=False)
        assert stays_alone(plain) and not n1.sees("n3")
    finally:
        pool.stop()


@pytest.mark.parametrize("key", ["short", base64.b64encode(b"x" * 15).decode(), "!" * 44])
def test_a_bad_key_is_one_clear_line(key, tmp_path):
    out = subprocess.run(
        [*WRAP, MUSTER, "agent", "-docker", "off", "-bind", loopback(55), "-client", loopback(55),
         "-data-dir", str(tmp_path / "d"), "-encrypt", key],
        capture_output=True, text=True, timeout=20 * PATIENCE, stdin=subprocess.DEVNULL)
    lines = out.stderr.strip().splitlines()
    assert out.returncode != 0 and len(lines) == 1 and "encrypt" in lines[0], out.stderr
    assert key not in lines[0] or len(key) < 8  # a key is no word for logs


def test_keygen():
    made = set()
    for _ in range(5):
        out = subprocess.run([*WRAP, MUSTER, "keygen"], capture_output=True, text=True,
                             timeout=20 * PATIENCE)
        assert out.returncode == 0 and len(base64.b64decode(out.stdout.strip())) == 32
        made.add(out.stdout)
    assert len(made) == 5


# what arrives on the gossip port and is no gossip

def test_garbage_does_not_disturb_the_pool(pool):
    n1, n2, _ = pool.agents
    n1.register("calm", 1)
    pool.wait_all("there", lambda a: a.addresses("calm") == [n1.address], None, 2)
    state = 20261128
    stop = time.monotonic() + (60 if SOAK else 2)
    with socket.socket(type=socket.SOCK_DGRAM) as s, Poller([n2], "calm.service.consul") as p:
        while time.monotonic() < stop:
            for _ in range(500):
                state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
                size = state >> 32 & 0x3ff
                body = (state.to_bytes(8, "big") * 128)[:size]
                with contextlib.suppress(OSError):
                    s.sendto(bytes([state >> 48 & 0x0f]) + body, (n1.address, 8301))
        idle = [socket.create_connection((n1.address, 8301)) for _ in range(150)]
        wait_until("still a pool", lambda: n1.get("/v1/agent/self").status == 200)
        pool.wait_complete(seconds=5)
        n2.register("news", 1)
        wait_until("news come through", lambda: n1.addresses("news") == [n2.address], 5)
        for c in idle:
            c.close()
    assert p.without(n1.address) == []
    assert json.loads(n1.get("/v1/agent/self").text)["Member"]["Status"] == ALIVE
