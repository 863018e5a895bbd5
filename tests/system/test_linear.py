"""Keys never contradict themselves: five clients with reads, writes, compare-and-set, deletes and
locks while servers are killed, stopped, restarted and cut off; tests/linear judges what they saw.

SOAK=1: 50 runs of 30 s on three servers.
"""
import os
import time

import pytest

from harness import PATIENCE, wait_until
from linear_harness import Nemesis, Run, judge, writable
from net_harness import Network
from pool_harness import SOAK, Pool

SEED = int(os.environ.get("SEED", "1"))


def check(run, folder, nemesis=None):
    path = os.path.join(str(folder), "history")
    lines = run.finish()
    code, words = judge(lines, path)
    story = "\n".join(nemesis.told) if nemesis else ""
    print(f"{words.strip().splitlines()[-1]} {run.sums()}\n{story}")
    if code:
        keep = os.environ.get("HISTORY_KEEP")
        if keep:
            os.makedirs(keep, exist_ok=True)
            with open(os.path.join(keep, f"history-{time.time_ns()}"), "w") as f:
                f.write("\n".join(lines) + "\n")
    assert code == 0, f"{words}\n{story}"
    return run.sums()


def everything_was_asked(sums, at_least):
    """Enough for a run to say something; on a machine that is busy with other things, less of it."""
    assert sums["ok"] >= at_least / PATIENCE, sorted(sums.items())
    if sums["ok"] > 1500:
        for verb in ("get", "put", "cas", "delete", "delete-cas", "acquire", "release", "end"):
            assert sums.get(verb, 0) > 0, sums


def test_in_memory(agents, tmp_path):
    """One server that keeps all in memory; and what was seen of it, with one answer changed."""
    a = agents()
    a.namespace = None
    run = Run([a], SEED, pause=0.002)
    run.run(3, least=1500)
    everything_was_asked(check(run, tmp_path), 300)
    lines = [line for c in run.clients for line in c.lines]
    for plant in (stale_read, lost_write, second_cas, second_session):
        code, words = judge(plant(lines), os.path.join(str(tmp_path), "planted"))
        assert code == 1 and "no order explains the answers" in words, (plant.__name__, words)
        print(plant.__name__, "\n".join(words.splitlines()[-16:]), sep=": ", end="\n\n")


# One answer changed, in a history that was right. Operations as lists of words.

def by_key(lines):
    """[(place, words)] of each key, by the invoke."""
    out = {}
    for place, line in enumerate(lines):
        words = line.split()
        out.setdefault(words[1], []).append((place, words))
    return {k: sorted(v, key=lambda x: int(x[1][2])) for k, v in out.items() if k != "*"}


def changed(lines, place, words):
    return [*lines[:place], *([" ".join(words)] if words else []), *lines[place + 1:]]


def stale_read(lines):
    """A get is told what another was told before a write that had returned."""
    for ops in by_key(lines).values():
        gets = [(p, w) for p, w in ops if w[4] == "get" and w[-1] != "none"]
        for (_, old), (_, new), (place, late) in zip(gets, gets[1:], gets[2:]):
            if old[6] != new[6] and int(new[3]) < int(late[2]):
                return changed(lines, place, late[:6] + old[6:])
    raise AssertionError("no place for it")


def lost_write(lines):
    """The first write of a key, read later, was never asked for."""
    for ops in by_key(lines).values():
        for place, words in ops:
            if words[4] == "put" and any(w[4] == "get" and w[6] == words[5] for _, w in ops):
                return changed(lines, place, None)
    raise AssertionError("no place for it")


def second_cas(lines):
    """A compare-and-set that lost to another is told that it won. Everybody knew before that its index
    is past: one get was told of it, a later one of another, both before the question."""
    for ops in by_key(lines).values():
        gets = [w for _, w in ops if w[4] == "get" and w[-1] != "none"]
        for place, words in ops:
            if words[4] != "cas" or words[-1] != "no" or words[5] == "0":
                continue
            told = [int(w[3]) for w in gets if w[7] == words[5]]
            if any(w[7] != words[5] and int(w[3]) < int(words[2]) and min(told) < int(w[2])
                   for w in gets if told):
                return changed(lines, place, [*words[:-1], "yes"])
    raise AssertionError("no place for it")


def second_session(lines):
    """A lock that somebody else holds is given. Between a get before and one behind the key had not
    changed, so it was not: a lock that is given sets the key's index."""
    for ops in by_key(lines).values():
        gets = [w for _, w in ops if w[4] == "get" and w[-1] != "none"]
        for place, words in ops:
            if words[4] == "acquire" and words[-1] == "no" and (
                    {w[7] for w in gets if int(w[3]) < int(words[2])} &
                    {w[7] for w in gets if int(w[2]) > int(words[3])}):
                return changed(lines, place, [*words[:-1], "yes"])
    raise AssertionError("no place for it")


def test_one_server_that_is_killed(tmp_path):
    pool = Pool(tmp_path)
    try:
        a = pool.add("-server", "-bootstrap", server=False, bind=True)
        a.start()
        wait_until("writes are taken", lambda: writable(a), 20)
        nemesis = Nemesis(pool, [a], SEED, ["kill", "pause", "kill", "restart"], gap=(0.3, 1.5))
        run = Run([a], SEED, pause=0.002)
        run.run(30 if SOAK else 5, nemesis)
        wait_until("writes are taken", lambda: writable(a), 20)
        everything_was_asked(check(run, tmp_path, nemesis), 200)
        assert len(nemesis.told) >= 2
    finally:
        pool.stop()


FAULTS = ["kill", "kill_all", "pause", "restart", "isolate", "one_way", "ring", "weather"]


@pytest.mark.parametrize("seed", range(SEED, SEED + (50 if SOAK else 1)))
def test_three_servers(tmp_path, seed):
    """And an agent that is no server and asks them."""
    net = Network(4, seed)
    pool = Pool(tmp_path, net)
    try:
        net.start()
        for i in range(4):
            flags = ["-server", "-bootstrap-expect", "3"] if i < 3 else []
            pool.add("-retry-interval", "1s", *flags, server=False)
        servers = pool.agents[:3]
        for a in pool.agents:
            a.start(wait=False)
        pool.wait_complete()
        for a in pool.agents:
            wait_until(f"{a.name} takes writes", lambda: writable(a), 20)
        nemesis = Nemesis(pool, servers, seed, FAULTS)
        run = Run(pool.agents, seed, pause=0.002)
        run.run(30 if SOAK else 20, nemesis)
        net.heal()
        for a in pool.agents:
            wait_until(f"{a.name} takes writes again", lambda: writable(a), 30)
        everything_was_asked(check(run, tmp_path, nemesis), 200)
        assert len(nemesis.told) >= 3
    finally:
        try:
            pool.stop()
        finally:
            net.stop()
