"""What Docker's own networking and stand-alone Swarm ask of the key store, by a client of our own.

Debian's dockerd is built without --cluster-store, so this plays its part, and Swarm's, call by call
as they were seen on the wire (paths, flags, empty bodies, order within a heartbeat): libkv's client
with sessions, locks, watches and compare-and-set. Many of them at once tell each other nothing but
through the store; a Ledger beside it knows what each was told, and says what must not be:

  an address (or VXLAN number) that two were given
  a daemon that is not listed although its session was renewed in time
  a lock that was taken from, or given beside, a holder whose session was renewed in time

"Renewed in time": the renewal was answered 200, so the session lives at least for its TTL from the
moment before it was asked. An answer that did not come may stand for either.
"""
import base64
import contextlib
import itertools
import json
import random
import socket
import threading
import time

from harness import PATIENCE
from linear_harness import Connection, Lost, NotSent

FLAGS = 3304740253564472344  # of every PUT: the mark of the Go client's locks
TTL = 10.0      # s, the shortest there is
HEARTBEAT = 2.0  # real ones: 20 s and a session of 30 s; the ratio is what counts
LOCK_RETRY = 5.0  # of the Go client, after an acquire that was refused though nobody holds it
NODES = "docker/nodes"
NETWORK = "docker/network/v1.0"
SWARM_NODES = "SWARM/docker/swarm/nodes"
LEADER = "SWARM/docker/swarm/leader"


class StoreError(Exception):
    """The agent did not answer, or with 500. `maybe`: it may have been done."""

    def __init__(self, text, maybe):
        super().__init__(text)
        self.maybe = maybe


class Stopped(Exception):
    pass


class Entry:
    """A key as it was read."""

    def __init__(self, d):
        self.key, self.index = d["Key"], d["ModifyIndex"]
        self.session, self.lock_index = d.get("Session"), d["LockIndex"]
        if d["Value"] is not None:
            assert d["Value"] != "", d  # an empty one is null
            self.value = base64.b64decode(d["Value"])
        else:
            self.value = b""
        assert d["Flags"] == FLAGS, d
        assert self.session != "", d


class Store:
    """libkv's calls, on one connection that is kept open."""

    def __init__(self, agent, timeout=10.0):
        self.conn = Connection(agent, timeout * PATIENCE)
        self.stopped = False

    def ask(self, method, path, body=b"", fine=(200,)):
        if self.stopped:
            raise Stopped()
        try:
            status, text = self.conn.ask(method, path, body)
        except NotSent as e:
            raise StoreError(str(e), False) from None
        except Lost as e:
            raise StoreError(str(e), True) from None
        if status >= 500:
            raise StoreError(f"{status} {text[:100]}", True)
        assert status in fine, (method, path, status, text)
        return status, text

    def stop(self):
        """From another thread: what waits is given up."""
        self.stopped = True
        with contextlib.suppress(OSError, AttributeError):  # there may be none
            self.conn.sock.shutdown(socket.SHUT_RDWR)

    def read(self, key, query):
        """Entries; [] for 404."""
        status, text = self.ask(b"GET", f"/v1/kv/{key}?{query}", fine=(200, 404))
        assert self.conn.index and self.conn.index > 0, (key, query, status)
        if status == 404:
            assert text == b"", text
            return []
        return [Entry(d) for d in json.loads(text)]

    def get(self, key, query="consistent="):
        found = self.read(key, query)
        assert len(found) < 2 and all(e.key == key for e in found)
        return found[0] if found else None

    def said(self, method, path, body=b""):
        _, text = self.ask(method, path, body)
        assert text.strip() in (b"true", b"false"), (path, text)
        return text.strip() == b"true"

    def put(self, key, value=b"", query=""):
        return self.said(b"PUT", f"/v1/kv/{key}?{query}flags={FLAGS}", value)

    def cas(self, key, index, value):
        return self.put(key, value, f"cas={index}&")

    def delete_cas(self, key, index):
        return self.said(b"DELETE", f"/v1/kv/{key}?cas={index}")

    def directory(self, key):
        if self.get(key) is None:
            self.put(key)

    def session(self, behaviour):
        body = {"Behavior": behaviour, "LockDelay": "1ms", "TTL": f"{TTL:.0f}s"}
        return json.loads(self.ask(b"PUT", "/v1/session/create", json.dumps(body).encode())[1])["ID"]

    def renew(self, session):
        """False: there is no such session any more."""
        status, text = self.ask(b"PUT", f"/v1/session/renew/{session}", fine=(200, 404))
        if status == 200:
            assert json.loads(text)[0]["ID"] == session
        return status == 200


