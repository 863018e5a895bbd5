"""Five hosts on a network that breaks: halves that go on, links that come back, hosts that stand
still, packets that are lost, late and out of order. One of them runs containers."""
import signal
import time

import pytest

from harness import PATIENCE, srv_key, wait_until
from net_harness import Network
from pool_harness import ALIVE, FAILED, SOAK, Poller, Pool, catalog_of, leads

SUSPICION = 25  # the longest one of the LAN profile, and a bit


@pytest.fixture(scope="module")
def five(tmp_path_factory, engine):
    net = Network(5)
    pool = Pool(tmp_path_factory.mktemp("five"), net)
    try:
        net.start()
        for i in range(5):
            # blips follow each other here: none is damped
            pool.add("-retry-interval", "1s", "-damp-flaps", "8",
                     docker=engine.url if i == 0 else None)
        for a in pool.agents:
            a.start(wait=False)
        pool.wait_complete()
        pool.complete_since = time.monotonic()
        yield pool
    finally:
        try:
            pool.stop()
        finally:
            net.stop()


@pytest.fixture
def pool(five, docker):
    """All five, whole and without services."""
    five.network.heal()
    for i in range(5):
        five.network.link(i, True)
    five.wait_complete(seconds=20)
    for a in five.agents:
        for ident in a.services():
            if ident != "consul":
                a.deregister(ident)
    five.wait_all("is empty", lambda a: set(a.get("/v1/catalog/services").json) == {"consul"})
    return five


def run_container(docker, name, port):
    docker.docker("run", "-d", "--name", name, "-p", f"{port}:80", "-e", f"SERVICE_NAME={name}",
                  "web")


def test_a_container_on_one_is_answered_by_all(pool, docker):
    n1 = pool.agents[0]
    run_container(docker, "shop", 18180)
    for a in pool.agents:
        wait_until(f"{a.name} answers",
                   lambda: [srv_key(s)[0] for s in a.dns_data("shop.service.consul", "SRV")] ==
                   [18180], 5)
        assert a.addresses("shop") == [n1.address]
    docker.docker("rm", "-f", "shop")
    pool.wait_all("gone", lambda a: a.catalog("shop") == [], None, 5)


def test_a_registration_shows_where_it_was_sent_also_before_gossip_brings_it(pool):
    asked, others = pool.agents[4], pool.agents[1:4]
    wait_until("it reaches a leader", lambda: leads(asked))
    pool.network.tell(tcp_only=True)
    for n in range(3):
        assert asked.put("/v1/catalog/register",
                         {"Node": f"x{n}", "Address": "10.9.9.9"}).json is True
        assert asked.get(f"/v1/catalog/node/x{n}").json["Node"]["Address"] == "10.9.9.9"
        assert asked.put("/v1/catalog/deregister", {"Node": f"x{n - 1}"}).json is True
        assert asked.get(f"/v1/catalog/node/x{n - 1}").json is None
    assert all(a.get("/v1/catalog/node/x2").json is None for a in others)  # it was not gossip
    pool.network.heal()
    pool.wait_all("shows it", lambda a: a.get("/v1/catalog/node/x2").json is not None)
    assert asked.put("/v1/catalog/deregister", {"Node": "x2"}).json is True
    pool.wait_all("it is gone", lambda a: a.get("/v1/catalog/node/x2").json is None)


@pytest.mark.parametrize("way", ["link", "silence"] * (10 if SOAK else 1))
def test_the_twenty_second_blip(pool, way):
    """A host is cut off for 20 s and back: in every answer again within 5 s, also with what changed
    meanwhile on both sides."""
    net, seconds = pool.network, 20 if SOAK or way == "link" else 12
    cut = pool.agents[4]
    rest = pool.agents[:4]
    for a in pool.agents:
        a.register("blip", 1)
    cut.register("old", 1)
    pool.wait_all("there", lambda a: len(a.addresses("blip")) >= 3 and a.catalog("old") and
                  len(a.catalog("blip")) == 5, None, 5)
    if way == "link":
        net.link(4, False)
    else:
        net.partition([0, 1, 2, 3], [4])
    begun = time.monotonic()
    cut.register("new", 1)
    cut.deregister("old")
    rest[1].register("elsewhere", 1)
    time.sleep(max(0, begun + seconds * PATIENCE - time.monotonic()))
    for a in rest:
        if seconds >= 20:
            assert a.sees(cut.name, FAILED) and a.addresses("old") == []
        assert a.catalog("new") == []
    if way == "link":
        net.link(4, True)
    else:
        net.heal()
    back = time.monotonic()
    for a in rest:
        wait_until(f"{a.name} answers with it", lambda: a.addresses("new") == [cut.address] and
                   a.catalog("old") == [] and ("n5", "blip") in a.catalog("blip"),
                   5 - (time.monotonic() - back) / PATIENCE)
        assert a.serf_health("n5") == ["passing"]
    wait_until("it has heard", lambda: cut.addresses("elsewhere") == [rest[1].address],
               max(0, 5 - (time.monotonic() - back) / PATIENCE))
    pool.wait_equal(5)
    pool.wait_complete(seconds=5)


