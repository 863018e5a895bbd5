"""Docker's own networking and stand-alone Swarm on top of us, as cluster_store.py plays them: five
daemons with overlay networks, five `swarm join`, three managers that replicate, through the restart
of an agent, a change of leader and a split. No address is given twice, no daemon or lock is lost.

SOAK=1: ten minutes, with faults by the seed all the time.
"""
import os
import time

import pytest

from cluster_store import (LEADER, LOCK_RETRY, NETWORK, NODES, SWARM_NODES, TTL, Bits, Daemon,
                           Ledger, Listing, Manager, Overlay, Registration, Store, judge_locks,
                           swarm_list)
from harness import PATIENCE, wait_until
from linear_harness import Nemesis, leader, writable
from net_harness import Network
from pool_harness import SOAK, Pool

SEED = int(os.environ.get("SEED", "1"))
FAULTS = ["kill", "kill_all", "pause", "restart", "isolate", "one_way", "weather"]
AT_ONCE = 1.0  # s: between those who wait for one change


class Town:
    """All clients of one run: of each kind one per agent."""

    def __init__(self, pool, seed):
        self.pool, self.ledger, self.seed = pool, Ledger(), seed
        self.overlays = [Overlay(self.ledger, f"{n:064x}", f"10.0.{n}.0/24") for n in (1, 2)]
        self.vxlan = Bits(self.ledger, f"{NETWORK}/idm/vxlan-id/", 16)
        store = Store(pool.agents[0])
        for o in self.overlays:
            o.create(store)
        store.conn.close()
        self.daemons, self.joined, self.managers, self.listings = [], [], [], []
        for i, a in enumerate(pool.agents):
            self.daemons.append(self.daemon(i))
            self.joined.append(Registration(self.ledger, a, f"10.9.1.{i + 1}:2375", seed + i,
                                            SWARM_NODES))
            self.listings += [Listing(self.ledger, a, f"l{i}", 0, NODES),
                              Listing(self.ledger, a, f"s{i}", 0, SWARM_NODES)]
        for i in (0, 2, 4):
            self.managers.append(Manager(self.ledger, pool.agents[i], f"10.9.2.{i + 1}:4000", i))
        for c in self.all():
            c.start()

    def daemon(self, i):
        return Daemon(self.ledger, self.pool.agents[i], f"10.9.0.{i + 1}:2375",
                      self.seed * 100 + i, self.overlays, self.vxlan)

    def all(self):
        return [*self.daemons, *self.joined, *self.managers, *self.listings]

    def check(self):
        for c in self.all():
            c.check()
        return True

    def complete(self):
        """Everybody lists all who live, and nobody else; one manager leads, and all know it."""
        self.check()
        there = {NODES: {d.name for d in self.daemons}, SWARM_NODES: {d.name for d in self.joined}}
        leads = [m.name for m in self.managers if m.leads]
        return all(l.listed == there[l.folder] for l in self.listings) and len(leads) == 1 and \
            all(m.leader_seen == leads[0] for m in self.managers)

    def leading(self):
        return next(m for m in self.managers if m.leads)

    def drop(self, clients, client):
        """It ends as if killed: its session runs out."""
        clients.remove(client)
        client.stop()

    def settle(self, seconds):
        wait_until("all are listed, and one leads", self.complete, seconds, 0.05)

    def judge(self):
        for d in self.daemons:
            d.work.stop()
            d.work.join()
        store = Store(self.pool.agents[-1])
        for o in self.overlays:
            o.judge(store)
            last = store.get(o.count_key).index
            for d in self.daemons:
                wait_until(f"{d.name} was told of the last count", lambda: d.seen[o] == last)
        self.vxlan.judge(store)
        for c in self.all():
            c.stop()
        store.conn.close()
        judge_locks(self.ledger)
        print(sorted(self.ledger.counts.items()), f"held={len(self.ledger.owner)}",
              f"leaders={[h.name for h in self.ledger.holds]}")
        assert self.ledger.counts["given"] > 30 / PATIENCE


def was_seen_at_once(ledger, name, died):
    """All whose watch was open heard of it together, and not before its time."""
    when = sorted(ledger.gone[name].values())
    print(f"{name}: gone after {when[0] - died:.1f} s, heard by {len(when)} within "
          f"{when[-1] - when[0]:.3f} s")
    lease = [l for l in ledger.leases if l.name == name and l.key.startswith(NODES)][-1]
    assert when[0] >= lease.until
    assert when[min(2, len(when) - 1)] - when[0] < AT_ONCE * PATIENCE
    assert len(when) >= 3


