"""HAProxy follows a service by its SRV records, with the file of examples/, while containers are
started, stopped, drained and killed and a client asks all the time."""
import concurrent.futures
import datetime
import http.client
import json
import re
import socket
import statistics
import threading
import time

import dns.rdatatype

from example_harness import Program, example, write
from harness import PATIENCE, free_port, wait_until

CLIENTS = 4
# Says its name on port 80. At the stop signal it goes on for AFTER, then ends.
INSTANCE = ("trap 'AFTER; exit 0' TERM; hostname >/www/index.html; httpd -f -p 80 -h /www & "
            "listener=$!; while :; do sleep 600 & wait $!; done")
FINISHES = "sleep 3"                # longer than HAProxy needs to see that it is out of DNS
REFUSES = "kill $listener; sleep 1"  # accepts nothing more, at once


class Crowd:
    """Instances of the service web in containers, and when the engine started each."""

    def __init__(self, docker):
        self.docker = docker
        self.started = {}

    def run(self, *names, after=FINISHES):
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda name: self._run(name, after), names))

    def _run(self, name, after):
        self.docker.docker("run", "-d", "--name", name, "--hostname", name, "-e",
                           "SERVICE_NAME=web", "web", "sh", "-c", INSTANCE.replace("AFTER", after))
        at = json.loads(self.docker.docker("inspect", name))[0]["State"]["StartedAt"]
        # nanoseconds, of which datetime takes six digits
        whole, _, part = at.rstrip("Z").partition(".")
        moment = datetime.datetime.fromisoformat(whole + "+00:00").timestamp()
        self.started[name] = moment + float("0." + (part or "0"))

    def stop(self, *names):
        """docker stop of all of them at once; returns when they have ended."""
        self.docker.docker("stop", "-t", "10", *names)


class Load:
    """Clients that ask again and again. What each answer was, and when (time.time())."""

    def __init__(self, port, timeout=20):
        self.port, self.timeout = port, timeout * PATIENCE
        self.answers = []  # (begun, ended, who)
        self.errors = []   # (begun, ended, what)
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def _ask(self):
        while not self.ending.is_set():
            begun = time.time()
            conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
            try:
                conn.request("GET", "/")
                r = conn.getresponse()
                body = r.read().decode().strip()
                if r.status == 200:
                    self.answers.append((begun, time.time(), body))
                else:
                    self.errors.append((begun, time.time(), f"{r.status} {body[:200]}"))
            except (OSError, http.client.HTTPException) as e:
                self.errors.append((begun, time.time(), repr(e)))
            finally:
                conn.close()
            time.sleep(0.004)

    def seen(self, since=0.0):
        """Who has answered what was asked since then."""
        return {who for begun, _, who in list(self.answers) if begun >= since}

    def first(self, who):
        return min(ended for _, ended, name in self.answers if name == who)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *unused):
        self.ending.set()
        for t in self.threads:
            t.join()


def get(port):
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        conn.request("GET", "/")
        return conn.getresponse().status
    finally:
        conn.close()


