"""Pools: many agents at addresses of their own, real serf agents beside them, and who asks them all
the time.

Every agent has the ports that it has in real life (8301, 8500, 8600), on 127.A.B.N or, in a
Network, alone in a namespace. Everything is ended by its process id.
"""
import base64
import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import dns.message

from harness import MUSTER, PATIENCE, WRAP, Agent, end_process, wait_until
from net_harness import inside
from slot import SLOT

SOAK = os.environ.get("SOAK", "") not in ("", "0")
ALIVE, LEAVING, LEFT, FAILED = 1, 2, 3, 4  # as /v1/agent/members numbers them
PAIR = struct.Struct(">HH")


def loopback(n):
    """Address n (1 …) of this run: another run on this machine has others."""
    return f"127.{64 + SLOT}.1.{n}"


def new_key(size=32):
    return base64.b64encode(os.urandom(size)).decode()


class PoolAgent(Agent):
    """One agent of a pool: node `name` at `address`, with a data folder of its own. `server`: alone
    (True), or one of so many."""

    def __init__(self, folder, name, address, *flags, namespace=None, server=False, join=(),
                 retry_join=(), docker=None, before=(), bind=None):
        super().__init__(folder, *flags, docker=docker, dev=False, node=name)
        self.name, self.address, self.namespace = name, address, namespace
        self.http_port, self.dns_port, self.serf_port, self.server_port = 8500, 8600, 8301, 8300
        self.log_path = os.path.join(folder, f"{name}-{address}.log")
        self.data = os.path.join(folder, f"data-{name}-{address}")
        self.server, self.join, self.retry_join = server, list(join), list(retry_join)
        self.before = list(before)  # words before the program
        # alone in a namespace: what a user gives who has one private address, that is nothing
        self.bind = namespace is None if bind is None else bind

    def command(self):
        words = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        args = super().command() + ["-data-dir", self.data]
        args += ["-bind", self.address, "-client", self.address] if self.bind else \
            ["-client", "0.0.0.0"]
        if self.server is True:
            args += ["-server", "-bootstrap"]
        elif self.server:
            args += ["-server", "-bootstrap-expect", str(self.server)]
        for a in self.join:
            args += ["-join", a]
        for a in self.retry_join:
            args += ["-retry-join", a]
        return words + self.before + args

    def request(self, *args, **kw):
        with inside(self.namespace):
            return super().request(*args, **kw)

    def dns(self, *args, **kw):
        with inside(self.namespace):
            return super().dns(*args, **kw)

    def cli(self, *words, timeout=30):
        """muster WORDS…, as somebody on this host types it."""
        before = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        return subprocess.run(
            [*before, *WRAP, MUSTER, words[0], f"-http-addr={self.address}:{self.http_port}",
             *words[1:]],
            capture_output=True, text=True, timeout=timeout * PATIENCE, stdin=subprocess.DEVNULL)

    def alive(self):
        return self.proc is not None and self.proc.poll() is None

    def kill(self):
        self.proc.kill()
        self.proc.wait()
        self.exit_code = -signal.SIGKILL

    def left(self, seconds=20):
        """Its process has ended by itself, well."""
        self.exit_code = wait_exit(self.proc, seconds)
        assert self.exit_code == 0, self.log()[-5000:]
        self.stop()  # for what a sanitizer said

    def start(self, wait=True):
        self.exit_code = None
        return super().start(wait)

    def id(self):
        return self.get("/v1/agent/self").json["Config"]["NodeID"]

    def members(self):
        """{name: status} with what this agent lists."""
        return {m["Name"]: m["Status"] for m in self.get("/v1/agent/members").json}

    def sees(self, name, status=ALIVE):
        return self.members().get(name) == status

    def register(self, name, port=80, **more):
        r = self.put("/v1/agent/service/register", {"Name": name, "Port": port, **more})
        assert r.status == 200, r.text

    def deregister(self, ident):
        assert self.put("/v1/agent/service/deregister/" + ident).status == 200

    def addresses(self, service):
        """What DNS says, as a sorted list."""
        return self.dns_data(f"{service}.service.consul")

    def catalog(self, service):
        """[(node, service id)] of the catalog, hidden ones too."""
        found = self.get(f"/v1/catalog/service/{service}").json
        return sorted((s["Node"], s["ServiceID"]) for s in found)

    def serf_health(self, node):
        checks = self.get(f"/v1/health/node/{node}").json
        return [c["Status"] for c in checks if c["CheckID"] == "serfHealth"]

    def log_has(self, *words):
        """A line with all of them."""
        return any(all(w in line for w in words) for line in self.log().splitlines())