def script(town, pool, net):
    """One of each, each while the one before is not forgotten."""
    servers = pool.agents[:3]
    time.sleep(1)
    dead = town.daemons[4]
    town.drop(town.daemons, dead)
    died = time.monotonic()
    town.drop(town.managers, town.leading())
    time.sleep(1)
    assert pool.agents[3].stop() == 0  # the restart of an agent
    pool.agents[3].start(wait=False)
    time.sleep(3)
    lead = leader(servers)  # a change of leader
    lead.kill()
    time.sleep(1)
    lead.start(wait=False)
    time.sleep(3)
    apart = [pool.agents.index(next(a for a in servers if a is not leader(servers))), 4]
    net.partition(apart, [i for i in range(5) if i not in apart])
    time.sleep(4)
    net.heal()
    town.settle(2 * TTL + LOCK_RETRY + 10)
    was_seen_at_once(town.ledger, dead.name, died)


def soak(town, pool, net, seconds):
    """Faults by the seed; now and then a daemon ends, and another begins in its place."""
    nemesis = Nemesis(pool, pool.agents[:3], SEED, FAULTS, gap=(3, 10))
    nemesis.start()
    end = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < end:
        time.sleep(1)
        town.check()
        turn += 1
        if turn % 40 == 20:
            town.drop(town.daemons, town.daemons[0])
        elif turn % 40 == 0:
            names = {d.name for d in town.daemons}
            town.daemons.append(next(d for d in map(town.daemon, range(5))
                                     if d.name not in names).start())
        elif turn % 60 == 30:
            old = town.managers[0]
            town.drop(town.managers, old)
            town.managers.append(Manager(town.ledger, old.agent, old.name, turn).start())
    nemesis.ending.set()
    nemesis.join()
    print("\n".join(nemesis.told))
    if nemesis.error:
        raise nemesis.error
    net.heal()
    for a in pool.agents:
        wait_until(f"{a.name} takes writes", lambda a=a: writable(a), 30)


def test_daemons_and_managers(tmp_path):
    net = Network(5, SEED)
    pool = Pool(tmp_path, net)
    try:
        net.start()
        for i in range(5):
            flags = ["-server", "-bootstrap-expect", "3"] if i < 3 else []
            pool.add("-retry-interval", "1s", *flags, server=False,
                     join=[net.address(j) for j in range(3)])
        for a in pool.agents:
            a.start(wait=False)
        pool.wait_complete()
        for a in pool.agents:
            wait_until(f"{a.name} takes writes", lambda a=a: writable(a), 20)
        town = Town(pool, SEED)
        try:
            town.settle(20)
            assert swarm_list(town.ledger, pool.agents[1], SWARM_NODES) == \
                {d.name for d in town.joined}
            if SOAK:
                soak(town, pool, net, 600)
                town.settle(2 * TTL + LOCK_RETRY + 20)
            else:
                script(town, pool, net)
            town.judge()
        finally:
            for c in town.all():
                for l in c.loops:
                    l.stop()
    finally:
        try:
            pool.stop()
        finally:
            net.stop()


# What the ledger is for, done on purpose behind the back of clients at one agent.

@pytest.fixture
def small(agents):
    a = agents()
    a.namespace = None
    pool = type("One", (), {"agents": [a] * 5})
    town = Town(pool, SEED)
    yield town
    for c in town.all():
        for l in c.loops:
            l.stop()


def is_noticed(town, *words):
    """One of the clients says so, and none says anything else."""
    def said():
        return [str(x.error) for c in town.all() for x in c.loops if x.error]
    for text in wait_until(f"somebody says {words}", said):
        assert any(w in text for w in words), text


def test_an_address_given_twice_is_noticed(small):
    wait_until("an address is given", lambda: small.ledger.counts.get("given", 0) > 3)
    store = Store(small.pool.agents[0])
    for bits in [*(o.addresses for o in small.overlays), small.vxlan]:
        store.put(bits.key, b'{"bits": 0}')
    is_noticed(small, "was given to", "is 0, not ours")


@pytest.mark.parametrize("key, words", [
    (f"{NODES}/10.9.0.1:2375", "before its time"), (LEADER, "before its time")])
def test_a_session_that_ends_too_soon_is_noticed(small, key, words):
    store = Store(small.pool.agents[0])
    wait_until("it is held", lambda: (e := store.get(key)) and e.session)
    wait_until("and its owner knows", lambda: any(
        x.key == key and x.held for x in small.ledger.leases))
    time.sleep(0.2)  # its own watch is open
    store.ask(b"PUT", f"/v1/session/destroy/{store.get(key).session}")
    is_noticed(small, words)
