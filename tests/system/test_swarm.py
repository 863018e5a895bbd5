"""Swarm mode, on a real swarm of a manager and a worker: tasks are services, wherever they run, and
nobody who asks while a service runs is told that it has no instance.

This kernel may have no IPVS. Then nothing answers on a port published through the mesh, or on a
virtual address: what is registered for those is asserted, and requests go to host mode and dnsrr.
"""
import pytest

from harness import wait_until
from swarm_harness import SwarmHosts, polled

STOPS = ["sh", "-c", "trap 'exit 0' TERM; httpd -p 80 -h /www; while :; do sleep 0.05; done"]


@pytest.fixture(scope="module")
def swarm(tmp_path_factory):
    s = SwarmHosts(tmp_path_factory.mktemp("swarm"), 2)
    try:
        s.start()
        s.start_agents("-docker-swarm-nodes")
        yield s
    finally:
        s.stop()


@pytest.fixture
def hosts(swarm):
    """The swarm, without services before and after."""
    yield swarm
    manager = swarm.engines[0]
    names = manager.docker("service", "ls", "-q").split()
    if names:
        manager.docker("service", "rm", *names)
    for a in swarm.pool.agents:
        wait_until("no service is left", lambda: list(a.get("/v1/catalog/services").json) ==
                   ["consul"], 60)


def instances(agent, name):
    """{(node, address, port): number} in the catalog."""
    found = {}
    for s in agent.get(f"/v1/catalog/service/{name}").json:
        key = (s["Node"], s["ServiceAddress"], s["ServicePort"])
        found[key] = found.get(key, 0) + 1
    return found


def settled(hosts, name, count):
    """Both agents list exactly the tasks that run: `count`, each once, by its id."""
    tasks = [t for _, _, t in hosts.tasks(name)]
    if len(tasks) != count:
        return False
    for a in hosts.pool.agents:
        ids = [s["ServiceID"] for s in a.get(f"/v1/catalog/service/{name}").json]
        if len(ids) != count or len(a.passing(name)) != count or \
                not all(any(t in i for i in ids) for t in tasks):
            return False
    return True


def wait_settled(hosts, name, count):
    wait_until(f"{count} tasks of {name} are {count} instances",
               lambda: settled(hosts, name, count), 120, 0.05)


def assert_mesh_answers(hosts, address, port):
    """Somebody answers there, or the engine itself says why nobody can."""
    def once():
        try:
            return hosts.page(1, address, port)
        except OSError:  # the mesh without its load balancer: nobody refuses, nobody answers
            return None
    page = wait_until("the mesh answers, or cannot", lambda: once() or (
        "ipvs is not enabled in your kernel" in hosts.engines[0].log() and "no mesh here"), 30)
    assert "hello from a container" in page or page == "no mesh here"


def test_published_through_the_mesh_scaled_updated_removed(hosts):
    a, b = hosts.pool.agents
    manager = hosts.engines[0]
    hosts.service("--name", "web", "--replicas", "3", "--publish", "8080:80", "--label",
                  "SERVICE_TAGS=blue", "--update-parallelism", "2", "web", *STOPS)
    wait_settled(hosts, "web", 3)
    at = {(a.name, a.address, 8080), (b.name, b.address, 8080)}
    wait_until("at the nodes, by the published port", lambda: set(instances(a, "web")) == at)
    assert a.dns_data("web.service.consul") == sorted([a.address, b.address])
    assert {s.split()[2] for s in b.dns_data("web.service.consul", "SRV")} == {"8080"}
    assert_mesh_answers(hosts, a.address, 8080)
    with polled((a, b), "web.service.consul"):
        manager.docker("service", "scale", "-d", "web=5")
        wait_settled(hosts, "web", 5)
        old = {t for _, _, t in hosts.tasks("web")}
        manager.docker("service", "update", "-d", "--env-add", "VERSION=2", "web")
        wait_until("all were replaced", lambda: len(hosts.tasks("web")) == 5 and
                   not old & {t for _, _, t in hosts.tasks("web")}, 120, 0.05)
        wait_settled(hosts, "web", 5)
    manager.docker("service", "rm", "web")
    for agent in (a, b):
        wait_until("gone", lambda: agent.get("/v1/catalog/service/web").json == [], 60)
        assert agent.dns_data("web.service.consul") == []


def test_one_replica_is_replaced_without_a_gap(hosts):
    """The new one starts first, and the old one is told to stop when it is healthy."""
    agents = hosts.pool.agents
    hosts.service("--name", "one", "--publish", "8081:80", "--update-order", "start-first",
                  "--health-cmd", "true", "--health-interval", "300ms", "web", *STOPS)
    wait_settled(hosts, "one", 1)
    with polled(agents, "one.service.consul"):
        old = hosts.tasks("one")
        hosts.engines[0].docker("service", "update", "-d", "--env-add", "VERSION=2", "one")
        wait_until("replaced", lambda: hosts.tasks("one") and
                   not set(old) & set(hosts.tasks("one")), 120, 0.05)
        wait_settled(hosts, "one", 1)


