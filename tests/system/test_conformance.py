"""What real Consul answered, asked of this agent: tests/conformance, by its own replayer.

One agent per area, all areas side by side. `later.txt` names the cases that belong to parts of
muster that do not exist yet; each must fail today, so that the list cannot outlive its reason.
"""
import concurrent.futures
import fnmatch
import glob
import json
import os
import re
import subprocess
import sys

import pytest

from harness import TOP, Agent

CORPUS = os.path.join(TOP, "tests", "conformance")


def load():
    areas = {}
    for path in sorted(glob.glob(CORPUS + "/http/*.json") + glob.glob(CORPUS + "/dns/*.json")):
        with open(path) as f:
            d = json.load(f)
        kind = os.path.basename(os.path.dirname(path))
        areas[f"{kind}-{os.path.basename(path)[:-5]}"] = {
            "path": path, "profile": d["profile"], "area": d["area"],
            "cases": {c["name"]: c for c in d["cases"]}}
    return areas


def load_later():
    """[(pattern, which part brings it)]"""
    out = []
    with open(CORPUS + "/later.txt") as f:
        for line in f:
            line = line.split("#")[0].strip()
            if line:
                pattern, part = line.split(None, 1)
                out.append((pattern, part))
    return out


AREAS, LATER = load(), load_later()


def later(area, case):
    return any(fnmatch.fnmatchcase(f"{area}/{case}", p) for p, _ in LATER)


def replay(key, folder):
    a = AREAS[key]
    names = [n for n, c in a["cases"].items() if "very-slow" not in c.get("needs", [])]
    if all(later(key, n) for n in names):
        return {"ran": 0, "failed": set(), "later": names, "text": ""}
    agent = Agent(folder, "-config-file", f"{CORPUS}/agent-config/{a['profile']}.json",
                  "-server", "-bootstrap", "-bind", "127.0.0.1", "-advertise", "127.0.0.1",
                  "-data-dir", os.path.join(folder, key), dev=False)
    agent.start()
    try:
        out = subprocess.run(
            [sys.executable, CORPUS + "/replay", "--http", f"127.0.0.1:{agent.http_port}", "--dns",
             f"127.0.0.1:{agent.dns_port}", "--node", agent.node, "--profile", a["profile"],
             "--skip", "very-slow", "-v", a["path"]], capture_output=True, text=True, timeout=900)
        assert agent.proc.poll() is None, "the agent ended:\n" + agent.log()[-5000:]
    finally:
        code = agent.stop()
    assert code == 0, agent.log()[-5000:]
    failed = set(re.findall(r"(?m)^FAIL (\S+) step", out.stdout))
    counts = re.search(r"(\d+) passed, (\d+) failed", out.stdout)
    assert counts, out.stdout + out.stderr
    assert int(counts.group(2)) == len(failed), out.stdout
    return {"ran": len(names), "failed": failed, "text": out.stdout,
            "later": [n for n in names if later(key, n)]}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("conformance"))
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        jobs = {key: pool.submit(replay, key, folder) for key in AREAS}
    yield jobs
    done = [j.result() for j in jobs.values() if j.exception() is None]
    passed = sum(r["ran"] - len(r["failed"]) for r in done)
    print(f"\nconformance cases: {passed} passed, "
          f"{sum(len(r['later']) for r in done)} belong to later parts")


@pytest.mark.parametrize("key", AREAS)
def test_area(results, key):
    r = results[key].result()
    wrong = sorted(n for n in r["failed"] if not later(key, n))
    if wrong:
        lines = [l for l in r["text"].splitlines() if any(n in l for n in wrong)]
        raise AssertionError(f"{len(wrong)} cases differ: {' '.join(wrong)}\n" + "\n".join(lines))
    stale = sorted(n for n in r["later"] if r["ran"] and n not in r["failed"])
    assert not stale, f"these pass now, take them out of later.txt: {' '.join(stale)}"
