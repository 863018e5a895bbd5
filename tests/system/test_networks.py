"""Where containers are reached: every kind of network of a real Docker engine, alone and together,
in both families; labels and options that choose; Compose; what a resync and a cleanup repair."""
import contextlib
import ipaddress
import os
import subprocess
import urllib.request

import pytest

from harness import server_command, wait_until
from slot import SLOT

NET = f"172.29.{SLOT}"        # four networks of 64 addresses each
NET6 = f"fd6d:7374:{SLOT:x}"  # and as many prefixes of 64 bits
WEB = ("web", *server_command())


def network(docker, name, quarter, *words, driver="bridge", v6=False):
    """Returns what its addresses begin with in IPv6, and a test for those in IPv4."""
    args = ["--subnet", f"{NET}.{64 * quarter}/26"]
    if v6:
        args += ["--ipv6", "--subnet", f"{NET6}:{quarter}::/64"]
    docker.docker("network", "create", "-d", driver, *args, *words, name)


def run(docker, name, *words, image=WEB):
    docker.docker("run", "-d", "--name", name, *words, *image)


def own(docker, container, net, key="IPAddress"):
    return docker.docker("inspect", "--format",
                         "{{(index .NetworkSettings.Networks \"%s\").%s}}" % (net, key), container)


def place(agent, sid):
    s = agent.services().get(sid)
    return s and (s["Address"], s["Port"])


def tagged(agent, sid):
    s = agent.services()[sid]
    return {k: (v["Address"], v["Port"]) for k, v in s["TaggedAddresses"].items()}


def until_at(agent, sid, address, port):
    wait_until(f"{sid} at {address}:{port}, is at {place(agent, sid)}",
               lambda: place(agent, sid) == (address, port))


def page_at(address, port):
    host = f"[{address}]" if ":" in address else address
    with urllib.request.urlopen(f"http://{host}:{port}/index.html", timeout=5) as page:
        return page.read()


def until_served(address, port):
    def served():
        with contextlib.suppress(OSError):
            return b"hello" in page_at(address, port)
    wait_until(f"a page from {address}:{port}", served)


def lines_with(agent, *words):
    return [line for line in agent.log().splitlines() if all(w in line for w in words)]


@pytest.fixture
def parent():
    """An interface to put macvlan on: a bridge without ports, since not every kernel has dummies."""
    name = f"mv{os.getpid()}"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "del", name], check=True)


def test_a_bridge_of_its_own(docker, agents):
    a = agents(docker=docker.url)
    network(docker, "app", 0)
    run(docker, "pub", "--net", "app", "-p", "18200:80")
    run(docker, "in", "--net", "app", "-l", "SERVICE_INTERNAL=true")
    run(docker, "out", "--net", "app", "-p", "18201:80", "-l", "SERVICE_80_INTERNAL=false")
    until_at(a, "n1:pub:80", own(docker, "pub", "app"), 18200)  # as registrator has it
    assert len(lines_with(a, "warn", "as registrator has it", "network=app")) == 1
    until_at(a, "n1:in:80", own(docker, "in", "app"), 80)
    until_served(*place(a, "n1:in:80"))
    until_at(a, "n1:out:80", "127.0.0.1", 18201)
    until_served("127.0.0.1", 18201)
    b = agents("-docker-ip", "127.0.0.1", docker=docker.url)  # what is to be done about it
    until_at(b, "n1:pub:80", "127.0.0.1", 18200)
    until_served("127.0.0.1", 18200)


def test_of_several_networks_one_is_taken_by_rule_or_by_name(docker, agents):
    a = agents("-docker-internal", docker=docker.url)
    b = agents("-docker-internal", "-docker-network", f"none-such,{NET}.128/26", docker=docker.url)
    network(docker, "zz-first", 0)
    network(docker, "aa-second", 1)
    network(docker, "back", 2)
    docker.docker("create", "--name", "plain", "--net", "zz-first", *WEB)
    docker.docker("create", "--name", "named", "--net", "zz-first", "-l",
                  "SERVICE_NETWORK=aa-second", *WEB)
    for c in ("plain", "named"):
        docker.docker("network", "connect", "aa-second", c)
        docker.docker("network", "connect", "back", c)
        docker.docker("start", c)
    until_at(a, "n1:plain:80", own(docker, "plain", "zz-first"), 80)  # where it was started
    until_at(a, "n1:named:80", own(docker, "named", "aa-second"), 80)
    until_at(b, "n1:plain:80", own(docker, "plain", "back"), 80)
    until_at(b, "n1:named:80", own(docker, "named", "aa-second"), 80)  # a label before the option
    for agent in (a, b):
        until_served(*place(agent, "n1:plain:80"))
    docker.docker("network", "disconnect", "zz-first", "plain")
    until_at(a, "n1:plain:80", own(docker, "plain", "aa-second"), 80)  # the first by name
    docker.docker("network", "connect", "bridge", "plain")
    until_at(a, "n1:plain:80", own(docker, "plain", "bridge"), 80)  # registrator's: before all
    assert len(lines_with(a, "warn", "container in several networks")) == 1
    assert not lines_with(b, "warn", "container in several networks")