def test_host_mode_is_reached_where_it_runs(hosts):
    """A port of each task's own host: real requests, also from the other host. What the service
    itself is labelled with, managers alone know."""
    a, b = hosts.pool.agents
    hosts.service("--name", "direct", "--mode", "global", "--publish",
                  "mode=host,published=8082,target=80", "--label", "SERVICE_TAGS=of-service",
                  "--container-label", "SERVICE_COLOUR=of-container", "web", *STOPS)
    at = {(a.name, a.address, 8082): 1, (b.name, b.address, 8082): 1}
    for agent in (a, b):
        wait_until("one on each node", lambda: instances(agent, "direct") == at, 120)
    found = {s["Node"]: s for s in a.get("/v1/catalog/service/direct").json}
    assert found[a.name]["ServiceTags"] == ["of-service"] and not found[b.name]["ServiceTags"]
    for s in found.values():
        assert s["ServiceMeta"]["colour"] == "of-container"
    for host in (0, 1):
        for ip in a.dns_data("direct.service.consul"):
            assert "hello from a container" in hosts.fetch(host, ip, 8082)
    # A label of the service changes without a new task. (The manager hears later than we that
    # tasks run.)
    wait_settled(hosts, "direct", 2)
    tasks = hosts.tasks("direct")
    hosts.engines[0].docker("service", "update", "-d", "--label-add", "SERVICE_TAGS=new", "direct")
    wait_until("the manager's agent follows", lambda: a.dns_data("new.direct.service.consul") ==
               [a.address])
    assert hosts.tasks("direct") == tasks


def test_a_node_without_an_agent(hosts):
    """The agent beside the leader tells of its tasks, until it has an agent of its own again."""
    a, b = hosts.pool.agents
    hosts.service("--name", "far", "--mode", "global", "--publish",
                  "mode=host,published=8083,target=80", "web", *STOPS)
    own = {(a.name, a.address, 8083): 1, (b.name, b.address, 8083): 1}
    wait_until("one on each node", lambda: instances(a, "far") == own, 120)
    with polled((a,), "far.service.consul"):
        assert b.put("/v1/agent/leave").status == 200
        b.left()
        wait_until("told by the leader's agent", lambda: instances(a, "far") ==
                   {(a.name, a.address, 8083): 1, (a.name, b.address, 8083): 1}, 60)
        assert a.dns_data("far.service.consul") == sorted([a.address, b.address])
        assert "hello from a container" in hosts.fetch(0, b.address, 8083)
        b.start()
        wait_until("told by its own", lambda: instances(a, "far") == own, 60)


def test_dnsrr_and_virtual_addresses(hosts):
    """dnsrr: each task's own address, in the overlay network that it shares with its clients, who
    get answers there. By SERVICE_VIP the service's address, where the kernel may have nobody answer."""
    manager = hosts.engines[0]
    a, b = hosts.pool.agents
    here = f"node.id=={manager.api('GET', '/info').json['Swarm']['NodeID']}"
    manager.docker("network", "create", "-d", "overlay", "--attachable", "mesh")
    try:
        hosts.service("--name", "rr", "--endpoint-mode", "dnsrr", "--network", "mesh", "--replicas",
                      "2", "--constraint", here, "web", *STOPS)
        hosts.service("--name", "virtual", "--network", "mesh", "--label", "SERVICE_VIP=1",
                      "--constraint", here, "web", *STOPS)
        wait_settled(hosts, "rr", 2)
        wait_settled(hosts, "virtual", 1)
        found = a.dns_data("rr.service.consul")
        assert len(found) == 2 and found == b.dns_data("rr.service.consul")
        vips = manager.api("GET", "/services/virtual").json["Endpoint"]["VirtualIPs"]
        assert b.dns_data("virtual.service.consul") == [vips[0]["Addr"].split("/")[0]]
        assert instances(b, "virtual") == {(a.name, vips[0]["Addr"].split("/")[0], 80): 1}
        pages = manager.docker("run", "--rm", "--network", "mesh", "web", "sh", "-c",
                               "".join(f"wget -q -O - http://{ip}/;" for ip in found))
        assert pages.count("hello from a container") == 2
    finally:
        manager.docker("service", "rm", "rr", "virtual")
        wait_until("the network can go", lambda: manager.api("DELETE", "/networks/mesh").status in
                   (204, 404), 60, 0.1)
