"""Servers for figures: one or three of muster, and etcd or nginx beside them, on loopback addresses
of their own; the load generator (http-load.c), made when it is not there; figures in turns."""
import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
sys.dont_write_bytecode = True

from harness import MUSTER, end_process, wait_until  # noqa: E402
from linear_harness import leader, writable  # noqa: E402
from pool_harness import Pool, PoolAgent, loopback  # noqa: E402

BUILD = os.environ.get("BUILD", os.path.dirname(os.path.abspath(MUSTER)))
HTTP_PORT, ETCD_CLIENT, ETCD_PEER = 8500, 2379, 2380


def program(name):
    """A program of tests/bench in the agent's build."""
    subprocess.run(["make", "-s", "-C", BUILD, "tests/bench/" + name], check=True)
    return os.path.join(BUILD, "tests/bench", name)


def figures(line):
    """'a=1 b=2.5' as numbers."""
    return {k: float(v) for k, v in (word.split("=") for word in line.split())}


def load(*words, timeout=600):
    """One run of http-load; its figures."""
    out = subprocess.run([program("http-load"), *map(str, words)], capture_output=True, text=True,
                         timeout=timeout, check=True)
    return figures(out.stdout.splitlines()[-1])


def cpu_seconds(pids):
    """Of all threads of these processes, to the nanosecond where the kernel counts so."""
    total = 0.0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/schedstat") as f:
                total += int(f.read().split()[0]) / 1e9
    return total


def wait_idle(pid, span=0.25):
    """Until it has used less than 2 % of a core for a while."""
    def idle():
        before = cpu_seconds([pid])
        time.sleep(span)  # the time that is measured
        return cpu_seconds([pid]) - before < 0.02 * span
    wait_until("it is idle", idle, 60)


class Table:
    """Figures by case and contender, round by round."""

    def __init__(self, first):
        self.first, self.rounds = first, {}

    def add(self, case, name, **values):
        for what, value in values.items():
            self.rounds.setdefault((case, what), {}).setdefault(name, []).append(value)

    def print(self):
        for (case, what), by_name in self.rounds.items():
            words = [f"{name} {statistics.median(v):,.4g}" for name, v in by_name.items()]
            mine = by_name.get(self.first)
            for name, v in by_name.items():
                if mine and name != self.first:
                    ratio = statistics.median(a / b if b else float("nan")
                                              for a, b in zip(mine, v))
                    words.append(f"({self.first}/{name} {ratio:.2f})")
            print(f"{case:28} {what:14} {'  '.join(words)}", flush=True)


def measured(pids, run):
    """Figures of a run with the servers' CPU, microseconds per answer."""
    before = cpu_seconds(pids)
    r = run()
    assert r["answered"] > 0, r
    r["cpu_us"] = (cpu_seconds(pids) - before) / r["answered"] * 1e6
    if r.get("refused") or r.get("broken"):
        print(f"  bad answers: {r}", flush=True)
    return r


@contextlib.contextmanager
def folder():
    """Where a disk is: $BENCH_DIR, or below /var/tmp, which is none of memory. Kept after a failure
    when $BENCH_KEEP is set."""
    path = tempfile.mkdtemp(prefix="muster-bench", dir=os.environ.get("BENCH_DIR", "/var/tmp"))
    keep = False
    try:
        yield path
    except BaseException:
        keep = os.environ.get("BENCH_KEEP", "") != ""
        raise
    finally:
        if keep:
            print(f"kept: {path}", flush=True)
        else:
            shutil.rmtree(path, ignore_errors=True)


class QuietAgent(PoolAgent):
    """As in real life: it logs what is worth telling."""

    def command(self):
        return [("info" if w == "debug" else w) for w in super().command()]


MANY = {"limits": {"http_max_conns": 15000, "http_max_conns_per_client": 15000}}