def test_both_families_of_a_container(docker, agents):
    a = agents("-docker-internal", docker=docker.url)
    network(docker, "dual", 0, v6=True)
    run(docker, "six", "--net", "dual", "-e", "SERVICE_NAME=six")
    v4, v6 = own(docker, "six", "dual"), own(docker, "six", "dual", "GlobalIPv6Address")
    assert ipaddress.ip_address(v6) in ipaddress.ip_network(f"{NET6}::/48")
    until_at(a, "n1:six:80", v4, 80)
    assert tagged(a, "n1:six:80")["lan_ipv4"] == (v4, 80)
    assert tagged(a, "n1:six:80")["lan_ipv6"] == (v6, 80)
    wait_until("A", lambda: a.dns_data("six.service.consul", "A") == [v4])
    assert a.dns_data("six.service.consul", "AAAA") == [v6]
    assert a.get("/v1/catalog/service/six").json[0]["ServiceTaggedAddresses"]["lan_ipv6"] == \
        {"Address": v6, "Port": 80}
    until_served(v4, 80)
    until_served(v6, 80)


def test_both_families_of_the_host_and_bound_addresses(docker, agents):
    a = agents(docker=docker.url)
    b = agents("-docker-ip", "127.0.0.1,::1", docker=docker.url)
    run(docker, "all", "-p", "18210:80")
    run(docker, "four", "-p", "127.0.0.1:18211:80")
    run(docker, "both", "-p", "127.0.0.1:18212:80", "-p", "[::1]:18213:80")
    run(docker, "any", "-p", "0.0.0.0:18214:80")
    run(docker, "six", "-p", "[::]:18215:80")
    until_at(a, "n1:all:80", "127.0.0.1", 18210)
    until_at(b, "n1:all:80", "127.0.0.1", 18210)
    until_at(a, "n1:four:80", "127.0.0.1", 18211)
    assert "lan_ipv6" not in tagged(a, "n1:four:80")
    until_at(a, "n1:both:80", "127.0.0.1", 18212)
    until_at(a, "n1:any:80", "127.0.0.1", 18214)
    until_at(a, "n1:six:80", "127.0.0.1", 18215)
    assert tagged(a, "n1:both:80")["lan_ipv6"] == ("::1", 18213)
    wait_until("all", lambda: len(b.services()) == 5)
    assert tagged(b, "n1:both:80")["lan_ipv6"] == ("::1", 18213)
    assert tagged(b, "n1:six:80")["lan_ipv6"] == ("::1", 18215)
    until_served("127.0.0.1", 18212)
    until_served("::1", 18213)


def test_macvlan(docker, agents, parent):
    a = agents(docker=docker.url)
    network(docker, "mac", 0, "-o", "parent=" + parent, driver="macvlan")
    network(docker, "br", 1)
    run(docker, "lan", "--net", "mac", "-p", "18220:80")  # nothing is published there
    docker.docker("create", "--name", "two", "--net", "br", "-l", f"SERVICE_NETWORK={NET}.0/26",
                  *WEB)
    docker.docker("network", "connect", "mac", "two")
    docker.docker("start", "two")
    until_at(a, "n1:lan:80", own(docker, "lan", "mac"), 80)
    until_at(a, "n1:two:80", own(docker, "two", "mac"), 80)
    address, port = place(a, "n1:two:80")
    wait_until("a page over macvlan", lambda: "hello" in docker.docker(
        "exec", "lan", "wget", "-q", "-O-", f"http://{address}:{port}/index.html", check=False))


def test_the_network_of_another_container(docker, agents):
    a = agents(docker=docker.url)
    network(docker, "one", 0, v6=True)
    network(docker, "two", 1)
    pause = ("web", "sleep", "1000")
    docker.docker("create", "--name", "pod", "--net", "one", "-p", "18230:80", "-l",
                  "SERVICE_IGNORE=1", *pause)
    docker.docker("network", "connect", "two", "pod")
    docker.docker("start", "pod")
    run(docker, "side", "--net", "container:pod")
    run(docker, "chain", "--net", "container:side", "-l", "SERVICE_NETWORK=two", image=pause)
    run(docker, "outer", "--net", "container:pod", "-l", "SERVICE_INTERNAL=no", image=pause)
    run(docker, "hostpod", "--net", "host", "-l", "SERVICE_IGNORE=1", image=pause)
    run(docker, "onhost", "--net", "container:hostpod", image=pause)
    until_at(a, "n1:side:80", own(docker, "pod", "one"), 80)
    assert tagged(a, "n1:side:80")["lan_ipv6"][0] == own(docker, "pod", "one", "GlobalIPv6Address")
    until_served(*place(a, "n1:side:80"))
    until_at(a, "n1:chain:80", own(docker, "pod", "two"), 80)
    until_at(a, "n1:outer:80", "127.0.0.1", 18230)
    until_served("127.0.0.1", 18230)
    until_at(a, "n1:onhost:80", "127.0.0.1", 80)
    docker.docker("network", "disconnect", "one", "pod")
    until_at(a, "n1:side:80", own(docker, "pod", "two"), 80)