class Ledger:
    """What everybody was told, side by side."""

    def __init__(self):
        self.lock = threading.Lock()
        self.owner = {}    # (pool, number): who was given it
        self.unsure = {}   # pool: numbers that may be set although nobody knows
        self.leases = []   # of every session
        self.counts = {}
        self.gone = {}     # address: {who saw it in a watch: when}
        self.holds = []    # leases of leaders

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def given(self, pool, number, who):
        with self.lock:
            other = self.owner.get((pool, number))
            assert other is None, f"{pool} {number} was given to {who} and is {other}'s"
            self.owner[pool, number] = who

    def given_back(self, pool, number):
        """Before it is said to the store: from then on it may be another's."""
        with self.lock:
            del self.owner[pool, number]

    def not_sure(self, pool, number):
        with self.lock:
            self.unsure.setdefault(pool, set()).add(number)

    def lease(self, name, key):
        with self.lock:
            self.leases.append(Lease(name, key))
            return self.leases[-1]

    def must_be_there(self, folder, begun, ended):
        """{name: lease} of the keys that a read of so long must have found held."""
        with self.lock:
            return {l.name: l for l in self.leases
                    if l.key == f"{folder}/{l.name}" and l.surely(begun, ended)}


class Lease:
    """One session with the key that it holds, as far as its owner knows."""

    def __init__(self, name, key):
        self.name, self.key = name, key
        self.session = None
        self.asked = self.held = None  # before the acquire was asked for, after it was answered
        self.until = 0.0               # it lives at least so long
        self.over = False

    def surely(self, begun, ended):
        return self.held is not None and self.held <= begun and ended < self.until

    def renewed(self, begun):
        self.until = begun + TTL

    def ended(self):
        """The store says so just now: it must not."""
        now = time.monotonic()
        assert now >= self.until, \
            f"{self.name}: its session has ended {self.until - now:.1f} s before its time"


class Loop(threading.Thread):
    """A part of a client: its own connection; step() again and again, errors after a pause."""

    def __init__(self, client, step, pause, timeout=10.0):
        super().__init__(daemon=True)
        self.client, self.step, self.pause = client, step, pause
        self.store = Store(client.agent, timeout)
        self.ending = threading.Event()
        self.error = None

    def run(self):
        try:
            while not self.ending.is_set():
                try:
                    self.step(self.store)
                except StoreError:
                    self.client.ledger.count("errors")
                    self.ending.wait(min(self.pause, HEARTBEAT))
        except Stopped:
            pass
        except Exception as e:  # pylint: disable=broad-except
            self.error = e
        finally:
            self.store.conn.close()

    def wait(self, seconds):
        if self.ending.wait(seconds):
            raise Stopped()

    def stop(self):
        """What it waits for is given up: as if it were killed."""
        self.ending.set()
        self.store.stop()


class Client:
    """Loops that belong together, at one agent."""

    def __init__(self, ledger, agent, name, seed):
        self.ledger, self.agent, self.name = ledger, agent, name
        self.random = random.Random(seed)
        self.loops = []

    def loop(self, step, pause=HEARTBEAT, timeout=10.0):
        self.loops.append(Loop(self, step, pause, timeout))
        return self.loops[-1]

    def start(self):
        for l in self.loops:
            l.start()
        return self

    def stop(self):
        """Without a word to the store, as all of them end."""
        for l in self.loops:
            l.stop()
        for l in self.loops:
            l.join(30)
            assert not l.is_alive(), (self.name, l.step)
        self.check()

    def check(self):
        for l in self.loops:
            if l.error is not None:
                raise l.error


