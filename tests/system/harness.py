"""What the system tests share: a Docker engine of their own, agents, waiting with a deadline.

Nothing here is a stand-in: dockerd, containers, dig and curl are the real ones. Everything that
is started is ended by its process id, and every wait is for a condition.
"""
import contextlib
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rdatatype

from slot import SLOT, ports

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
MUSTER = os.environ.get("MUSTER", os.path.join(TOP, "build", "muster"))
# words before the program, e.g. a memory checker; everything is slower then
WRAP = os.environ.get("MUSTER_WRAP", "").split()
PATIENCE = 10.0 if WRAP else 1.0


class Deadline(AssertionError):
    pass


def wait_until(what, condition, seconds=10.0, every=0.01):
    """Calls condition() until it is true; returns what it returned."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Deadline(f"not within {seconds} s: {what} (last: {value!r})")
        time.sleep(every)


_ports = itertools.cycle(ports())


def free_port():
    """A port on loopback that is free for UDP and TCP, not given out for a long while."""
    while True:
        port = next(_ports)
        with contextlib.closing(socket.socket()) as tcp, \
                contextlib.closing(socket.socket(type=socket.SOCK_DGRAM)) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def end_process(proc, seconds=15.0, sig=signal.SIGTERM):
    """Asks a process of ours to end; insists when it does not. Returns its exit code."""
    if proc.poll() is None:
        proc.send_signal(sig)
        try:
            proc.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()
    return proc.returncode


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def index(self):
        return int(self.headers["X-Consul-Index"])


class Agent:
    """One muster agent on loopback with ports of its own."""

    address = "127.0.0.1"

    def __init__(self, folder, *flags, docker=None, dev=True, node="n1"):
        self.folder = folder
        self.http_port, self.dns_port, self.serf_port = free_port(), free_port(), free_port()
        self.server_port = free_port()
        self.log_path = os.path.join(folder, f"agent-{self.http_port}.log")
        self.flags = list(flags)
        self.docker, self.dev, self.node = docker, dev, node
        self.proc = None
        self.exit_code = None

    def command(self):
        args = [*WRAP, MUSTER, "agent", "-node", self.node,
                "-http-port", str(self.http_port), "-dns-port", str(self.dns_port),
                "-serf-lan-port", str(self.serf_port), "-server-port", str(self.server_port),
                "-log-level", "debug",
                "-docker", self.docker or "off"]
        if self.dev:
            args.append("-dev")
        return args + self.flags

    def start(self, wait=True):
        env = dict(os.environ)
        env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(self.command(), stdout=log, stderr=log, env=env,
                                         stdin=subprocess.DEVNULL)
        self.exit_code = None  # one that was stopped before is ended again
        if wait:
            wait_until("the agent answers", self.ready, 20)
        return self

    def ready(self):
        if self.proc.poll() is not None:
            raise AssertionError(f"agent ended with {self.proc.returncode}:\n{self.log()}")
        try:
            return self.get("/v1/catalog/nodes").status == 200
        except OSError:
            return False

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def stop(self, sig=signal.SIGTERM):
        """Ends it; what a sanitizer or memory checker found is a failure."""
        self.exit_code = end_process(self.proc, sig=sig)
        log = self.log()
        assert "ERROR: AddressSanitizer" not in log and "runtime error:" not in log and \
            "ERROR: LeakSanitizer" not in log, log[-20000:]
        return self.exit_code

    def request(self, method, path, body=None, headers=None, timeout=15):
        conn = http.client.HTTPConnection(self.address, self.http_port,
                                          timeout=timeout * PATIENCE)
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            conn.request(method, path, body, headers or {})
            r = conn.getresponse()
            return Answer(r.status, dict(r.getheaders()), r.read())
        finally:
            conn.close()

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def put(self, path, body=None, **kw):
        return self.request("PUT", path, body, **kw)

    def services(self):
        return self.get("/v1/agent/services").json

    def passing(self, name):
        return self.get(f"/v1/health/service/{urllib.parse.quote(name, safe='')}?passing").json

    def dns(self, name, rdtype="A", tcp=False, timeout=5, **kw):
        q = dns.message.make_query(name, rdtype, **kw)
        ask = dns.query.tcp if tcp else dns.query.udp
        return ask(q, self.address, timeout * PATIENCE, port=self.dns_port)

    def dns_data(self, name, rdtype="A", **kw):
        """The answer section as a sorted list of texts."""
        return sorted(str(rr) for rrset in self.dns(name, rdtype, **kw).answer for rr in rrset
                      if rrset.rdtype == dns.rdatatype.from_text(rdtype))

    def dig(self, *words):
        out = subprocess.run(["dig", "@" + self.address, "-p", str(self.dns_port), *words],
                             capture_output=True, text=True, timeout=30)
        return out.stdout.strip()


class Dockerd:
    """A Docker engine of the tests' own: own socket, data root, bridge; no iptables rules."""

    # of its own for each run, so that two runs on one machine do not meet
    BRIDGE = f"mt{os.getpid()}"
    SUBNET = f"172.30.{SLOT}"

    def __init__(self, folder):
        # a unix socket's path is short, so a short folder of its own
        self.run = tempfile.mkdtemp(prefix="mdk", dir="/tmp")
        self.socket = os.path.join(self.run, "docker.sock")
        self.url = "unix://" + self.socket
        self.data = os.path.join(folder, "docker-data")
        self.log_path = os.path.join(folder, "dockerd.log")
        self.proc = None

    def start(self):
        if subprocess.run(["ip", "link", "show", self.BRIDGE], capture_output=True).returncode:
            subprocess.run(["ip", "link", "add", self.BRIDGE, "type", "bridge"], check=True)
            subprocess.run(["ip", "addr", "add", self.SUBNET + ".1/24", "dev", self.BRIDGE],
                           check=True)
            subprocess.run(["ip", "link", "set", self.BRIDGE, "up"], check=True)
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(
                ["/usr/sbin/dockerd", "-H", self.url, "--data-root", self.data,
                 "--exec-root", os.path.join(self.run, "exec"), "-p",
                 os.path.join(self.run, "pid"), "--bridge", self.BRIDGE, "--iptables=false",
                 "--ip6tables=false", "--ip-masq=false", "--live-restore=false"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            wait_until("dockerd answers", self.answers, 60, 0.05)
        except BaseException:
            self.stop()  # two bridges of one address would break what comes after
            raise
        return self

    def answers(self):
        if self.proc.poll() is not None:
            with open(self.log_path, errors="replace") as f:
                raise AssertionError("dockerd ended:\n" + f.read()[-5000:])
        try:
            return self.api("GET", "/_ping").status == 200
        except OSError:
            return False

    def kill(self):
        """As a crash of the engine. Its containerd ends with it; the containers live on until the
        next start ends them (no live-restore)."""
        self.proc.kill()
        self.proc.wait()
        # where nobody reaps orphans, the dead containerd looks alive by its id
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.run, "exec", "containerd", "containerd.pid"))

    def stop(self):
        if self.proc is not None:
            end_process(self.proc, 60)
        end_leftovers(self.run, self.data)
        subprocess.run(["ip", "link", "del", self.BRIDGE], capture_output=True)
        shutil.rmtree(self.run, ignore_errors=True)

    def api(self, method, path, body=None, timeout=60):
        conn = UnixConnection(self.socket, timeout)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            conn.request(method, path, None if body is None else json.dumps(body), headers)
            r = conn.getresponse()
            return Answer(r.status, dict(r.getheaders()), r.read())
        finally:
            conn.close()

    def docker(self, *words, check=True, input=None):
        out = subprocess.run(["docker", "-H", self.url, *words], capture_output=True, text=True,
                             timeout=120, input=input)
        if check and out.returncode:
            raise AssertionError(f"docker {' '.join(words)}: {out.stderr}")
        return out.stdout.strip()

    def make_image(self, name, *changes):
        """An image of nothing but busybox, with its applets and a page to serve."""
        if not os.path.exists(os.path.join(self.run, "rootfs.tar")):
            self._make_rootfs()
        args = []
        for change in changes:
            args += ["-c", change]
        self.docker("import", *args, os.path.join(self.run, "rootfs.tar"), name)
        return name

    def _make_rootfs(self):
        root = os.path.join(self.run, "rootfs")
        for folder in ("bin", "tmp", "www", "etc"):
            os.makedirs(os.path.join(root, folder))
        shutil.copy("/bin/busybox", os.path.join(root, "bin", "busybox"))
        for applet in subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True,
                                     check=True).stdout.split():
            if applet != "busybox":
                os.symlink("busybox", os.path.join(root, "bin", applet))
        with open(os.path.join(root, "www", "index.html"), "w") as f:
            f.write("hello from a container\n")
        with open(os.path.join(root, "etc", "passwd"), "w") as f:
            f.write("root:x:0:0:root:/:/bin/sh\n")
        subprocess.run(["tar", "-C", root, "-cf", os.path.join(self.run, "rootfs.tar"), "."],
                       check=True)

    def clean(self):
        """Removes every container and network that a test left."""
        ids = self.docker("ps", "-aq").split()
        if ids:
            self.docker("rm", "-f", *ids)
        for line in self.docker("network", "ls", "--format", "{{.Name}}").split():
            if line not in ("bridge", "host", "none"):
                self.docker("network", "rm", line)