def test_the_hosts_network(docker, agents):
    a = agents("-docker-ip", "127.0.0.1,::1", docker=docker.url)
    b = agents("-docker-internal", docker=docker.url)
    run(docker, "ch", "--net", "host", "-p", "127.0.0.9:18240:18241", "-l", "SERVICE_80_IGNORE=1",
        "-l", "SERVICE_NAME=h", image=("web", "httpd", "-f", "-p", "18241", "-h", "/www"))
    for agent in (a, b):  # Docker takes no notice of what is published: it is the port inside
        until_at(agent, "n1:ch:18241", "127.0.0.1", 18241)
    assert tagged(a, "n1:ch:18241")["lan_ipv6"] == ("::1", 18241)
    until_served("127.0.0.1", 18241)


def test_an_address_by_label(docker, agents):
    a = agents("-docker-use-ip-from-label", "addr", docker=docker.url)
    run(docker, "cl", "-p", "18250:80", "-l", "SERVICE_IP=192.0.2.7,2001:db8::7", "-l",
        "SERVICE_NAME=l")
    run(docker, "co", "-p", "18251:80", "-l", "addr=192.0.2.8/24")
    run(docker, "bad", "-p", "18252:80", "-l", "SERVICE_IP=somewhere")
    until_at(a, "n1:cl:80", "192.0.2.7", 18250)
    assert a.dns_data("l.service.consul", "A") == ["192.0.2.7"]
    assert a.dns_data("l.service.consul", "AAAA") == ["2001:db8::7"]
    until_at(a, "n1:co:80", "192.0.2.8", 18251)
    until_at(a, "n1:bad:80", "127.0.0.1", 18252)
    assert len(lines_with(a, "warn", "SERVICE_IP is no address", "value=somewhere")) == 1


def test_compose_becomes_tags_or_meta(docker, agents):
    tags = agents("-docker-compose", "tags", docker=docker.url)
    meta = agents("-docker-compose", "meta", docker=docker.url)
    off = agents(docker=docker.url)
    run(docker, "shop_web_1", "-p", "18260:80", "-l", "com.docker.compose.project=shop", "-l",
        "com.docker.compose.service=front", "-e", "SERVICE_TAGS=own")
    sid = "n1:shop_web_1:80"
    for agent in (tags, meta, off):
        wait_until("registered", lambda: sid in agent.services())
    assert tags.services()[sid]["Tags"] == ["own", "shop", "front"]
    assert tags.services()[sid]["Meta"] == {}
    assert tags.dns_data("shop.web.service.consul", "SRV")
    assert meta.services()[sid]["Tags"] == ["own"]
    assert meta.services()[sid]["Meta"] == {"compose_project": "shop", "compose_service": "front"}
    assert off.services()[sid]["Tags"] == ["own"] and off.services()[sid]["Meta"] == {}


def test_a_resync_repairs_what_others_changed(docker, agents):
    a = agents("-docker-resync", "1", docker=docker.url)  # seconds, as registrator's
    b = agents(docker=docker.url)
    run(docker, "cr", "-p", "18270:80")
    for agent in (a, b):
        wait_until("registered", lambda: "n1:cr:80" in agent.services())
        assert agent.put("/v1/agent/service/deregister/n1:cr:80").status == 200
    wait_until("again there", lambda: place(a, "n1:cr:80") == ("127.0.0.1", 18270))
    assert a.put("/v1/agent/service/register",
                 {"ID": "n1:cr:80", "Name": "changed", "Port": 1}).status == 200
    wait_until("as it was", lambda: a.services()["n1:cr:80"]["Service"] == "web")
    wait_until("listed twice more", lambda: len(lines_with(a, "engine in step")) >= 4)
    assert len(lines_with(a, "service registered", "id=n1:cr:80")) == 3  # repairs, nothing else
    assert "n1:cr:80" not in b.services()  # without resync nobody does


def test_a_cleanup_takes_out_what_others_left(docker, agents, tmp_path):
    flags = ("-data-dir", str(tmp_path / "data"), "-server", "-bootstrap", "-bind", "127.0.0.1",
             "-docker-cleanup")
    a = agents(*flags, docker=docker.url, dev=False)
    run(docker, "cc", "-p", "18280:80")
    wait_until("registered", lambda: "n1:cc:80" in a.services())
    for sid in ("n1:old:80", "n1:old:53:udp", "n1:cc:81", "n2:old:80", "mine"):
        assert a.put("/v1/agent/service/register", {"ID": sid, "Name": "left"}).status == 200
    a.stop()
    a.start()
    wait_until("cleaned up", lambda: set(a.services()) == {"n1:cc:80", "n1:cc:81", "n2:old:80",
                                                           "mine"})
    assert len(lines_with(a, "service without container deregistered")) == 2