def wait_exit(proc, seconds):
    try:
        return proc.wait(seconds * PATIENCE)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"process {proc.pid} did not end within {seconds} s") from None


class Pool:
    """Agents n1, n2 …: the first a server, the others join it. In `network`, or on loopback."""

    FIRST = 1  # last number of n1's address on loopback

    def __init__(self, folder, network=None):
        self.folder, self.network = str(folder), network
        self.agents = []
        self.serfs = []

    def address(self, i):
        return self.network.address(i) if self.network else loopback(self.FIRST + i)

    def add(self, *flags, i=None, name=None, address=None, join=None, **kw):
        """Makes the next agent (or one at place i); does not start it."""
        i = len(self.agents) if i is None else i
        if join is None:
            join = [self.address(0)] if i else []
        kw.setdefault("server", i == 0)
        a = PoolAgent(self.folder, name or f"n{i + 1}", address or self.address(i), *flags,
                      namespace=self.network.names[i] if self.network else None,
                      retry_join=join, **kw)
        self.agents.append(a)
        return a

    def add_serf(self, name, address, **kw):
        s = Serf(self.folder, name, address, **kw)
        self.serfs.append(s)
        return s

    def start(self, count, *flags, **kw):
        """`count` agents at once; returns when every one lists every one and is ready."""
        made = [self.add("-retry-interval", "1s", *flags, **kw) for _ in range(count)]
        for a in made:
            a.start(wait=False)
        self.wait_complete(made)
        return made

    def living(self):
        return [a for a in self.agents if a.alive()]

    def wait_complete(self, agents=None, seconds=30):
        agents = agents or self.living()
        names = {a.name for a in agents}

        def complete():
            for a in agents:
                if not a.ready() or {n for n, s in a.members().items() if s == ALIVE} != names:
                    return False
            return True
        wait_until(f"all {len(agents)} list all", complete, seconds, 0.05)

    def wait_all(self, what, condition, agents=None, seconds=10.0):
        """condition(agent) for each living one."""
        for a in agents or self.living():
            wait_until(f"{a.name}: {what}", lambda: condition(a), seconds)

    def wait_equal(self, seconds):
        """All living agents have the same catalog; returns it."""
        agents = self.living()
        seen = {}

        def equal():
            for a in agents:
                seen[a.name] = catalog_of(a)
            first = seen[agents[0].name]
            return all(c == first for c in seen.values())
        try:
            wait_until("all catalogs are equal", equal, seconds, 0.05)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{json.dumps(seen, indent=1)}") from None
        return seen[agents[0].name]

    def stop(self):
        """Ends all; everybody must end well who was not killed."""
        for a in self.agents:
            if a.alive():
                a.proc.send_signal(signal.SIGCONT)
                a.proc.send_signal(signal.SIGTERM)
        bad = []
        for s in self.serfs:
            s.stop()
        for a in self.agents:
            if a.proc is not None and a.exit_code is None:
                try:
                    with contextlib.suppress(AssertionError):
                        wait_exit(a.proc, 15)  # a second signal would cut its end short
                    if a.stop() != 0:
                        bad.append(f"{a.name}: exit code {a.exit_code}\n{a.log()[-10000:]}")
                except AssertionError as e:
                    bad.append(f"{a.name}: {e}")
        assert not bad, "\n".join(bad)


def leads(agent):
    """It reaches a leader: keys can be read."""
    try:
        return agent.get("/v1/kv/none").status == 404
    except OSError:
        return False


@contextlib.contextmanager
def servers_and_one(folder):
    """Three servers of one cluster, and an agent that holds no copy: the last of .agents."""
    pool = Pool(folder)
    try:
        join = [pool.address(i) for i in range(3)]
        for i in range(4):
            pool.add("-retry-interval", "1s", server=3 if i < 3 else False, join=join)
        for a in pool.agents:
            a.start(wait=False)
        pool.wait_complete()
        pool.wait_all("it reaches a leader", leads, seconds=20)
        yield pool
    finally:
        pool.stop()


def catalog_of(agent):
    """Every node with its services and checks, as what must be equal everywhere."""
    out = {}
    for node in agent.get("/v1/catalog/nodes").json:
        name = node["Node"]
        here = agent.get(f"/v1/catalog/node/{name}").json
        checks = agent.get(f"/v1/health/node/{name}").json
        out[name] = {
            "id": node["ID"], "address": node["Address"],
            "services": sorted([s["ID"], s["Service"], s["Address"], s["Port"], s["Tags"] or []]
                               for s in here["Services"].values()),
            "checks": sorted([c["CheckID"], c["Status"]] for c in checks),
        }
    return out


