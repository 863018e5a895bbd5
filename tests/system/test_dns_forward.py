"""Names that are not ours: other name servers are asked (-recursor). These are small servers of our
own here, which say exactly what a test wants, also what no honest server would.
"""
import json
import signal
import socket
import struct
import subprocess
import threading
import time

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rrset
import pytest

from harness import MUSTER, PATIENCE, free_port, wait_until


class Recursor:
    """Answers by say(query, tcp): a message, bytes, a list of these, or None. What it has been
    asked: [(query, port of the asker, tcp)]."""

    def __init__(self, say):
        self.port, self.say, self.asked = free_port(), say, []
        self.udp = socket.socket(type=socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.tcp = socket.create_server(("127.0.0.1", self.port))
        self.address = f"127.0.0.1:{self.port}"
        for serve in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def answers(self, wire, port, tcp):
        query = dns.message.from_wire(wire)
        self.asked.append((query, port, tcp))
        said = self.say(query, tcp)
        said = said if isinstance(said, list) else [] if said is None else [said]
        return [m if isinstance(m, bytes) else m.to_wire() for m in said]

    def serve_udp(self):
        while True:
            try:
                wire, peer = self.udp.recvfrom(65535)
            except OSError:
                return
            if peer is None:  # closed
                return
            for answer in self.answers(wire, peer[1], False):
                try:
                    self.udp.sendto(answer, peer)
                except OSError:
                    return

    def serve_tcp(self):
        while True:
            try:
                conn, peer = self.tcp.accept()
            except OSError:
                return
            with conn:
                size, = struct.unpack(">H", conn.recv(2, socket.MSG_WAITALL))
                wire = conn.recv(size, socket.MSG_WAITALL)
                for answer in self.answers(wire, peer[1], True):
                    conn.sendall(struct.pack(">H", len(answer)) + answer)

    def close(self):
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


@pytest.fixture
def recursor():
    made = []

    def make(say):
        made.append(Recursor(say))
        return made[-1]
    yield make
    for r in made:
        r.close()


@pytest.fixture
def config(tmp_path):
    def make(dns_config, **more):
        path = str(tmp_path / "dns.json")
        with open(path, "w") as f:
            json.dump({"dns_config": dns_config, **more}, f)
        return path
    return make


def reply(query, *addresses, rdtype="A", rcode=0):
    r = dns.message.make_response(query)
    r.flags |= dns.flags.RA
    r.set_rcode(rcode)
    if addresses:
        r.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", rdtype, *addresses))
    return r


def says(*addresses, **kw):
    return lambda query, tcp: reply(query, *addresses, **kw)


def texts(section):
    return sorted(rr.to_text() for rrset in section for rr in rrset)


def counter(agent, name):
    text = agent.get("/v1/agent/metrics?format=prometheus").text
    for line in text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[-1])
    raise AssertionError(f"no {name} in\n{text}")


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("tcp", [False, True])
def test_other_names_are_asked_for(agents, recursor, threads, tcp):
    r = recursor(says("192.0.2.1"))
    agent = agents("-recursor", r.address, "-dns-threads", str(threads))
    for name in ("www.example.com", "WwW.eXample.com"):
        a = agent.dns(name, tcp=tcp)
        assert a.rcode() == 0 and texts(a.answer) == ["192.0.2.1"]
        assert a.flags & dns.flags.RA and a.flags & dns.flags.RD and a.flags & dns.flags.QR
        assert str(a.question[0].name) == name + "."
    assert [str(q.question[0].name) for q, _, _ in r.asked] == ["www.example.com.",
                                                                "WwW.eXample.com."]
    own = agent.dns("n1.node.consul", tcp=tcp)
    assert own.answer and own.flags & dns.flags.RA and own.flags & dns.flags.AA
    assert len(r.asked) == 2


def test_codes_pass(agents, recursor):
    r = recursor(says(rcode=dns.rcode.NXDOMAIN))
    agent = agents("-recursor", r.address)
    assert agent.dns("absent.example.com").rcode() == dns.rcode.NXDOMAIN
    assert agent.dns("absent.service.consul").rcode() == dns.rcode.NXDOMAIN
    assert len(r.asked) == 1  # names of ours are ours, also those that are not there


