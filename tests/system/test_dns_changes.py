"""While registrations change the catalog many times a second, no DNS answer is wrong or made of two
states; what a client has been told is registered is in the next answer.

Change k gives instance k % 3 of "web" the port 10000 + k % 40000 and an address with the same number
in it, so an answer tells which change each instance shows. Right are the states after any change
from the last one that was acknowledged before the question to the last one sent before the answer.
"""
import http.client
import json
import os
import re
import threading
import time

import dns.flags
import dns.message
import dns.query
import dns.rdatatype
import pytest

CHANGES = 500  # a second
SECONDS = 60 if os.environ.get("SOAK", "") not in ("", "0") else 4
EACH, FIRST, PORTS = 3, 10000, 40000


class Changes(threading.Thread):
    def __init__(self, agent):
        super().__init__(daemon=True)
        self.agent, self.sent, self.taken, self.ended = agent, -1, -1, threading.Event()
        self.conn = http.client.HTTPConnection(agent.address, agent.http_port, timeout=30)
        for _ in range(EACH):
            self.change()

    def change(self):
        k = self.sent + 1
        number = k % PORTS
        self.sent = k
        self.conn.request("PUT", "/v1/agent/service/register", json.dumps({
            "ID": f"web{k % EACH}", "Name": "web", "Port": FIRST + number,
            "Address": f"10.{k % EACH}.{number >> 8}.{number & 255}"}))
        r = self.conn.getresponse()
        assert r.status == 200, r.read()
        r.read()
        self.taken = k

    def run(self):
        began = time.monotonic()
        first = self.taken
        while not self.ended.is_set():
            self.change()
            due = began + (self.taken - first) / CHANGES
            time.sleep(max(0.0, due - time.monotonic()))


def shown(answer, rdtype):
    """{instance: number of its last change, modulo PORTS}."""
    assert answer.rcode() == 0, answer
    records = [rr for rrset in answer.answer for rr in rrset]
    assert len(records) == EACH, answer
    out = {}
    if rdtype == "A":
        for rr in records:
            _, instance, high, low = map(int, rr.address.split("."))
            out[instance] = high << 8 | low
    else:
        assert len(answer.additional) > 0, answer
        addresses = {rr.address for rrset in answer.additional for rr in rrset
                     if rr.rdtype == dns.rdatatype.A}
        for rr in records:
            ip = bytes.fromhex(re.match(r"([0-9a-f]{8})\.addr\.", str(rr.target)).group(1))
            assert ".".join(map(str, ip)) in addresses, answer
            out[ip[1]] = rr.port - FIRST
            assert out[ip[1]] == ip[2] << 8 | ip[3], answer
    assert sorted(out) == list(range(EACH)), answer
    return out


def is_state(seen, k):
    return all(seen[j % EACH] == j % PORTS for j in range(k - EACH + 1, k + 1))


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_no_answer_is_wrong_while_the_catalog_changes(agents, threads):
    agent = agents("-dns-threads", str(threads))
    changes = Changes(agent)
    changes.start()
    answers, states, end = 0, set(), time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            rdtype = "SRV" if answers % 2 else "A"
            tcp = answers % 50 == 0
            first = changes.taken
            answer = agent.dns("web.service.consul", rdtype, tcp=tcp)
            last = changes.sent
            assert not answer.flags & dns.flags.TC
            seen = shown(answer, rdtype)
            right = [k for k in range(first, last + 1) if is_state(seen, k)]
            assert right, (first, last, seen)
            states.add(right[0])
            answers += 1
    finally:
        changes.ended.set()
        changes.join()
    assert answers > 20 * SECONDS and len(states) > 10 * SECONDS
    assert changes.taken > CHANGES * SECONDS / 10  # a slow machine changes less often
