"""Real serf agents in our pool, and we in theirs: each joins the other, both list the same members,
see deaths and leaves, exchange events; and serf finds nothing to complain of."""
import base64
import re
import time

import pytest

from harness import PATIENCE, wait_until
from pool_harness import ALIVE, FAILED, LEFT, Pool, loopback, new_key

STATUS = {"alive": ALIVE, "failed": FAILED, "left": LEFT}

# What serf says of serf as well: of its own end by SIGTERM; where somebody comes back under the
# name of the dead (it must refute what the pool holds of it); when a pool without keys
# is asked for its keys.
UNAVOIDABLE = (r"Shutdown without a Leave", r"Refuting a (suspect|dead) message \(from: ",
               r"Keyring is empty \(encryption not enabled\)")


class Mixed:
    """s1 <- m1 <- s2 <- m2: each joined by the next, so both kinds join both."""

    def __init__(self, folder, first, key):
        self.pool = Pool(folder)
        self.key = key
        flags = ["-retry-interval", "1s"] + (["-encrypt", key] if key else [])
        at = [loopback(first + i) for i in range(4)]
        self.s1 = self.pool.add_serf("s1", at[0], key=key, tags=["role=web", "zone=a"])
        self.m1 = self.pool.add(*flags, i=0, name="m1", address=at[1], join=[at[0]])
        self.s2 = self.pool.add_serf("s2", at[2], key=key, tags=["zone=b"], join=[at[1]])
        self.m2 = self.pool.add(*flags, i=1, name="m2", address=at[3], join=[at[2]])
        self.all = [self.s1, self.m1, self.s2, self.m2]

    def start(self):
        for agent in self.all:
            agent.start()
        self.wait_complete()
        return self

    def wait_seen(self, name, status, seconds, by=None):
        for agent in by or [a for a in self.all if a.name != name]:
            want = STATUS[status] if agent in self.pool.agents else status
            wait_until(f"{agent.name}: {name} is {status}", lambda: agent.sees(name, want), seconds,
                       0.05)

    def wait_complete(self, seconds=15):
        for agent in self.all:
            self.wait_seen(agent.name, "alive", seconds)


@pytest.fixture(scope="module", params=["plain", "encrypted"])
def mixed(request, tmp_path_factory):
    key = new_key() if request.param == "encrypted" else None
    m = Mixed(tmp_path_factory.mktemp(request.param), 71 if key else 61, key)
    try:
        yield m.start()
    finally:
        m.pool.stop()


def test_both_list_the_same(mixed):
    theirs = mixed.s1.listed()
    ours = {m["Name"]: m for m in mixed.m1.get("/v1/agent/members").json}
    assert set(theirs) == set(ours) == {"s1", "s2", "m1", "m2"}
    for name, m in theirs.items():
        assert m["addr"] == f"{ours[name]['Addr']}:{ours[name]['Port']}"
        assert STATUS[m["status"]] == ours[name]["Status"]
        assert m["tags"] == ours[name]["Tags"]
        assert m["protocol"]["version"] == ours[name]["DelegateCur"]
    assert theirs["s1"]["tags"] == {"role": "web", "zone": "a"}
    assert theirs["m1"]["tags"]["role"] == "consul" and theirs["m2"]["tags"]["role"] == "node"
    assert theirs["m2"]["tags"]["id"] == mixed.m2.id()
    out = mixed.m2.cli("members")
    rows = {line.split()[0]: line.split()[1:3] for line in out.stdout.splitlines()[1:]}
    assert rows == {n: [m["addr"], m["status"]] for n, m in theirs.items()}
    assert mixed.s2.listed() == theirs


def test_the_catalog_travels_in_the_mixed_pool(mixed):
    m1, m2 = mixed.m1, mixed.m2
    for i in range(20):
        m1.register(f"mix{i}", 1000 + i)
    for i in range(20):
        wait_until("seen", lambda: m2.addresses(f"mix{i}") == [m1.address], 2)
    for i in range(20):
        m1.deregister(f"mix{i}")
    wait_until("gone", lambda: set(m2.get("/v1/catalog/services").json) == {"consul"}, 2)