def test_cut_by_udp_is_asked_by_tcp(agents, recursor):
    many = [f"192.0.2.{i}" for i in range(60)]

    def say(query, tcp):
        r = reply(query, *(many if tcp else []))
        if not tcp:
            r.flags |= dns.flags.TC
        return r
    r = recursor(say)
    agent = agents("-recursor", r.address)
    assert len(texts(agent.dns("many.example.com", use_edns=0, payload=4096).answer)) == 60
    assert [tcp for _, _, tcp in r.asked] == [False, True]
    cut = agent.dns("many.example.com")
    assert cut.flags & dns.flags.TC and not cut.answer
    assert len(texts(agent.dns("many.example.com", tcp=True).answer)) == 60


def test_the_next_when_one_does_not_answer(agents, recursor, config):
    silent, broken = recursor(lambda q, tcp: None), recursor(says(rcode=dns.rcode.SERVFAIL))
    good = recursor(says("192.0.2.3"))
    nobody = f"127.0.0.1:{free_port()}"
    words = [w for a in (nobody, silent.address, broken.address, good.address)
             for w in ("-recursor", a)]
    agent = agents(*words, "-config-file", config({"recursor_timeout": "300ms"}))
    for i in range(3):
        assert texts(agent.dns(f"a{i}.example.com").answer) == ["192.0.2.3"]
    assert len(silent.asked) == len(broken.asked) == len(good.asked) == 3


def test_at_random(agents, recursor, config):
    rs = [recursor(says("192.0.2.1")) for _ in range(3)]
    words = [w for r in rs for w in ("-recursor", r.address)]
    agent = agents(*words, "-config-file", config({"recursor_strategy": "random"}))
    for i in range(60):
        agent.dns(f"a{i}.example.com")
    assert all(5 < len(r.asked) < 40 for r in rs), [len(r.asked) for r in rs]


def test_nobody_answers(agents, recursor, config):
    r = recursor(lambda q, tcp: None)
    agent = agents("-recursor", r.address, "-config-file",
                   config({"recursor_timeout": "200ms"}))
    a = agent.dns("www.example.com")
    assert a.rcode() == dns.rcode.SERVFAIL and a.flags & dns.flags.RA
    assert counter(agent, "muster_dns_recursors_failed_total") == 1


def test_spoofed_answers_do_not_count(agents, recursor):
    """Before the right one come one with another id, one with another question, one that is cut
    short, and one from another port."""
    elsewhere = socket.socket(type=socket.SOCK_DGRAM)
    elsewhere.bind(("127.0.0.1", 0))

    def say(query, tcp):
        wrong_id, other = reply(query, "192.0.2.66"), dns.message.make_query("b.example.com", "A")
        wrong_id.id, other.id = query.id ^ 1, query.id
        wrong = reply(query, "192.0.2.66").to_wire()
        elsewhere.sendto(wrong, ("127.0.0.1", r.asked[-1][1]))
        return [wrong_id, reply(other, "192.0.2.66"), wrong[:11], reply(query, "192.0.2.1")]
    r = recursor(say)
    agent = agents("-recursor", r.address)
    with elsewhere:
        for i in range(10):
            assert texts(agent.dns(f"www{i}.example.com").answer) == ["192.0.2.1"]


def test_a_question_is_no_answer(agents, recursor):
    def say(query, tcp):
        back = dns.message.make_query(query.question[0].name, "A")
        back.id = query.id
        return back
    r = recursor(say)
    agent = agents("-recursor", r.address)
    assert agent.dns("www.example.com").rcode() == dns.rcode.SERVFAIL
    assert counter(agent, "muster_dns_recursors_foreign_total") == 1


def test_ids_and_ports_cannot_be_guessed(agents, recursor):
    r = recursor(says("192.0.2.1"))
    agent = agents("-recursor", r.address)
    for i in range(64):
        agent.dns(f"a{i}.example.com")
    for seen in ([q.id for q, _, _ in r.asked], [port for _, port, _ in r.asked]):
        assert len(set(seen)) > 48
        steps = [(b - a) % 65536 for a, b in zip(seen, seen[1:])]
        assert len(set(steps)) > 40, seen