class Registration(Client):
    """`dockerd --cluster-advertise`, or `swarm join`: a key held by a session, and heartbeats."""

    def __init__(self, ledger, agent, name, seed, folder):
        super().__init__(ledger, agent, name, seed)
        self.folder, self.key = folder, f"{folder}/{name}"
        self.lease = None
        self.beat = self.loop(self.heartbeat)
        self.loop(self.watch_own, timeout=400)

    def begin(self, store):
        lease = self.ledger.lease(self.name, self.key)
        lease.session = store.session("delete")
        store.get(self.key, "wait=15000ms")
        lease.asked = time.monotonic()
        if not store.put(self.key, b"", f"acquire={lease.session}&"):
            raise StoreError("another session holds it", False)
        lease.held = time.monotonic()
        self.lease = lease

    def heartbeat(self, store):
        """The order within one: GET, renew, PUT."""
        entry = store.get(self.key)
        if entry is None or entry.session is None:
            self.begin(store)
            session = self.lease.session
        else:
            session = entry.session
        begun = time.monotonic()
        lease = self.lease
        if not store.renew(session):
            if lease is not None and lease.session == session:
                lease.ended()
            self.lease = None
            return  # the next one begins anew
        if lease is not None and lease.session == session:
            lease.renewed(begun)
        else:  # one of an earlier life, or of an acquire whose answer was lost
            lease = self.ledger.lease(self.name, self.key)
            lease.session, lease.asked, lease.held = session, begun, time.monotonic()
            lease.renewed(begun)
            self.lease = lease
        store.put(self.key, self.name.encode())  # it stays held
        self.ledger.count("heartbeats")
        self.beat.wait(HEARTBEAT)

    def watch_own(self, store):
        """Answers at once when the session has ended."""
        lease = self.lease
        if lease is None:
            time.sleep(0.05)
            return
        index = 0
        while self.lease is lease:
            begun = time.monotonic()
            entry = store.get(self.key, f"consistent=&index={index}" if index else "consistent=")
            ended = time.monotonic()
            index = store.conn.index
            if entry is None or entry.session != lease.session:
                assert not lease.surely(begun, ended), \
                    f"{self.name} is lost {lease.until - ended:.1f} s before its time"
                return


class Listing(Client):
    """Who looks at a list of nodes, with blocking queries."""

    def __init__(self, ledger, agent, name, seed, folder):
        super().__init__(ledger, agent, name, seed)
        self.folder = folder
        self.listed = None  # the last answer, by the loop
        self.loop(self.watch, timeout=60)

    def addresses(self, entries):
        """Without the directory's own key."""
        return {e.key[len(self.folder) + 1:] for e in entries if e.key != self.folder}

    def look(self, store, query):
        begun = time.monotonic()
        seen = self.addresses(store.read(self.folder, query))
        ended = time.monotonic()
        for name, lease in self.ledger.must_be_there(self.folder, begun, ended).items():
            assert name in seen, f"{self.name}: {name} is not listed " \
                                 f"{lease.until - ended:.1f} s before its time: {sorted(seen)}"
        return seen

    def watch(self, store):
        store.directory(self.folder)
        seen = self.look(store, "recurse=&wait=15000ms")
        while True:
            self.listed = seen
            now = self.look(store, f"index={store.conn.index}&recurse=&wait=15000ms")
            for name in seen - now:
                with self.ledger.lock:
                    self.ledger.gone.setdefault(name, {})[self.name] = time.monotonic()
            seen = now
            self.ledger.count("listings")


class Bits:
    """A bit map under one key, from which numbers are given: addresses of a subnet, VXLAN ids."""

    def __init__(self, ledger, key, size):
        self.ledger, self.key, self.size = ledger, key, size

    def change(self, store, number, bit, mind):
        """Compare-and-set until it is true. `mind`: called before each that is sent."""
        while True:
            entry = store.get(self.key)
            bits = json.loads(entry.value)["bits"] if entry else 0
            free = [n for n in range(1, self.size) if not bits >> n & 1]
            n = number if number is not None else free[0] if free else None
            if n is None:
                return None
            assert (bits >> n & 1) != bit, f"{self.key} {n} is {bits >> n & 1}, not ours"
            mind(n)
            value = json.dumps({"bits": bits ^ 1 << n}).encode()
            if store.cas(self.key, entry.index if entry else 0, value):
                return n
            self.ledger.count("cas false")

    def take(self, store, who):
        asked = []
        try:
            n = self.change(store, None, 1, asked.append)
        except StoreError as e:
            if asked and e.maybe:  # the last of them may have been done
                self.ledger.not_sure(self.key, asked[-1])
            raise
        if n is not None:
            self.ledger.given(self.key, n, who)
            self.ledger.count("given")
        return n

    def give_back(self, store, n):
        self.ledger.given_back(self.key, n)
        try:
            self.change(store, n, 0, lambda n: None)
        except (StoreError, Stopped):
            self.ledger.not_sure(self.key, n)
            raise

    def judge(self, store):
        """At the end: what was given is set, and nothing else that is not unsure."""
        entry = store.get(self.key)
        bits = json.loads(entry.value)["bits"] if entry else 0
        held = {n for n in range(self.size) if bits >> n & 1}
        owned = {n for pool, n in self.ledger.owner if pool == self.key}
        unsure = self.ledger.unsure.get(self.key, set())
        assert owned <= held, f"{self.key}: {owned - held} were given and are free"
        assert held - owned <= unsure, f"{self.key}: {held - owned - unsure} are nobody's"


