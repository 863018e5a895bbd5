"""Name servers that people have already, and how they are pointed at an agent: the files of
examples/ with the real programs. Each is asked the same, and must never give an old answer."""
import contextlib
import os
import shutil
import subprocess
import tempfile

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from example_harness import Program, example, write
from harness import MUSTER, PATIENCE, TOP, free_port, srv_key
from net_harness import inside, ip
from pool_harness import PoolAgent


# of DNSSEC's root, since 2018
ROOT_KEY = ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"


class Resolver:
    def __init__(self, program, address, port, namespace=None):
        self.program, self.address, self.port = program, address, port
        self.namespace = namespace

    def ask(self, name, rdtype="A", tcp=False, seconds=5, **kw):
        question = dns.message.make_query(name, rdtype, **kw)
        with inside(self.namespace):
            ask = dns.query.tcp if tcp else dns.query.udp
            return ask(question, self.address, seconds * PATIENCE, port=self.port)

    def data(self, name, rdtype="A", **kw):
        """(rcode, sorted records of that type)."""
        r = self.ask(name, rdtype, **kw)
        return dns.rcode.to_text(r.rcode()), sorted(
            str(rr) for rrset in r.answer for rr in rrset
            if rrset.rdtype == dns.rdatatype.from_text(rdtype))

    def ready(self, name="n1.node.consul"):
        with contextlib.suppress(dns.exception.DNSException):
            return self.data(name, seconds=0.5)[0] == "NOERROR"


@contextlib.contextmanager
def dnsmasq(folder, agent):
    port = free_port()
    write(f"{folder}/dnsmasq.d/muster.conf",
          example("dnsmasq.conf", {"127.0.0.1#8600": f"127.0.0.1#{agent.dns_port}"}))
    # what Debian's own file has, and a refusal of private addresses from elsewhere
    own = write(f"{folder}/dnsmasq.conf", f"port={port}\nlisten-address=127.0.0.1\n"
                f"bind-interfaces\nno-resolv\nno-hosts\nuser=root\npid-file=\n"
                f"stop-dns-rebind\nconf-dir={folder}/dnsmasq.d,*.conf\n")
    with Program(f"{folder}/dnsmasq.log", "/usr/sbin/dnsmasq", "--keep-in-foreground",
                 "--log-facility=-", f"--conf-file={own}") as p:
        yield Resolver(p, "127.0.0.1", port)


@contextlib.contextmanager
def unbound(folder, agent, kind="forward"):
    port = free_port()
    text = example("unbound.conf", {"127.0.0.1@8600": f"127.0.0.1@{agent.dns_port}"})
    write(f"{folder}/unbound.conf.d/muster.conf", text.replace("forward-", kind + "-"))
    # it validates, as in Debian's own file
    own = write(f"{folder}/unbound.conf", f"""
server:
    directory: "{folder}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    interface: 127.0.0.1
    port: {port}
    private-address: 172.16.0.0/12
    use-caps-for-id: yes
    trust-anchor: "{ROOT_KEY}"
remote-control:
    control-enable: no
include: "{folder}/unbound.conf.d/*.conf"
""")
    with Program(f"{folder}/unbound.log", "/usr/sbin/unbound", "-d", "-c", own) as p:
        yield Resolver(p, "127.0.0.1", port)


def names_are_right(agent, resolver):
    def register(address):
        r = agent.put("/v1/agent/service/register", {"ID": "web-1", "Name": "web", "Port": 8080,
                                                     "Address": address, "Tags": ["blue"]})
        assert r.status == 200, r.text

    resolver.program.wait("answers", resolver.ready)
    assert resolver.data("web.service.consul") == ("NXDOMAIN", [])
    register("172.17.0.9")  # and no answer from before is kept
    assert resolver.data("web.service.consul") == ("NOERROR", ["172.17.0.9"])
    assert resolver.data("bLuE.wEb.SeRvIcE.cOnSuL") == ("NOERROR", ["172.17.0.9"])
    assert resolver.data("web.service.consul", tcp=True) == ("NOERROR", ["172.17.0.9"])
    rcode, (srv,) = resolver.data("_web._tcp.service.consul", "SRV")
    assert rcode == "NOERROR" and srv_key(srv) == (8080, "ac110009.addr.dc1.consul.")
    assert resolver.data("ac110009.addr.dc1.consul") == ("NOERROR", ["172.17.0.9"])
    assert resolver.data("web.service.consul", "AAAA") == ("NOERROR", [])
    assert resolver.data("none.service.consul") == ("NXDOMAIN", [])
    assert resolver.data("none.service.consul", "SRV") == ("NXDOMAIN", [])
    register("172.17.0.10")
    assert resolver.data("web.service.consul") == ("NOERROR", ["172.17.0.10"])
    rcode, (srv,) = resolver.data("_web._tcp.service.consul", "SRV")
    assert srv_key(srv) == (8080, "ac11000a.addr.dc1.consul.")
    assert agent.put("/v1/agent/service/deregister/web-1").status == 200
    assert resolver.data("web.service.consul") == ("NXDOMAIN", [])
    register("172.17.0.11")
    assert resolver.data("web.service.consul") == ("NOERROR", ["172.17.0.11"])


