"""Clients that write down what they asked of keys and what they were told, a nemesis that breaks
servers and the network meanwhile, and the checker (tests/linear) that judges.

A third of the keys are pairs: two keys that transactions alone write and read, both at once, so that
they must be as one key. Values are written once each. An answer that did not come, or was a 500, is an unknown outcome; a
request that could not even be sent did not happen. Every client and server is on one machine, so
CLOCK_MONOTONIC is everybody's.
"""
import base64
import contextlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import threading
import time

from harness import MUSTER, PATIENCE, wait_until
from net_harness import inside

BUILD = os.environ.get("BUILD", os.path.dirname(os.path.abspath(MUSTER)))
KEY_OPS = 120      # a key is left after so many operations: short histories are checked fast
KEYS_AT_ONCE = 3
TTL = 10           # s, the shortest there is


class NotSent(Exception):
    """Nothing of it has left: it did not happen."""


class Lost(Exception):
    """It has left; what became of it is not known."""


class Connection:
    """HTTP to one agent, kept open; raw, because http.client takes longer than the agent."""

    def __init__(self, agent, timeout):
        self.agent, self.timeout = agent, timeout
        self.sock, self.rest = None, b""
        self.index = None  # X-Consul-Index of the last answer

    def connect(self):
        with inside(self.agent.namespace):
            self.sock = socket.socket()
        self.sock.settimeout(self.timeout)
        self.sock.connect((self.agent.address, self.agent.http_port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def close(self):
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def fill(self):
        more = self.sock.recv(65536)
        if not more:
            raise OSError("closed")
        self.rest += more

    def read(self):
        """(status, body, whether it stays open)"""
        while b"\r\n\r\n" not in self.rest:
            self.fill()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.split(b"\r\n")
        size, stays, self.index = 0, True, None
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                size = int(value)
            elif name.lower() == b"x-consul-index":
                self.index = int(value)
            elif name.lower() == b"connection" and value.strip().lower() == b"close":
                stays = False
        while len(self.rest) < size:
            self.fill()
        body, self.rest = self.rest[:size], self.rest[size:]
        return int(lines[0].split()[1]), body, stays

    def alive(self):
        """False when the other side has closed it while nobody asked anything."""
        return not select.select([self.sock], [], [], 0)[0]

    def ask(self, method, path, body=b""):
        if self.sock is not None and (self.rest or not self.alive()):
            self.close()
        try:
            if self.sock is None:
                self.connect()
        except OSError as e:
            self.close()
            raise NotSent(str(e)) from None
        try:
            self.sock.sendall(b"%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" %
                              (method, path.encode(), len(body), body))
            status, text, stays = self.read()
        except OSError as e:
            self.close()
            raise Lost(str(e)) from None
        if not stays:
            self.close()
        return status, text


class Keys:
    """The keys that are in use now, and all that were."""

    def __init__(self, prefix):
        self.prefix, self.lock = prefix, threading.Lock()
        self.made, self.now = [], []
        for _ in range(KEYS_AT_ONCE):
            self.now.append([self.new(), 0])

    def new(self):
        n = len(self.made)
        self.made.append(f"{self.prefix}-{n}" + ("-pair" if n % 3 == 2 else ""))
        return self.made[-1]

    def take(self, rng):
        with self.lock:
            place = rng.randrange(KEYS_AT_ONCE)
            key = self.now[place]
            key[1] += 1
            if key[1] > KEY_OPS:
                key = self.now[place] = [self.new(), 1]
            return key[0]


class Session:
    def __init__(self, ident, kind, behaviour, begun):
        self.id, self.kind, self.behaviour = ident, kind, behaviour
        self.begun = self.renewed = begun  # ns, before it was asked for
        self.left = random.randrange(20, 60)  # operations until it is given up


class Client(threading.Thread):
    """One of several: at any time it waits for one answer only."""

    def __init__(self, name, agents, keys, seed, pause, timeout):
        super().__init__(daemon=True)
        self.name_, self.keys, self.pause = name, keys, pause
        self.random = random.Random(seed)
        self.conns = [Connection(a, timeout) for a in agents]
        self.lines, self.values, self.index = [], 0, {}
        self.session = None
        self.ending = threading.Event()
        self.count = {"ok": 0, "unknown": 0, "not sent": 0}
        self.asked = {}  # verb: how often it was answered
        self.error = None

    def run(self):
        try:
            while not self.ending.is_set():
                self.step()
                time.sleep(self.random.uniform(0, 2 * self.pause))
        except Exception as e:  # pylint: disable=broad-except
            self.error = e
        finally:
            for c in self.conns:
                c.close()

    # one operation

    def ask(self, method, path, body=b""):
        """(invoke, return, status, body); status None: unknown; None: it was not sent."""
        conn = self.random.choice(self.conns)
        begun = time.monotonic_ns()
        try:
            status, text = conn.ask(method, path, body)
        except NotSent:
            self.count["not sent"] += 1
            time.sleep(0.02)
            return None
        except Lost:
            status, text = None, b""
        ended = time.monotonic_ns()
        if status is None or status >= 500 and not text.startswith(b"raft apply failed: invalid"):
            self.count["unknown"] += 1
            status = None
            time.sleep(0.05)
        else:
            self.count["ok"] += 1
        return begun, ended, status, text

    def record(self, key, got, words, answer):
        begun, ended, status, _ = got
        if status is None:
            self.lines.append(f"{self.name_} {key} {begun} ? {words}")
        else:
            verb = words.split(" ", 1)[0]
            self.asked[verb] = self.asked.get(verb, 0) + 1
            self.lines.append(f"{self.name_} {key} {begun} {ended} {words} = {answer}")

    def value(self):
        self.values += 1
        return f"{self.name_}.{self.values}"

    def step(self):
        key = self.keys.take(self.random)
        if key.endswith("-pair"):
            do = self.random.choices([self.pair_get, self.pair_put, self.pair_cas,
                                      self.pair_delete], [45, 20, 25, 10])[0]
        else:
            do = self.random.choices(
                [self.get, self.put, self.cas, self.delete, self.acquire, self.release],
                [35, 15, 20, 6, 14, 10])[0]
        do(key)
        if self.session is not None:
            self.session_age()

    def get(self, key):
        path = f"/v1/kv/{key}" + self.random.choice(["", "", "?consistent"])
        got = self.ask(b"GET", path)
        if got is None or got[2] is None:
            return  # it changed nothing and told nothing
        if got[2] == 404:
            self.index[key] = 0
            self.record(key, got, "get", "none")
            return
        assert got[2] == 200, got
        e = json.loads(got[3])[0]
        self.index[key] = e["ModifyIndex"]
        value = base64.b64decode(e["Value"]).decode()
        self.record(key, got, "get",
                    f"{value} {e['ModifyIndex']} {e['LockIndex']} {e.get('Session') or '-'}")

    def write(self, key, query, words, method=b"PUT", body=b""):
        got = self.ask(method, f"/v1/kv/{key}{query}", body)
        if got is None:
            return
        if got[2] is not None and got[2] >= 500:
            answer = "invalid"
            self.give_up(self.session)
        else:
            assert got[2] in (None, 200), got
            answer = {b"true": "yes", b"false": "no", b"": "?"}[got[3].strip()
                                                                if got[2] else b""]
        self.record(key, got, words, answer)

    def put(self, key):
        v = self.value()
        self.write(key, "", f"put {v}", body=v.encode())

    def cas(self, key):
        v, i = self.value(), self.index.get(key, 0)
        self.write(key, f"?cas={i}", f"cas {i} {v}", body=v.encode())

    def delete(self, key):
        i = self.index.get(key, 0)
        if i and self.random.random() < 0.5:
            self.write(key, f"?cas={i}", f"delete-cas {i}", b"DELETE")
        else:
            self.write(key, "", "delete", b"DELETE")

    def acquire(self, key):
        s = self.session or self.session_create()
        if s is not None:
            v = self.value()
            self.write(key, f"?acquire={s.id}", f"acquire {s.id} {v}", body=v.encode())

    def release(self, key):
        if self.session is not None:
            s, v = self.session, self.value()
            self.write(key, f"?release={s.id}", f"release {s.id} {v}", body=v.encode())

    # two keys as one

    def pair(self, key, *verbs):
        """One transaction; a verb of each key."""
        ops = [{"KV": {"Key": f"{key}/{side}", **verb}} for side, verb in zip("ab", verbs)]
        return self.ask(b"PUT", "/v1/txn", json.dumps(ops).encode())

    def pair_get(self, key):
        got = self.pair(key, {"Verb": "get"}, {"Verb": "get"})
        if got is None or got[2] is None:
            return
        said = json.loads(got[3])
        if got[2] == 409:  # of two keys that are not there each is named
            assert len(said["Errors"]) == 2, said
            self.index[key] = 0
            self.record(key, got, "get", "none")
            return
        assert got[2] == 200, got
        a, b = (r["KV"] for r in said["Results"])
        assert a["Value"] == b["Value"] and a["ModifyIndex"] == b["ModifyIndex"], \
            f"half of a transaction: {said}"
        self.index[key] = a["ModifyIndex"]
        value = base64.b64decode(a["Value"]).decode()
        self.record(key, got, "get", f"{value} {a['ModifyIndex']} {a['LockIndex']} -")

    def pair_write(self, key, words, *verbs):
        got = self.pair(key, *verbs)
        if got is not None:
            assert got[2] in (None, 200, 409), got
            self.record(key, got, words, "no" if got[2] == 409 else "yes")

    def pair_put(self, key):
        v = self.value()
        verb = {"Verb": "set", "Value": base64.b64encode(v.encode()).decode()}
        self.pair_write(key, f"put {v}", verb, verb)

    def pair_cas(self, key):
        v, i = self.value(), self.index.get(key, 0)
        verb = {"Verb": "set", "Value": base64.b64encode(v.encode()).decode()}
        self.pair_write(key, f"cas {i} {v}", {**verb, "Verb": "cas", "Index": i}, verb)

    def pair_delete(self, key):
        self.pair_write(key, "delete", {"Verb": "delete"}, {"Verb": "delete"})

    # sessions

    def session_create(self):
        """Of three kinds: one that only we end, one with a TTL, one that falls with its agent."""
        kind = self.random.choices(["ours", "ttl", "node"], [5, 3, 2])[0]
        behaviour = self.random.choice(["release", "release", "delete"])
        body = {"LockDelay": "0s", "Behavior": behaviour}
        if kind != "node":
            body["NodeChecks"] = []
        if kind == "ttl":
            body["TTL"] = f"{TTL}s"
        got = self.ask(b"PUT", "/v1/session/create", json.dumps(body).encode())
        if got is None or got[2] is None:
            return None  # if there is one now, nobody will ever name it
        if got[2] != 200:
            raise AssertionError(got)
        self.session = Session(json.loads(got[3])["ID"], kind, behaviour, got[0])
        return self.session

    def session_age(self):
        s = self.session
        s.left -= 1
        if s.kind == "ttl" and s.left % 8 == 0 and self.renew(s) is False:
            self.give_up(s)
        elif s.left <= 0 and (s.kind != "ttl" or self.random.random() < 0.3):
            self.destroy(s)
        elif s.left <= 0:
            self.give_up(s)  # its TTL will end it, or nothing

    def renew(self, s):
        got = self.ask(b"PUT", f"/v1/session/renew/{s.id}")
        if got is not None and got[2] == 200:
            s.renewed = got[0]
        return None if got is None or got[2] is None else got[2] == 200

    def may_end(self, s):
        """The line for an end that nobody of us asked for."""
        if s.kind == "ours":
            return
        earliest = s.begun if s.kind == "node" else s.renewed + TTL * 1000000000
        self.lines.append(f"{self.name_} * {earliest} ? end {s.id} {s.behaviour} 0")

    def give_up(self, s):
        self.session = None
        self.may_end(s)

    def destroy(self, s):
        got = self.ask(b"PUT", f"/v1/session/destroy/{s.id}")
        self.session = None
        if got is not None:
            assert got[2] in (None, 200), got
            # it may have ended before by itself: then this ends nothing, and is an end all the same
            self.record("*", got, f"end {s.id} {s.behaviour} 0", "ok")
        self.may_end(s)

    def finish(self, all_keys):
        """When the run is over: what became of the session, and one look at every key."""
        if self.session is not None:
            self.give_up(self.session)
        for key in all_keys:
            wait_until(f"{key} is answered", lambda: self.look(key), 20)

    def look(self, key):
        before = len(self.lines)
        (self.pair_get if key.endswith("-pair") else self.get)(key)
        return len(self.lines) > before


class Nemesis(threading.Thread):
    """Breaks one thing after the other, by its seed; tells each in `told`."""

    def __init__(self, pool, servers, seed, faults, gap=(1.0, 2.5)):
        super().__init__(daemon=True)
        self.pool, self.servers, self.faults, self.gap = pool, servers, faults, gap
        self.random = random.Random(seed)
        self.ending = threading.Event()
        self.told, self.error = [], None
        self.begun = time.monotonic()

    def run(self):
        order = []
        try:
            while not self.ending.wait(self.random.uniform(*self.gap)):
                if not order:  # each comes before one comes again
                    order = self.random.sample(self.faults, len(self.faults))
                getattr(self, order.pop())()
        except Exception as e:  # pylint: disable=broad-except
            self.error = e

    def tell(self, text):
        self.told.append(f"{time.monotonic() - self.begun:6.2f} s  {text}")

    def last(self, low, high):
        self.ending.wait(self.random.uniform(low, high))

    def one(self):
        """Mostly the leader."""
        if self.random.random() < 0.6:
            lead = leader(self.servers)
            if lead is not None:
                return lead
        return self.random.choice(self.servers)

    def place(self, agent):
        return self.pool.agents.index(agent)

    def kill(self):
        a = self.one()
        self.tell(f"kill -9 {a.name}")
        a.kill()
        self.last(0.1, 3)
        a.start(wait=False)

    def kill_all(self):
        self.tell("kill -9 all servers")
        for a in self.servers:
            a.kill()
        self.last(0.1, 1)
        for a in self.random.sample(self.servers, len(self.servers)):
            a.start(wait=False)

    def pause(self):
        a = self.one()
        self.tell(f"SIGSTOP {a.name}")
        a.proc.send_signal(signal.SIGSTOP)
        self.last(0.3, 5)
        a.proc.send_signal(signal.SIGCONT)

    def restart(self):
        a = self.one()
        self.tell(f"restart {a.name}")
        a.stop()
        a.start(wait=False)

    def isolate(self):
        a = self.one()
        self.tell(f"{a.name} is alone")
        i = self.place(a)
        self.pool.network.partition([i], [j for j in range(len(self.pool.agents)) if j != i])
        self.last(1, 5)
        self.pool.network.heal()

    def one_way(self):
        """It is heard and hears nothing, or the other way round."""
        i = self.place(self.one())
        others = [j for j in range(len(self.pool.agents)) if j != i]
        deaf = self.random.random() < 0.5
        self.tell(f"{self.pool.agents[i].name} {'hears nobody' if deaf else 'is not heard'}")
        self.pool.network.tell(cut=[[j, i] if deaf else [i, j] for j in others])
        self.last(1, 5)
        self.pool.network.heal()

    def ring(self):
        """Each server hears only one of the two others."""
        places = [self.place(a) for a in self.servers]
        self.random.shuffle(places)
        self.tell("a ring " + " -> ".join(self.pool.agents[i].name for i in places))
        step = dict(zip(places, places[1:] + places[:1]))
        self.pool.network.tell(cut=[[i, j] for i in places for j in places
                                    if i != j and step[i] != j])
        self.last(1, 4)
        self.pool.network.heal()

    def weather(self):
        self.tell("packets are lost, late and out of order")
        self.pool.network.tell(loss=0.15, delay_ms=2, jitter_ms=40)
        self.last(1, 4)
        self.pool.network.heal()


def leader(servers):
    """Who is said to lead by one that answers, or None."""
    for a in servers:
        try:
            text = a.get("/v1/status/leader", timeout=1).json
        except (OSError, ValueError):
            continue
        for b in servers:
            if text and text.rsplit(":", 1)[0] == b.address:
                return b
    return None


def writable(agent):
    """A write is taken now."""
    with contextlib.suppress(OSError):
        r = agent.put("/v1/kv/writable", "x", timeout=5)
        return r.status == 200 and r.text.strip() == "true"
    return False


def checker():
    """The program that judges: of the build that the agent is from, unless $LINEAR names it."""
    named = os.environ.get("LINEAR")
    if not named:
        subprocess.run(["make", "-s", "-C", BUILD, "tests/linear/linear"], check=True)
    return named or os.path.join(BUILD, "tests/linear/linear")


def judge(lines, path):
    """Writes the history and has it checked; returns the checker's exit code and its words."""
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
    out = subprocess.run([checker(), path], capture_output=True, text=True, timeout=600)
    return out.returncode, out.stdout + out.stderr


class Run:
    """Clients for some seconds against `agents`, with a nemesis or without."""

    def __init__(self, agents, seed, clients=5, pause=0.004, timeout=0.8, prefix="k"):
        self.keys = Keys(f"{prefix}{seed}")
        self.clients = [Client(f"c{i}", agents, self.keys, seed * 100 + i, pause,
                               timeout * PATIENCE) for i in range(clients)]

    def run(self, seconds, nemesis=None, least=500):
        """So long, and on a machine that is busy with other things until `least` answers have come,
        but never more than five times as long."""
        for t in [*self.clients, *([nemesis] if nemesis else [])]:
            t.start()
        begun = time.monotonic()
        time.sleep(seconds)
        while self.sums()["ok"] < least and time.monotonic() < begun + 5 * seconds:
            time.sleep(0.1)
        for t in [*self.clients, *([nemesis] if nemesis else [])]:
            t.ending.set()
        for t in [*self.clients, *([nemesis] if nemesis else [])]:
            t.join()
            if t.error is not None:
                raise t.error

    def finish(self):
        """Last looks, by all clients; the history."""
        for c in self.clients:
            c.finish(self.keys.made)
        return [line for c in self.clients for line in c.lines]

    def sums(self):
        total = {}
        for c in self.clients:
            for k, n in [*dict(c.count).items(), *dict(c.asked).items()]:
                total[k] = total.get(k, 0) + n
        return total