class Overlay:
    """One overlay network: its keys."""

    def __init__(self, ledger, ident, subnet, size=24):
        self.ledger, self.id = ledger, ident
        self.addresses = Bits(ledger, f"{NETWORK}/ipam/default/data/GlobalDefault/{subnet}/", size)
        self.count_key = f"{NETWORK}/endpoint_count/{ident}/"
        self.endpoints = f"{NETWORK}/endpoint/{ident}/"
        self.lock = threading.Lock()
        self.known = {}       # endpoint: its index, after what was told
        self.unsure = set()   # endpoints that may be there or not
        self.low = self.high = 0  # what the count may be

    def create(self, store):
        for folder in ("network/", "endpoint_count/"):
            store.directory(f"{NETWORK}/{folder}")
        assert store.cas(f"{NETWORK}/network/{self.id}/", 0, b'{"name":"o"}')
        assert not store.cas(f"{NETWORK}/network/{self.id}/", 0, b'{"name":"p"}')
        assert store.cas(self.count_key, 0, b'{"Count":0}')

    def add(self, store, step):
        """One more, or fewer, endpoint in the count."""
        while True:
            entry = store.get(self.count_key)
            count = json.loads(entry.value)["Count"] + step
            try:
                done = store.cas(self.count_key, entry.index,
                                 json.dumps({"Count": count}).encode())
            except StoreError as e:
                with self.lock:
                    self.low += min(step, 0) if e.maybe else 0
                    self.high += max(step, 0) if e.maybe else 0
                raise
            if done:
                with self.lock:
                    self.low += step
                    self.high += step
                return
            self.ledger.count("cas false")

    def put(self, store, ident):
        try:
            assert store.cas(f"{self.endpoints}{ident}/", 0, b'{"name":"c"}')
        except StoreError as e:
            if e.maybe:
                with self.lock:
                    self.unsure.add(ident)
            raise
        with self.lock:
            self.known[ident] = True

    def remove(self, store, ident):
        entry = store.get(f"{self.endpoints}{ident}/")
        assert entry is not None, f"endpoint {ident} is lost"
        with self.lock:
            del self.known[ident]
            self.unsure.add(ident)
        assert store.delete_cas(f"{self.endpoints}{ident}/", entry.index)
        with self.lock:
            self.unsure.discard(ident)

    def judge(self, store):
        self.addresses.judge(store)
        count = json.loads(store.get(self.count_key).value)["Count"]
        assert self.low <= count <= self.high, (self.low, count, self.high)
        there = {e.key[len(self.endpoints):].rstrip("/")
                 for e in store.read(self.endpoints, "recurse=")} - {""}
        assert set(self.known) <= there, set(self.known) - there
        assert there - set(self.known) <= self.unsure, there - set(self.known) - self.unsure


class Daemon(Registration):
    """A dockerd with networks: also takes addresses, and watches counts of endpoints."""

    idents = itertools.count(1)

    def __init__(self, ledger, agent, name, seed, overlays, vxlan):
        super().__init__(ledger, agent, name, seed, NODES)
        self.overlays, self.vxlan = overlays, vxlan
        self.containers = []  # [(overlay, address, endpoint)]
        self.numbers = []
        self.seen = {}        # overlay: index of the last count that the watch was told
        self.work = self.loop(self.containers_come_and_go, pause=0.2)
        for o in overlays:
            self.loop(lambda store, o=o: self.watch_count(store, o), timeout=60)

    def containers_come_and_go(self, store):
        roll = self.random.random()
        if roll < 0.1:
            if self.numbers:
                self.vxlan.give_back(store, self.numbers.pop())
            else:
                n = self.vxlan.take(store, self.name)
                self.numbers += [n] if n else []
        elif self.containers and roll < 0.1 + 0.15 * len(self.containers):
            self.container_ends(store)
        else:
            self.container_starts(store)
        self.work.wait(self.random.uniform(0.01, 0.12))

    def container_starts(self, store):
        o = self.random.choice(self.overlays)
        address = o.addresses.take(store, self.name)
        if address is None:
            return
        ident = f"{next(self.idents):064x}"
        try:
            o.put(store, ident)
            o.add(store, 1)
        finally:  # as far as it came: nobody else has the address
            self.containers.append((o, address, ident))

    def container_ends(self, store):
        o, address, ident = self.containers.pop(self.random.randrange(len(self.containers)))
        if ident in o.known:
            o.remove(store, ident)
            o.add(store, -1)
        o.addresses.give_back(store, address)

    def watch_count(self, store, o):
        index = 0
        while True:
            entry = store.get(o.count_key, (f"index={index}&" if index else "") + "wait=15000ms")
            assert entry is not None, "the count is lost"
            assert entry.index >= self.seen.get(o, 0), "the count went back"
            self.seen[o] = entry.index
            index = store.conn.index


