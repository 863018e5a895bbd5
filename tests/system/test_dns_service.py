"""How DNS is served: late questions, the address a reply leaves from, limits, figures, the log."""
import json
import re
import signal
import socket
import time

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from harness import PATIENCE, wait_until

LATE_S = 2  # DNS_LATE


def figures(agent):
    """{name with labels: value} of Prometheus' format."""
    text = agent.get("/v1/agent/metrics?format=prometheus").text
    return {m[1]: float(m[2]) for m in re.finditer(r"(?m)^(\S+) (\S+)$", text)}


def question(name="n1.node.consul"):
    return dns.message.make_query(name, "A").to_wire()


def client(agent, address="127.0.0.1"):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((address, agent.dns_port))
    s.settimeout(5 * PATIENCE)
    return s


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_who_waited_too_long_is_not_answered(agents, threads):
    agent = agents("-dns-threads", str(threads))
    agent.dns("n1.node.consul")  # a thread keeps this one
    with client(agent) as s:
        agent.proc.send_signal(signal.SIGSTOP)
        try:
            for _ in range(10):
                s.send(question())
                s.send(question("other.node.consul"))
            time.sleep(LATE_S + 0.3)
            fresh = question()
            s.send(fresh)
        finally:
            agent.proc.send_signal(signal.SIGCONT)
        assert s.recv(4096)[:2] == fresh[:2]  # the only answer
        s.settimeout(0.2)
        with pytest.raises(socket.timeout):
            s.recv(4096)
    assert figures(agent)["muster_dns_late_total"] == 20


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("listen, asked", [("0.0.0.0", ["127.0.0.1", "127.0.0.2", "127.77.8.9"]),
                                           ("::", ["::1", "127.0.0.2", "127.77.8.9"])])
def test_replies_leave_from_the_address_asked(agents, tmp_path, listen, asked, threads):
    """A connected socket takes nothing from another address."""
    config = tmp_path / "dns.json"
    config.write_text(json.dumps({"addresses": {"dns": listen}}))
    agent = agents("-config-file", str(config), "-dns-threads", str(threads))
    for _ in range(4):  # made anew, then kept ones; from other ports: other threads
        for address in asked:
            with client(agent, address) as s:
                for name in ("n1.node.consul", "absent.node.consul"):
                    packet = question(name)
                    s.send(packet)
                    assert s.recv(4096)[:2] == packet[:2]


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_a_limit_for_each_network(agents, threads):
    agent = agents("-dns-rate-limit", "20", "-dns-threads", str(threads))
    begun = time.monotonic()
    whole = cut = 0
    with client(agent) as s:
        for _ in range(200):
            s.send(question())
        s.settimeout(0.5)
        with pytest.raises(socket.timeout):
            while True:
                a = dns.message.from_wire(s.recv(4096))
                cut += bool(a.flags & dns.flags.TC)
                whole += len(a.answer) == 1
    most = 20 * (1 + time.monotonic() - begun) + 1
    assert 20 <= whole <= most
    assert abs(cut - (200 - whole) / 2) <= 1  # every second one over it
    got = figures(agent)
    assert got['muster_dns_limited_total{answer="cut"}'] == cut
    assert got['muster_dns_limited_total{answer="none"}'] == 200 - whole - cut
    assert agent.dns("n1.node.consul", tcp=True).answer  # TCP has no limit of this kind


def test_figures_by_type_code_and_time(agents):
    agent = agents("-dns-threads", "2")
    for _ in range(5):
        for name, kind in (("n1.node.consul", "A"), ("absent.service.consul", "SRV"),
                           ("www.example.com", "AAAA")):
            agent.dns(name, kind)
    agent.dns("n1.node.consul", "TXT", tcp=True)

    def grown():
        got = figures(agent)  # a thread publishes after it has sent
        return got if got["muster_dns_answer_seconds_count"] >= 15 else None
    got = wait_until("all are counted", grown)
    for kind, count in (("A", 5), ("SRV", 5), ("AAAA", 5), ("TXT", 1), ("ANY", 0)):
        assert got[f'muster_dns_questions_total{{type="{kind}"}}'] == count
    for code, count in (("NOERROR", 6), ("NXDOMAIN", 5), ("REFUSED", 5), ("SERVFAIL", 0)):
        assert got[f'muster_dns_answers_total{{rcode="{code}"}}'] == count
    buckets = [v for k, v in got.items() if k.startswith("muster_dns_answer_seconds_bucket")]
    assert buckets == sorted(buckets) and buckets[-1] == 15
    assert 0 < got["muster_dns_answer_seconds_sum"] < 60
    names = {c["Name"] for c in agent.get("/v1/agent/metrics").json["Counters"]}
    assert {"muster.dns.questions", "muster.dns.answers", "muster.dns.answer_seconds"} <= names


def test_every_answer_in_the_log(agents):
    agent = agents("-dns-query-log", "-dns-threads", "1")
    for _ in range(2):
        agent.dns("n1.node.consul")
    agent.dns("absent.service.consul", "SRV", tcp=True)

    def lines():
        found = re.findall(r"answered name=(\S+) type=(\S+) from=127\.0\.0\.1:\d+ over=(\S+) "
                           r"code=(\S+) answers=(\d+)", agent.log())
        return found if len(found) >= 3 else None
    assert wait_until("they are logged", lines) == 2 * [("n1.node.consul.", "A", "udp", "NOERROR",
                                                         "1")] + \
        [("absent.service.consul.", "SRV", "tcp", "NXDOMAIN", "0")]