class HAProxy(Program):
    def __init__(self, folder, dns_port):
        self.port, self.socket = free_port(), f"{folder}/haproxy.sock"
        file = write(f"{folder}/haproxy.cfg", example("haproxy.cfg", {
            "bind :80": f"bind 127.0.0.1:{self.port}", "127.0.0.1:8600": f"127.0.0.1:{dns_port}"}))
        own = write(f"{folder}/own.cfg", f"global\n    stats socket {self.socket} mode 600\n")
        super().__init__(f"{folder}/haproxy.log", "/usr/sbin/haproxy", "-db", "-f", file, "-f", own)

    def servers(self):
        """How many instances it sends requests to."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.socket)
            s.sendall(b"show stat\n")
            text = s.makefile().read()
        rows = [line.split(",") for line in text.splitlines()]
        place = rows[0].index("status")
        return sum(r[0] == "web" and r[1].startswith("web") and r[place].startswith("UP")
                   for r in rows if len(r) > place)


def test_follows_instances_without_an_error(docker, agents, tmp_path, record_property):
    agent = agents("-docker-internal", docker=docker.url)
    crowd = Crowd(docker)
    crowd.run("w0")
    with HAProxy(tmp_path, agent.dns_port) as lb:
        lb.wait("the first instance", lambda: get(lb.port) == 200)
        with Load(lb.port) as load:
            # 1 -> 10
            more = [f"w{i}" for i in range(1, 10)]
            crowd.run(*more[:6])
            crowd.run(*more[6:], after=REFUSES)
            wait_until("ten answer", lambda: load.seen() >= {"w0", *more}, 20)
            took = sorted(load.first(name) - crowd.started[name] for name in more)
            lb.wait("ten servers", lambda: lb.servers() == 10)
            # 10 -> 3: stopped, while they finish their work or at once; drained; killed
            begun = time.time()
            crowd.stop("w0", "w1", "w7", "w8")
            docker.docker("kill", "-s", "TERM", "w2")  # no `docker stop`: nobody waits for its end
            killed = []
            for name in ("w3", "w9"):
                at = time.time()
                docker.docker("kill", "-s", "KILL", name)
                killed.append((at, time.time()))
            left = {"w4", "w5", "w6"}
            lb.wait("three servers", lambda: lb.servers() == 3)
            followed = time.time() - begun
            # and up again, into places that were in use
            crowd.run("w10", "w11")
            left |= {"w10", "w11"}
            lb.wait("five servers", lambda: lb.servers() == 5)
            # an upgrade of the agent
            assert agent.stop() == 0
            away = time.time()  # HAProxy asks meanwhile, and nobody is there
            wait_until("answers meanwhile", lambda: load.answers[-1][0] > away + 1.5)
            agent.start()
            assert lb.servers() == 5
            since = time.time()
            wait_until("all answer", lambda: load.seen(since) == left, 10)
            wait_until("and again", lambda: load.answers[-1][0] > since + 1.5)
            assert load.seen(since) == left and lb.servers() == 5
    record_property("figure", "HAProxy: from container start to the first balanced request: median "
                    f"{statistics.median(took) * 1000:.0f} ms, {took[0] * 1000:.0f} to "
                    f"{took[-1] * 1000:.0f} (it asks once a second); from ten to three in "
                    f"{followed:.1f} s; {len(load.answers)} requests, {len(load.errors)} errors")
    # in flight on an instance that was killed: one of a client at most, for each
    for begun, ended in killed:
        hit = [e for e in load.errors if e[0] <= ended and e[1] >= begun][:CLIENTS]
        load.errors = [e for e in load.errors if e not in hit]
    assert load.errors == [], (load.errors[:20], lb.log()[-3000:])


def test_an_answer_has_room_for_a_hundred(agent):
    """As the file says: with addresses, so that HAProxy need not ask for each."""
    for i in range(1, 101):
        r = agent.put("/v1/agent/service/register", {"ID": f"web-{i}", "Name": "web", "Port": 80,
                                                     "Address": f"172.17.1.{i}"})
        assert r.status == 200, r.text
    size = int(re.search(r"accepted_payload_size (\d+)", example("haproxy.cfg", {})).group(1))
    r = agent.dns("_web._tcp.service.consul", "SRV", use_edns=0, payload=size)
    beside = [rrset for rrset in r.additional if rrset.rdtype == dns.rdatatype.A]
    assert sum(len(s) for s in r.answer) == sum(len(s) for s in beside) == 100
    targets = {rr.target for rrset in r.answer for rr in rrset}
    assert targets == {rrset.name for rrset in beside} and len(targets) == 100
    r = agent.dns("_web._tcp.service.consul", "SRV")
    assert sum(len(s) for s in r.answer) == 3