def test_a_circle_ends(agents, recursor):
    def say(query, tcp):
        return dns.query.udp(query, "127.0.0.1", 10, port=agent.dns_port)
    r = recursor(say)
    agent = agents("-recursor", r.address)
    begun = time.monotonic()
    assert agent.dns("www.example.com").rcode() == dns.rcode.SERVFAIL
    assert time.monotonic() - begun < 1.5 * PATIENCE  # not by the recursor's timeout
    assert counter(agent, "muster_dns_recursors_loops_total") == 1
    assert "recursors lead in a circle" in agent.log()


def test_it_does_not_ask_itself(tmp_path):
    port = free_port()
    done = subprocess.run([MUSTER, "agent", "-dev", "-dns-port", str(port), "-recursor",
                           f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "would ask itself" in done.stderr + done.stdout


def test_a_limit_on_what_is_under_way(agents, recursor, config):
    go = threading.Event()

    def say(query, tcp):
        go.wait(30)
        return reply(query, "192.0.2.1")
    r = recursor(say)
    agent = agents("-recursor", r.address, "-config-file",
                   config({"recursor_timeout": "30s"}))
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", agent.dns_port))
        s.settimeout(10 * PATIENCE)
        for i in range(300):
            s.send(dns.message.make_query(f"a{i}.example.com", "A").to_wire())
        codes = [dns.message.from_wire(s.recv(4096)).rcode() for _ in range(300 - 256)]
        assert codes == [dns.rcode.SERVFAIL] * (300 - 256)  # at once, the others wait
        assert counter(agent, "muster_dns_recursors_under_way") == 256
        assert counter(agent, "muster_dns_recursors_refused_total") == 300 - 256
        assert agent.dns("n1.node.consul").answer  # ours as ever
        go.set()
        codes = [dns.message.from_wire(s.recv(4096)).rcode() for _ in range(256)]
        assert codes == [0] * 256
    assert counter(agent, "muster_dns_recursors_under_way") == 0


def test_the_same_question_is_asked_once(agents, recursor, config):
    go = threading.Event()

    def say(query, tcp):
        go.wait(30)
        return reply(query, "192.0.2.1")
    r = recursor(say)
    agent = agents("-recursor", r.address, "-config-file",
                   config({"recursor_timeout": "30s"}))
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", agent.dns_port))
        s.settimeout(10 * PATIENCE)
        sent = [dns.message.make_query("www.example.com", "A") for _ in range(20)]
        for q in sent:
            s.send(q.to_wire())
        agent.dns("n1.node.consul")
        wait_until("it was asked", lambda: r.asked)
        go.set()
        got = [dns.message.from_wire(s.recv(4096)) for _ in sent]
    assert sorted(a.id for a in got) == sorted(q.id for q in sent)
    assert all(texts(a.answer) == ["192.0.2.1"] for a in got) and len(r.asked) == 1


def test_addresses_that_are_names_elsewhere(agents, recursor):
    def say(query, tcp):
        kind = query.question[0].rdtype
        return reply(query, "2001:db8::5", rdtype="AAAA") if kind == 28 else \
            reply(query, "192.0.2.5")
    r = recursor(say)
    agent = agents("-recursor", r.address)
    agent.put("/v1/catalog/register", {"Node": "far", "Address": "far.example.net", "Service": {
        "Service": "db", "Address": "db.example.com", "Port": 5432}})
    for tcp in (False, True):
        a = agent.dns("db.service.consul", tcp=tcp)
        assert texts(a.answer) == ["192.0.2.5", "db.example.com."]
        a = agent.dns("db.service.consul", "AAAA", tcp=tcp)
        assert texts(a.answer) == ["2001:db8::5", "db.example.com."]
        a = agent.dns("db.service.consul", "SRV", tcp=tcp)
        assert texts(a.answer) == ["1 1 5432 db.example.com."]
        assert texts(a.additional) == ["192.0.2.5"]
        assert texts(agent.dns("far.node.consul", tcp=tcp).answer) == ["192.0.2.5",
                                                                       "far.example.net."]
    asked = {str(q.question[0].name) for q, _, _ in r.asked}
    assert asked == {"db.example.com.", "far.example.net."}
    r.say = lambda q, tcp: reply(q, rcode=dns.rcode.NXDOMAIN)
    assert texts(agent.dns("db.service.consul").answer) == ["db.example.com."]


def test_reverse_names_of_others(agents, recursor):
    r = recursor(says("host.example.com.", rdtype="PTR"))
    agent = agents("-recursor", r.address)
    assert texts(agent.dns("9.2.0.192.in-addr.arpa", "PTR").answer) == ["host.example.com."]
    assert texts(agent.dns("1.0.0.127.in-addr.arpa", "PTR").answer) == ["n1.node.dc1.consul."]
    assert len(r.asked) == 1


def test_what_is_not_forwarded(agents, recursor):
    r = recursor(says("192.0.2.1"))
    agent = agents("-recursor", r.address)
    chaos = dns.message.make_query("version.bind", "TXT", rdclass=dns.rdataclass.CH)
    assert dns.query.udp(chaos, "127.0.0.1", 5, port=agent.dns_port).rcode() == \
        dns.rcode.REFUSED
    transfer = dns.message.make_query("example.com", "AXFR")
    assert dns.message.from_wire(raw_tcp(agent, [transfer.to_wire()])[0]).rcode() == \
        dns.rcode.REFUSED
    assert r.asked == []


def raw_tcp(agent, wires):
    out = []
    with socket.create_connection(("127.0.0.1", agent.dns_port)) as s:
        s.settimeout(10 * PATIENCE)
        for wire in wires:
            s.sendall(struct.pack(">H", len(wire)) + wire)
        for _ in wires:
            size, = struct.unpack(">H", s.recv(2, socket.MSG_WAITALL))
            out.append(s.recv(size, socket.MSG_WAITALL))
    return out


def test_others_are_answered_meanwhile(agents, recursor, config):
    """One connection: what is ours does not wait for what is not (RFC 7766 7)."""
    go = threading.Event()

    def say(query, tcp):
        go.wait(30)
        return reply(query, "192.0.2.1")
    r = recursor(say)
    agent = agents("-recursor", r.address, "-config-file",
                   config({"recursor_timeout": "30s"}))
    far, near = (dns.message.make_query(n, "A") for n in ("www.example.com", "n1.node.consul"))
    with socket.create_connection(("127.0.0.1", agent.dns_port)) as s:
        s.settimeout(10 * PATIENCE)
        for q in (far, near):
            s.sendall(struct.pack(">H", len(q.to_wire())) + q.to_wire())

        def one():
            size, = struct.unpack(">H", s.recv(2, socket.MSG_WAITALL))
            return dns.message.from_wire(s.recv(size, socket.MSG_WAITALL))
        assert one().id == near.id
        s.shutdown(socket.SHUT_WR)
        go.set()
        assert one().id == far.id
        assert s.recv(1) == b""
    # who goes away while it waits is forgotten
    go.clear()
    with socket.create_connection(("127.0.0.1", agent.dns_port)) as s:
        wire = dns.message.make_query("gone.example.com", "A").to_wire()
        s.sendall(struct.pack(">H", len(wire)) + wire)
        wait_until("it is asked", lambda: len(r.asked) == 2)
    go.set()
    wait_until("it is over", lambda: counter(agent, "muster_dns_recursors_under_way") == 0)


def test_cookies_are_not_for_others(agents, recursor):
    r = recursor(says("192.0.2.1"))
    agent = agents("-recursor", r.address)
    cookie = dns.edns.GenericOption(10, b"12345678")
    for name in ("n1.node.consul", "www.example.com"):
        a = agent.dns(name, use_edns=0, options=[cookie])
        assert a.answer and a.edns == 0 and a.options == ()
    assert r.asked[0][0].edns == 0 and r.asked[0][0].options == ()


def test_recursors_change_without_a_restart(agents, recursor, config):
    first, second = recursor(says("192.0.2.1")), recursor(says("192.0.2.2"))
    path = config({}, recursors=[first.address])
    agent = agents("-config-file", path)
    assert texts(agent.dns("www.example.com").answer) == ["192.0.2.1"]
    for recursors, seen in (([second.address], ["192.0.2.2"]), ([], [])):
        with open(path, "w") as f:
            json.dump({"recursors": recursors}, f)
        agent.proc.send_signal(signal.SIGHUP)
        wait_until("the new ones are asked",
                   lambda: texts(agent.dns("www.example.com").answer) == seen)
    a = agent.dns("www.example.com")
    assert a.rcode() == dns.rcode.REFUSED and not a.flags & dns.flags.RA