def test_user_events_go_both_ways(mixed):
    def seen(a, name):
        return [base64.b64decode(e["Payload"] or "").decode()
                for e in a.get(f"/v1/event/list?name={name}").json]
    mixed.s1.run("event", "deploy", "v7")
    for a in (mixed.m1, mixed.m2):
        wait_until(f"{a.name} has it", lambda: seen(a, "deploy"), 5)
    assert mixed.m2.put("/v1/event/fire/reload", "now").status == 200
    for s in (mixed.s1, mixed.s2):
        wait_until(f"{s.name} has it",
                   lambda: re.search(r"Received event: user-event: \S*reload", s.log()), 10)
    time.sleep(1.0 * PATIENCE)  # several rounds of gossip: no second copy
    assert seen(mixed.m1, "deploy") == ["v7"]


def test_serf_reaches_us_and_knows_how_far_we_are(mixed):
    """Its own query (every member must answer) and the coordinates of our acks."""
    out = mixed.s1.run("reachability")
    assert "Successfully contacted all live nodes" in out, out
    wait_until("a distance", lambda: "Estimated" in mixed.s1.run("rtt", "m1", "s1", check=False),
               15, 0.2)


def test_keys_are_managed_from_both_sides(mixed):
    if not mixed.key:  # no ring: both say so
        assert mixed.m1.cli("keyring", "-list").returncode != 0
        return
    old, new, newest = mixed.key, new_key(), new_key()
    assert re.search(re.escape(old) + r"\s+\[4/4\]", mixed.s1.run("keys", "-list"))
    mixed.s1.run("keys", f"-install={new}")
    mixed.s1.run("keys", f"-use={new}")
    out = mixed.m2.cli("keyring", "-list")
    assert new in out.stdout and "[4/4]" in out.stdout, out.stdout + out.stderr
    mixed.s2.run("keys", f"-remove={old}")
    for words in (f"-install={newest}", f"-use={newest}", f"-remove={new}"):
        out = mixed.m1.cli("keyring", words)
        assert out.returncode == 0, out.stdout + out.stderr
    listed = mixed.s1.run("keys", "-list")
    assert re.search(re.escape(newest) + r"\s+\[4/4\]", listed)
    assert old not in listed and new not in listed
    mixed.wait_complete()
    # -encrypt is what who starts again has: put back for the tests that follow
    mixed.m1.cli("keyring", f"-install={old}")
    mixed.m1.cli("keyring", f"-use={old}")
    assert mixed.m1.cli("keyring", f"-remove={newest}").returncode == 0


def test_a_killed_serf_is_seen_by_us(mixed):
    mixed.s2.kill()
    mixed.wait_seen("s2", "failed", 20)
    mixed.s2.start()
    mixed.wait_seen("s2", "alive", 10)


def test_a_killed_muster_is_seen_by_serf(mixed):
    mixed.m2.kill()
    mixed.wait_seen("m2", "failed", 20)
    mixed.m2.start()
    mixed.wait_seen("m2", "alive", 10)


def test_a_serf_that_leaves_has_left(mixed):
    assert mixed.s2.leave() == 0
    mixed.wait_seen("s2", "left", 10)
    mixed.s2.start()
    mixed.wait_complete()


def test_a_muster_that_leaves_has_left(mixed):
    out = mixed.m2.cli("leave")
    assert out.returncode == 0, out.stderr
    mixed.m2.left()
    mixed.wait_seen("m2", "left", 10)
    mixed.m2.start()
    mixed.wait_complete()


def test_force_leave_crosses_over(mixed):
    """serf's of a killed muster; ours of a killed serf."""
    mixed.m2.kill()
    mixed.wait_seen("m2", "failed", 20)
    mixed.s2.run("force-leave", "m2")
    mixed.wait_seen("m2", "left", 10)
    mixed.m2.start()
    mixed.wait_complete()


def test_serf_had_nothing_to_complain_of(mixed):
    """Of all that was done above; last in the file."""
    for s in (mixed.s1, mixed.s2):
        assert s.complaints(*UNAVOIDABLE) == [], s.name
    for m in (mixed.m1, mixed.m2):
        assert [line for line in m.log().splitlines()
                if re.search(r"Z (warn|error) +gossip: ", line)] == [], m.name