def end_leftovers(run, data):
    """Processes whose command line names our run folder: dockerd's own containerd and shims. And
    what is mounted in our folders: an engine that was killed leaves its data root mounted."""
    ours = [pid for pid in filter(str.isdigit, os.listdir("/proc"))
            if int(pid) != os.getpid() and any(run in w for w in words_of(pid))]
    for pid in ours:
        with contextlib.suppress(OSError):
            os.kill(int(pid), signal.SIGKILL)
    wait_until("what the engine left has ended",
               lambda: not any(run in w for pid in ours for w in words_of(pid)))
    for where in reversed(mounts_in(run, data)):  # the inner ones first
        subprocess.run(["umount", where], capture_output=True)
    assert not mounts_in(run, data), mounts_in(run, data)


def words_of(pid):
    """Its command line; nothing of one that has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def mounts_in(*folders):
    with open("/proc/self/mounts") as f:
        where = [line.split()[1] for line in f]
    return [w for w in where for folder in folders if w == folder or w.startswith(folder + "/")]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("docker", timeout=timeout)
        self.unix_path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.unix_path)


# A page on port 80 until the stop signal comes, then `after` (shell words), then the end.
def server_command(after="exit 0", port=80):
    return ["sh", "-c", f"trap '{after}' TERM; httpd -p {port} -h /www; while :; do sleep 0.05; done"]


def srv_key(text):
    """'1 1 8080 host.' -> (8080, 'host.')"""
    m = re.match(r"\d+ \d+ (\d+) (\S+)", text)
    return int(m.group(1)), m.group(2)