class Serf:
    """A real serf agent, with its log."""

    PORT, RPC_PORT = 8301, 7373

    def __init__(self, folder, name, address, key=None, tags=(), join=(), profile="lan",
                 namespace=None, level="debug"):
        self.name, self.address, self.namespace = name, address, namespace
        self.log_path = os.path.join(folder, f"serf-{name}.log")
        self.args = ["ip", "netns", "exec", namespace] if namespace else []
        self.args += ["serf", "agent", "-node", name, "-bind", f"{address}:{self.PORT}",
                     "-rpc-addr", f"{address}:{self.RPC_PORT}", "-log-level", level,
                     "-profile", profile]
        if key:
            self.args += ["-encrypt", key]
        for tag in tags:
            self.args += ["-tag", tag]
        for a in join:
            self.args += ["-retry-join", f"{a}:{self.PORT}", "-retry-interval", "1s"]
        self.proc = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(self.args, stdout=log, stderr=log,
                                         stdin=subprocess.DEVNULL)
        wait_until(f"serf {self.name} answers", self.ready, 20, 0.05)
        return self

    def ready(self):
        if self.proc.poll() is not None:
            raise AssertionError("serf ended:\n" + self.log())
        with inside(self.namespace), contextlib.closing(socket.socket()) as s:
            return s.connect_ex((self.address, self.RPC_PORT)) == 0

    def run(self, *words, check=True):
        before = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        out = subprocess.run([*before, "serf", words[0],
                              f"-rpc-addr={self.address}:{self.RPC_PORT}", *words[1:]],
                             capture_output=True, text=True, timeout=60)
        assert not check or out.returncode == 0, out.stdout + out.stderr
        return out.stdout

    def listed(self):
        """{name: member}, as `serf members` has them."""
        return {m["name"]: m for m in json.loads(self.run("members", "-format=json"))["members"]}

    def sees(self, name, status="alive"):
        return self.listed().get(name, {}).get("status") == status

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def complaints(self, *unavoidable):
        """Lines at WARN and ERR that match none of the given expressions."""
        return [line for line in self.log().splitlines()
                if re.search(r"\[(WARN|ERR)\]", line) and
                not any(re.search(x, line) for x in unavoidable)]

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def leave(self):
        self.proc.send_signal(signal.SIGINT)  # serf's: leaves; SIGTERM only stops
        return wait_exit(self.proc, 20)

    def stop(self):
        if self.proc is not None:
            end_process(self.proc, 5)


class Poller(threading.Thread):
    """Asks agents for the A records of a name all the time, in turn, and keeps every answer.

    with Poller([a, b], "web.service.consul") as p: …; p.answers is [(when, agent, frozenset of
    addresses, or None where the answer was an error or did not come)].
    """

    def __init__(self, agents, name, every=0.002):
        super().__init__(daemon=True)
        self.agents, self.every = agents, every
        self.question = dns.message.make_query(name, "A").to_wire()
        self.answers = []
        self.ending = threading.Event()
        self.sockets = []
        for a in agents:
            with inside(a.namespace):
                s = socket.socket(type=socket.SOCK_DGRAM)
            s.connect((a.address, a.dns_port))
            s.settimeout(1.0 * PATIENCE)
            self.sockets.append(s)

    def __enter__(self):
        self.start()
        wait_until("the poller has asked all",
                   lambda: len(self.answers) >= len(self.agents) or not self.is_alive())
        return self

    def __exit__(self, *unused):
        self.ending.set()
        self.join()
        for s in self.sockets:
            s.close()

    def run(self):
        while not self.ending.is_set():
            for a, s in zip(self.agents, self.sockets):
                self.answers.append((time.monotonic(), a.name, self.ask(s)))
            time.sleep(self.every)

    def ask(self, sock):
        try:
            sock.send(self.question)
            data = sock.recv(4096)
        except OSError:
            return None
        if data[3] & 15 not in (0, 3):
            return None
        return frozenset(answer_addresses(data))

    def without(self, address):
        """The answers that lack it."""
        return [x for x in self.answers if x[2] is None or address not in x[2]]

    def with_address(self, address):
        return [x for x in self.answers if x[2] is not None and address in x[2]]


def answer_addresses(data):
    """The A records of a DNS answer; a whole parser is too slow for a poller."""
    questions, answers = PAIR.unpack_from(data, 4)
    at = 12
    for _ in range(questions):
        at = skip_name(data, at) + 4
    for _ in range(answers):
        at = skip_name(data, at)
        kind, size = struct.unpack_from(">H6xH", data, at)
        at += 10
        if kind == 1 and size == 4:
            yield socket.inet_ntoa(data[at:at + 4])
        at += size


def skip_name(data, at):
    while data[at]:
        if data[at] >= 0xC0:
            return at + 2
        at += 1 + data[at]
    return at + 1
