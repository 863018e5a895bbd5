"""Engines joined to a swarm, each in a namespace of its own as on a host of its own, and agents
beside them."""
import contextlib
import http.client
import os
import subprocess
import threading
import time

import dns.rcode
import dns.rdatatype

from harness import Dockerd, wait_until
from net_harness import Network, inside
from pool_harness import Pool


class SwarmEngine(Dockerd):
    """A Docker engine in a namespace: its bridges, rules and ports are nobody else's."""

    def __init__(self, folder, namespace, address):
        os.makedirs(folder, exist_ok=True)
        super().__init__(folder)
        self.namespace, self.address = namespace, address

    def start(self):
        # the network alone: dockerd is to see the machine's cgroups
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.namespace}", "/usr/sbin/dockerd",
                 "-H", self.url, "--data-root", self.data, "--exec-root",
                 os.path.join(self.run, "exec"), "-p", os.path.join(self.run, "pid")],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        wait_until("dockerd answers", self.answers, 60, 0.05)
        return self

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()


class SwarmHosts:
    """Host 0 is the manager, the others are workers."""

    def __init__(self, folder, count):
        self.folder, self.network = str(folder), Network(count)
        self.engines, self.pool = [], Pool(folder, self.network)

    def start(self):
        self.network.start()
        for i, name in enumerate(self.network.names):
            self.engines.append(SwarmEngine(os.path.join(self.folder, f"engine{i}"), name,
                                            self.network.address(i)))
        starts = [threading.Thread(target=e.start) for e in self.engines]
        for t in starts:
            t.start()
        for t in starts:
            t.join()
        manager = self.engines[0]
        manager.docker("swarm", "init", "--advertise-addr", manager.address)
        token = manager.docker("swarm", "join-token", "-q", "worker")
        for e in self.engines[1:]:
            e.docker("swarm", "join", "--token", token, "--advertise-addr", e.address,
                     f"{manager.address}:2377")
        for e in self.engines:
            e.make_image("web", "EXPOSE 80", 'CMD ["/bin/httpd","-f","-p","80","-h","/www"]')
        return self

    def start_agents(self, *flags):
        for i, engine in enumerate(self.engines):
            self.pool.add("-retry-interval", "1s", *flags, i=i, docker=engine.url,
                          bind=True).start(wait=False)
        self.pool.wait_complete()
        return self.pool.agents

    def stop(self):
        try:
            self.pool.stop()
        finally:
            for e in self.engines:
                e.stop()
            self.network.stop()

    def service(self, *words):
        """docker service create, without waiting for the tasks; what waits are the tests."""
        return self.engines[0].docker("service", "create", "-d", "--no-resolve-image",
                                      "--restart-delay", "200ms", "--update-monitor",
                                      "200ms", *words)

    def tasks(self, service):
        """[(slot, node id, task id)] that the manager says run."""
        out = self.engines[0].api(
            "GET", '/tasks?filters={"service":["%s"],"desired-state":["running"]}' % service).json
        return sorted((t.get("Slot", 0), t["NodeID"], t["ID"]) for t in out
                      if t["Status"]["State"] == "running")

    def page(self, host, address, port):
        """The page, as host number `host` gets it; None when nobody listens."""
        with inside(self.network.names[host]):
            conn = http.client.HTTPConnection(address, int(port), timeout=5)
            try:
                conn.request("GET", "/")
                return conn.getresponse().read().decode()
            except ConnectionRefusedError:
                return None
            finally:
                conn.close()

    def fetch(self, host, address, port):
        """The page; the server of a task that has just begun may not listen yet."""
        return wait_until("somebody listens", lambda: self.page(host, address, port))


class Poller:
    """Asks one agent for one name all the time; .empty is every moment without an answer."""

    def __init__(self, agent, name, rdtype="A"):
        self.agent, self.name, self.rdtype = agent, name, rdtype
        self.asked, self.empty, self.seen = 0, [], set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        begun = time.monotonic()
        while not self._stop.is_set():
            r = self.agent.dns(self.name, self.rdtype)
            found = [str(rr) for rrset in r.answer for rr in rrset]
            self.asked += 1
            self.seen.update(found)
            if not found:
                self.empty.append((round(time.monotonic() - begun, 3),
                                   dns.rcode.to_text(r.rcode())))
            time.sleep(0.003)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *failure):
        self._stop.set()
        self._thread.join()
        if failure[0] is None:
            assert self.asked > 50 and not self.empty, (self.asked, self.empty[:20])


@contextlib.contextmanager
def polled(agents, *names):
    """Every name at every agent, A and SRV."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Poller(a, n, t)) for a in agents for n in names
               for t in ("A", "SRV")]