class Manager(Client):
    """`swarm manage --replication`: waits for the leader's lock, and holds it."""

    def __init__(self, ledger, agent, name, seed):
        super().__init__(ledger, agent, name, seed)
        self.lease, self.leads = None, False
        self.renewer = self.loop(self.renew_session)
        self.locker = self.loop(self.lock, timeout=400)
        self.leader_seen = None
        self.loop(self.learn, timeout=60)

    def renew_session(self, store):
        """Every half TTL; after an error every second."""
        begun = time.monotonic()
        lease = self.ledger.lease(self.name, LEADER)
        lease.session = store.session("release")
        lease.renewed(begun)
        self.lease = lease
        wait = TTL / 2
        while not lease.over:
            self.renewer.wait(wait)
            begun = time.monotonic()
            try:
                lives = store.renew(lease.session)
            except StoreError:
                wait = 1
                continue
            if not lives:
                lease.ended()
                lease.over = True
                return
            lease.renewed(begun)
            wait = TTL / 2

    def lock(self, store):
        lease = self.lease
        if lease is None or lease.over:
            self.locker.wait(0.1)
            return
        session = lease.session
        entry = store.get(LEADER, "wait=15000ms")
        while entry is not None and entry.session not in (None, session):
            entry = store.get(LEADER, f"index={store.conn.index}&wait=15000ms")
            if lease.over:
                return
        asked = time.monotonic()
        try:
            got = store.put(LEADER, self.name.encode(), f"acquire={session}&")
        except StoreError:
            self.locker.wait(0.5)
            return
        if not got:
            entry = store.get(LEADER)
            if entry is None or entry.session is None:
                self.locker.wait(LOCK_RETRY)
            return
        lease.asked, lease.held = asked, time.monotonic()
        with self.ledger.lock:
            self.ledger.holds.append(lease)
        self.leads = True
        try:
            self.hold(store, lease)
        finally:
            self.leads = False

    def hold(self, store, lease):
        """Watches its own lock; returns when it is lost."""
        index = 0
        while True:
            begun = time.monotonic()
            try:
                entry = store.get(LEADER, f"consistent=&index={index}" if index else "consistent=")
            except StoreError:
                index = 0
                self.locker.wait(0.5)
                continue
            ended = time.monotonic()
            index = store.conn.index
            if entry is None or entry.session != lease.session:
                assert not lease.surely(begun, ended), \
                    f"{self.name} lost the lock {lease.until - ended:.1f} s before its time"
                lease.over = True
                self.ledger.count("locks lost in order")
                return

    def learn(self, store):
        """Who leads, by a loop of its own."""
        index = 0
        while True:
            entry = store.get(LEADER, (f"index={index}&" if index else "") + "wait=15000ms")
            self.leader_seen = entry.value.decode() if entry and entry.session else None
            index = store.conn.index


def swarm_list(ledger, agent, folder):
    """`swarm list`: prints the first answer, and leaves while its next query is open."""
    store = Store(agent, 0.05)
    store.conn.timeout = 5.0 * PATIENCE
    store.directory(folder)
    listing = Listing(ledger, agent, "list", 0, folder)
    seen = listing.look(store, "recurse=&wait=15000ms")
    store.conn.sock.settimeout(0.05)
    try:
        store.read(folder, f"index={store.conn.index}&recurse=&wait=15000ms")
    except StoreError:
        pass  # we have left
    store.conn.close()
    return seen


def judge_locks(ledger):
    """No acquire was granted while another's hold was sure."""
    for new in ledger.holds:
        for old in ledger.holds:
            if new is not old and old.surely(new.asked, new.held):
                raise AssertionError(f"{new.name} was given the lock of {old.name}, "
                                     f"{old.until - new.held:.1f} s before its time")