class Muster:
    """One server, or several that form a cluster."""

    name = "muster"

    def __init__(self, path, count, first=1, ready=True):
        self.pool = Pool(path)
        config = os.path.join(path, "many.json")
        with open(config, "w") as f:
            json.dump(MANY, f)
        addresses = [loopback(first + i) for i in range(count)]
        for i, address in enumerate(addresses):
            how = ["-bootstrap"] if count == 1 else ["-bootstrap-expect", str(count)]
            self.pool.agents.append(QuietAgent(
                path, f"n{i + 1}", address, "-server", *how, "-retry-interval", "1s",
                "-config-file", config,
                retry_join=[a for a in addresses if a != address], bind=True))
        self.agents = self.pool.agents
        if ready:
            self.start()

    def start(self):
        for a in self.agents:
            a.start(wait=False)
        self.wait_writable()

    def wait_writable(self, seconds=30):
        for a in self.agents:
            wait_until(f"{a.name} takes writes", lambda: writable(a), seconds, 0.05)

    def leader(self):
        return wait_until("there is a leader", lambda: leader(self.agents), 30)

    def where(self):
        return f"{self.leader().address}:{HTTP_PORT}" if len(self.agents) > 1 else \
            f"{self.agents[0].address}:{HTTP_PORT}"

    def pids(self):
        return [a.proc.pid for a in self.agents if a.alive()]

    def stop(self):
        self.pool.stop()


class Etcd:
    """One etcd, or a cluster, with its own durability."""

    name = "etcd"

    def __init__(self, path, count, first=21):
        self.addresses = [loopback(first + i) for i in range(count)]
        cluster = ",".join(f"e{i}=http://{a}:{ETCD_PEER}" for i, a in enumerate(self.addresses))
        self.procs = []
        for i, a in enumerate(self.addresses):
            client, peer = f"http://{a}:{ETCD_CLIENT}", f"http://{a}:{ETCD_PEER}"
            with open(os.path.join(path, f"etcd-{i}.log"), "wb") as log:
                self.procs.append(subprocess.Popen(
                    ["etcd", "--name", f"e{i}", "--data-dir", os.path.join(path, f"etcd-{i}"),
                     "--listen-client-urls", client, "--advertise-client-urls", client,
                     "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                     "--initial-cluster", cluster, "--initial-cluster-state", "new",
                     "--logger", "zap", "--log-level", "error"],
                    stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        self.lead = wait_until("etcd has a leader", self.leader, 30, 0.05)

    def post(self, address, what):
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://{address}:{ETCD_CLIENT}/v3/{what}", b"{}",
                                        timeout=2) as r:
                return json.load(r)
        return {}

    def leader(self):
        for a in self.addresses:
            said = self.post(a, "maintenance/status")
            if said.get("leader", "0") != "0" and said["leader"] == said["header"]["member_id"]:
                return a
        return None

    def where(self):
        return f"{self.lead}:{ETCD_CLIENT}"

    def pids(self):
        return [p.pid for p in self.procs]

    def stop(self):
        for p in self.procs:
            end_process(p, 5)


class Nginx:
    """One worker; files below /, {name: bytes}."""

    def __init__(self, path, pages):
        self.address = loopback(31)
        os.makedirs(os.path.join(path, "www"))
        for name, body in pages.items():
            with open(os.path.join(path, "www", name), "wb") as f:
                f.write(body)
        conf = os.path.join(path, "nginx.conf")
        with open(conf, "w") as f:
            f.write(f"""daemon off; pid {path}/nginx.pid; worker_processes 1; user root;
error_log {path}/nginx.log; events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600; sendfile on;
default_type application/json; open_file_cache max=100;
client_body_temp_path {path}; proxy_temp_path {path}; fastcgi_temp_path {path};
uwsgi_temp_path {path}; scgi_temp_path {path};
server {{ listen {self.address}:8080; root {path}/www; }} }}
""")
        self.proc = subprocess.Popen(["nginx", "-c", conf], stdin=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
        wait_until("nginx has its worker", lambda: len(self.pids()) == 2)

    def pids(self):
        with open(f"/proc/{self.proc.pid}/task/{self.proc.pid}/children") as f:
            return [self.proc.pid, *map(int, f.read().split())]

    def stop(self):
        end_process(self.proc)


def kill_at_random(servers, rng, patience=60):
    """One server, mostly the leader, or all of them: kill -9, and started again a moment later.
    Returns when writes are taken again."""
    agents = servers.agents
    if rng.random() < 0.2:
        victims = list(agents)
    else:
        lead = leader(agents) if rng.random() < 0.5 else None
        victims = [lead or rng.choice(agents)]
    for a in victims:
        a.proc.send_signal(signal.SIGKILL)
    for a in victims:
        a.kill()
    time.sleep(rng.uniform(0.05, 1.5))
    for a in random.Random(rng.random()).sample(victims, len(victims)):
        a.start(wait=False)
    servers.wait_writable(patience)