def test_two_against_three(pool, docker):
    net = pool.network
    # who has become known only just now is not counted among the lost
    wait_until("they have known each other for a while",
               lambda: time.monotonic() - pool.complete_since > SUSPICION, SUSPICION + 5)
    few, many = pool.agents[:2], pool.agents[2:]
    for a in pool.agents:
        a.register(f"on-{a.name}", 1)
        a.register("common", 2)
    pool.wait_all("five of it", lambda a: a.catalog("on-n5") != [] and
                  len(a.catalog("common")) == 5, None, 5)
    net.partition([0, 1], [2, 3, 4])

    # both sides go on, at once
    run_container(docker, "shop", 18181)
    few[1].register("few-new", 3)
    few[1].deregister("on-n2")
    many[0].register("many-new", 4)
    many[1].deregister("common")
    for a in few:
        wait_until("few: news", lambda: a.addresses("few-new") == [few[1].address] and
                   a.addresses("shop") == [few[0].address] and a.catalog("on-n2") == [], 5)
        assert a.catalog("many-new") == []
    for a in many:
        wait_until("many: news", lambda: a.addresses("many-new") == [many[0].address] and
                   ("n4", "common") not in a.catalog("common"), 5)
        assert a.catalog("few-new") == [] and a.catalog("on-n2") != []

    # three have lost two: hidden. Two have lost three: they are the ones cut off, and show them.
    for a in many:
        wait_until("the two are failed", lambda: all(a.sees(b.name, FAILED) for b in few), 30)
        wait_until("and hidden", lambda: a.addresses("on-n1") == [], 2)
        assert a.catalog("on-n1") == [("n1", "on-n1")] and a.serf_health("n1") == ["critical"]
        assert a.addresses("common") == sorted(b.address for b in (many[0], many[2]))
    for a in few:
        wait_until("the three are failed", lambda: all(a.sees(b.name, FAILED) for b in many), 40)
        assert a.addresses("on-n5") == [many[2].address]
        assert len(a.addresses("common")) >= 3  # as many as an answer over UDP holds

    net.heal()
    begun = time.monotonic()
    same = pool.wait_equal(10)
    pool.wait_complete(seconds=10 - (time.monotonic() - begun) / PATIENCE)
    # nothing lost, nothing doubled, nothing that came back
    expected = {
        "n1": ["common", "consul", "n1:shop:80", "on-n1"], "n2": ["common", "few-new"],
        "n3": ["common", "many-new", "on-n3"], "n4": ["on-n4"], "n5": ["common", "on-n5"]}
    same = pool.wait_equal(5)
    assert {n: sorted(s[0].split(":", 1)[-1] if s[1] == "shop" else s[0]
                      for s in node["services"]) for n, node in same.items()} == \
        {n: sorted("shop:80" if "shop" in s else s for s in v) for n, v in expected.items()}
    assert all(c == ["serfHealth", "passing"] for node in same.values() for c in node["checks"])
    docker.docker("rm", "-f", "shop")


def test_a_host_that_stands_still(pool):
    """SIGSTOP for 10 s: it may be hidden, it comes back, and it takes nobody for dead itself."""
    still, rest = pool.agents[3], [a for a in pool.agents if a.name != "n4"]
    still.register("still", 1)
    rest[0].register("steady", 1)
    pool.wait_all("there", lambda a: a.addresses("still") and a.addresses("steady"), None, 5)
    with Poller(rest, "steady.service.consul", 0.02) as poller:
        still.proc.send_signal(signal.SIGSTOP)
        time.sleep(10 * PATIENCE)
        rest[1].register("meanwhile", 1)
        still.proc.send_signal(signal.SIGCONT)
        back = time.monotonic()
        wait_until("it is back everywhere", lambda: all(
            a.addresses("still") == [still.address] and a.sees("n4") for a in rest), 5)
        wait_until("it has heard", lambda: still.addresses("meanwhile") == [rest[1].address],
                   max(1, 5 - (time.monotonic() - back) / PATIENCE))
        # two rounds of probes later nobody has been taken for dead
        end = time.monotonic() + (30 if SOAK else 4) * PATIENCE
        while time.monotonic() < end:
            for a in pool.agents:
                assert {n for n, s in a.members().items() if s != ALIVE} == set()
            time.sleep(0.1)
    assert poller.without(rest[0].address) == []
    pool.wait_equal(5)


def test_packets_that_are_lost_late_and_out_of_order(pool):
    """One in five is lost, the others take 5 to 60 ms: what is registered is everywhere soon, and
    nobody is taken for dead."""
    pool.network.tell(loss=0.2, delay_ms=5, jitter_ms=55)
    names = {"consul"}
    seconds = 60 if SOAK else 10
    for i in range(seconds * 2):
        owner = pool.agents[i % 5]
        name = f"lossy{i}"
        owner.register(name, 1000 + i)
        names.add(name)
        if i % 3 == 2:
            gone = f"lossy{i - 2}"
            pool.agents[(i - 2) % 5].deregister(gone)
            names.discard(gone)
        time.sleep(0.5 * PATIENCE)
        for a in pool.agents:
            assert FAILED not in a.members().values()
    pool.wait_all("has all and no more",
                  lambda a: set(a.get("/v1/catalog/services").json) == names, None, 10)
    pool.wait_equal(5)
    pool.network.heal()
    pool.wait_complete(seconds=10)
    assert all(len(node["checks"]) == 1 for node in catalog_of(pool.agents[0]).values())