def reverse_names_are_right(resolver):
    assert resolver.data("11.0.17.172.in-addr.arpa", "PTR") == \
        ("NOERROR", ["web.service.dc1.consul."])


def an_agent_comes_back(agent, resolver):
    agent.stop()
    with contextlib.suppress(dns.exception.Timeout):
        assert resolver.data("n1.node.consul", seconds=1) == ("SERVFAIL", [])
    agent.start()
    resolver.program.wait("the agent is asked again", resolver.ready, 15)


def test_dnsmasq(agent, tmp_path):
    with dnsmasq(tmp_path, agent) as resolver:
        names_are_right(agent, resolver)
        reverse_names_are_right(resolver)
        an_agent_comes_back(agent, resolver)


@pytest.mark.parametrize("kind", ["forward", "stub"])
def test_unbound(agent, tmp_path, kind):
    """As the file is, and with stub zones, which people have from Consul's manual."""
    with unbound(tmp_path, agent, kind) as resolver:
        names_are_right(agent, resolver)
        reverse_names_are_right(resolver)
        an_agent_comes_back(agent, resolver)


# ---- systemd-resolved: it has its place at 127.0.0.53 and asks no other port of its clients ----

@contextlib.contextmanager
def namespace():
    name = f"mt{os.getpid()}-r"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        # systemd-resolved asks nobody where there is no network
        ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        ip("-n", name, "addr", "add", "192.0.2.1/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "link", "set", "eth1", "up")
        yield name
    finally:
        ip("netns", "del", name)


# Folders and files of its own in place of the machine's; it never sees those. No D-Bus is there: it
# waits for one and answers meanwhile.
RESOLVED = """set -eu
mount -t tmpfs none /etc/systemd
mount -t tmpfs none /run
mkdir -p /etc/systemd/resolved.conf.d /run/systemd
cp "$1/muster.conf" /etc/systemd/resolved.conf.d/
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
exec env LD_LIBRARY_PATH="$2/usr/lib/$3/systemd" "$2/lib/systemd/systemd-resolved"
"""


@contextlib.contextmanager
def resolved(folder, where):
    """Debian's package, not installed: that would take over the machine's resolv.conf."""
    unpacked = os.path.join(os.path.dirname(MUSTER), "unpacked")
    subprocess.run([os.path.join(TOP, "script", "unpack"), unpacked, "systemd-resolved",
                    "libsystemd-shared"], check=True)
    triplet = subprocess.run(["dpkg-architecture", "-qDEB_HOST_MULTIARCH"], check=True,
                             capture_output=True, text=True).stdout.strip()
    write(f"{folder}/muster.conf", example("systemd-resolved.conf", {}))
    for name, line in (("passwd", "systemd-resolve:x:996:996::/:/usr/sbin/nologin\n"),
                       ("group", "systemd-resolve:x:996:\n")):
        with open("/etc/" + name) as f:
            write(f"{folder}/{name}", line + f.read())
    with Program(f"{folder}/resolved.log", "ip", "netns", "exec", where, "unshare", "--mount",
                 "sh", "-c", RESOLVED, "sh", folder, unpacked, triplet) as p:
        yield Resolver(p, "127.0.0.53", 53, where)


def test_systemd_resolved(tmp_path):
    with namespace() as where:
        agent = PoolAgent(str(tmp_path), "n1", "127.0.0.1", namespace=where, server=True,
                          bind=True)
        agent.start()
        try:
            with resolved(tmp_path, where) as resolver:
                names_are_right(agent, resolver)
                reverse_names_are_right(resolver)
                an_agent_comes_back(agent, resolver)
        finally:
            assert agent.stop() == 0


# ---- port 53 ----

def test_port_53_with_a_capability(tmp_path):
    """As nobody: refused without it. A namespace of its own, since a machine may let everybody."""
    folder = tempfile.mkdtemp(prefix="mtcap", dir="/tmp")
    os.chmod(folder, 0o755)
    program = shutil.copy(MUSTER, folder)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    try:
        with namespace() as where:
            words = ["ip", "netns", "exec", where, "env", "ASAN_OPTIONS=detect_leaks=0", *nobody,
                     program, "agent", "-dev", "-docker", "off", "-dns-port", "53"]
            refused = subprocess.run(words, capture_output=True, text=True, timeout=30)
            assert refused.returncode != 0 and "53" in refused.stderr + refused.stdout
            subprocess.run(["setcap", "cap_net_bind_service=+ep", program], check=True)
            with Program(tmp_path / "agent.log", *words) as p:
                agent = Resolver(p, "127.0.0.1", 53, where)
                p.wait("answers", lambda: agent.ready("consul.service.consul"))
                assert agent.data("consul.service.consul", tcp=True)[0] == "NOERROR"
    finally:
        shutil.rmtree(folder)
