"""Every recorded case of registrator, with real containers on a real engine.

cases.json (tests/registrator) holds what registrator 7 registered with Consul 1.10. Each case is
played to two at once: an agent that watches the engine itself, and `muster registrator` in front of
an agent that does not. Wanted differences: in the first a paused container, and one kept by
on-success, carry one extra critical check; in both the latter goes with its container.
"""
import json
import os
import re

import pytest

from harness import TOP, Agent, wait_until
from registrator_harness import Registrator

CASES = [c for c in json.load(open(os.path.join(TOP, "tests/registrator/cases.json")))["cases"]
         if not c.get("replay_only")]  # those run as unit tests: tests/unit/test_registrator
OPTIONS = {"-ip": "-docker-ip", "-internal": "-docker-internal", "-explicit": "-docker-explicit",
           "-tags": "-docker-tags", "-useIpFromLabel": "-docker-use-ip-from-label",
           "-deregister": "-docker-deregister"}
EXTRA = "docker-state:"
DEFAULT_CHANGES = ["EXPOSE 80", 'CMD ["/bin/httpd","-f","-p","80","-h","/www"]']


def options_of(case):
    return [w.replace("${IP}", "127.0.0.1") for w in case.get("options") or []]


def start(docker, case):
    for net in case.get("networks") or []:
        docker.docker("network", "create", "--subnet", net["subnet"], net["name"])
    for other in case.get("others") or []:
        run_one(docker, other)
    run_one(docker, case)


def run_one(docker, c):
    image = c.get("image") or {}
    name = image.get("name", "web")
    if image.get("changes"):
        docker.make_image(name, *with_command(image["changes"]))
    elif name != "web":
        docker.docker("tag", "web", name)
    if image.get("by_id"):
        full = docker.docker("inspect", "--format", "{{.Id}}", "web")
        name = full if image["by_id"] != "short" else full.split(":")[1][:12]
    docker.docker("run", "-d", "--name", c["container"], *(c.get("run") or []), name,
                  *(c.get("args") or []))


def with_command(changes):
    return changes if any(x.startswith("CMD") for x in changes) else changes + DEFAULT_CHANGES[1:]


def placeholders(docker, case):
    info = json.loads(docker.docker("inspect", case["container"]))[0]
    net = info["NetworkSettings"]
    cip = net["IPAddress"] or next((n["IPAddress"] for n in net["Networks"].values()
                                    if n["IPAddress"]), "")
    values = {"HOST": "n1", "IP": "127.0.0.1", "CIP": cip, "CID": info["Id"][:12],
              "CID64": info["Id"], "IMAGE": info["Config"]["Image"]}
    for port, bindings in (net["Ports"] or {}).items():
        if bindings:
            values["PORT:" + port] = int(bindings[0]["HostPort"])
    for other in case.get("others") or []:
        oi = json.loads(docker.docker("inspect", other["container"]))[0]
        values["PEERIP"] = oi["NetworkSettings"]["IPAddress"]
    return values


def fill(value, values):
    if isinstance(value, dict):
        return {fill(k, values): fill(v, values) for k, v in value.items()}
    if isinstance(value, list):
        return [fill(v, values) for v in value]
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\$\{([^}]+)\}", value)
    if whole and whole.group(1) in values:
        return values[whole.group(1)]
    return re.sub(r"\$\{([^}]+)\}", lambda m: str(values.get(m.group(1), m.group(0))), value)


def seen(agent):
    """Services with their checks, in the form of the recording."""
    out = {}
    for sid, s in agent.services().items():
        out[sid] = {"ID": sid, "Service": s["Service"], "Port": s["Port"],
                    "Address": s["Address"], "Tags": sorted(s["Tags"] or []),
                    "Meta": s.get("Meta") or {}, "Checks": {}}
    for cid, c in agent.get("/v1/agent/checks").json.items():
        if c["ServiceID"] in out:
            out[c["ServiceID"]]["Checks"][cid] = {k: c[k] for k in ("Name", "Status", "Type")}
    return out


def wanted(services, values):
    out = {}
    for s in fill(services, values):
        checks = {c["CheckID"]: {k: c.get(k, "") for k in ("Name", "Status", "Type")}
                  for c in s.get("Checks") or []}
        out[s["ID"]] = {"ID": s["ID"], "Service": s["Service"], "Port": s.get("Port", 0),
                        "Address": s.get("Address", ""), "Tags": sorted(s.get("Tags") or []),
                        "Meta": s.get("Meta") or {}, "Checks": checks}
    return out


def compare(got, want, extra_allowed):
    """Differences as a list of sentences."""
    bad = []
    if set(got) != set(want):
        return [f"ids {sorted(got)} instead of {sorted(want)}"]
    extras = 0
    for sid, w in want.items():
        g = got[sid]
        for key in ("Service", "Port", "Address", "Tags", "Meta"):
            if g[key] != w[key]:
                bad.append(f"{sid}.{key}: {g[key]!r} instead of {w[key]!r}")
        mine = {k: v for k, v in g["Checks"].items() if not k.startswith(EXTRA)}
        extras += len(g["Checks"]) - len(mine)
        if set(mine) != set(w["Checks"]):
            bad.append(f"{sid}: checks {sorted(mine)} instead of {sorted(w['Checks'])}")
            continue
        for cid, c in w["Checks"].items():
            for key in ("Name", "Type", "Status"):
                if key == "Status" and c["Type"] not in ("ttl", ""):
                    continue  # recorded before its first run, maybe
                if mine[cid][key] != c[key]:
                    bad.append(f"{cid}.{key}: {mine[cid][key]!r} instead of {c[key]!r}")
    if extras and not extra_allowed:
        bad.append(f"{extras} checks {EXTRA}* where none was wanted")
    if extra_allowed and not extras:
        bad.append(f"no check {EXTRA}*")
    return bad


def matches(agent, want, extra_allowed):
    state = {"bad": None}

    def same():
        state["bad"] = compare(seen(agent), want, extra_allowed)
        return not state["bad"]
    try:
        wait_until("as recorded", same, 8)
    except AssertionError:
        raise AssertionError("\n".join(state["bad"])) from None


def do_step(docker, step, name):
    verb = step[0]
    if verb == "stop":
        docker.docker("stop", "-t", "0", name)
    elif verb == "exit":
        docker.docker("exec", name, "sh", "-c", f"echo {step[1]} > /tmp/exit")
        wait_until("it has ended", lambda: docker.docker(
            "inspect", "--format", "{{.State.Running}}", name) == "false", 15)
    else:
        docker.docker(verb, name)


class Pair:
    """An agent that watches the engine; an agent that does not, with a registrator for it."""

    def __init__(self, folder, options, engine):
        flags = [OPTIONS.get(w, w) for w in options]
        self.watching = Agent(folder, *flags, docker=engine.url).start()
        self.told = Agent(folder).start()
        self.registrator = Registrator(folder, f"consul://127.0.0.1:{self.told.http_port}",
                                       *options, docker=engine.url).start()

    def agents(self):
        return self.watching, self.told

    def both(self, what, condition, seconds=10.0):
        for agent in self.agents():
            wait_until(what, lambda: condition(agent), seconds)

    def stop(self):
        return [self.registrator.stop(), self.told.stop(), self.watching.stop()]


@pytest.fixture(scope="module")
def shared(engine, tmp_path_factory):
    """One pair per set of options, kept for all cases that have them."""
    made = {}
    folder = str(tmp_path_factory.mktemp("registrator"))

    def get(options):
        key = tuple(options)
        if key not in made:
            made[key] = Pair(folder, options, engine)
        return made[key]

    yield get
    codes = [code for pair in made.values() for code in pair.stop()]
    assert all(c == 0 for c in codes), codes


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_case(docker, shared, case):
    pair = shared(options_of(case))
    pair.both("nothing from before", lambda a: a.services() == {})
    start(docker, case)
    values = placeholders(docker, case)
    # the case's peers are services too; only those of the container itself are compared
    others = {f"n1:{o['container']}:" for o in case.get("others") or []}
    for agent in pair.agents():
        agent.services = without(agent.services, others)
    try:
        play(docker, pair, case, values)
    finally:
        for agent in pair.agents():
            del agent.services


def without(services, others):
    return lambda: {k: v for k, v in services().items()
                    if not any(k.startswith(o) for o in others)}


def play(docker, pair, case, values):
    want = wanted(case["expect"]["services"], values)
    if not want:  # nothing is registered: once a later container is, this one was seen
        docker.docker("run", "-d", "--name", "marker", "-p", "19999:80", "-e",
                      "SERVICE_NAME=marker", "-e", "SERVICE_ID=marker", "web")
        pair.both("the later one", lambda a: "marker" in a.services())
        docker.docker("rm", "-f", "marker")
        pair.both("gone", lambda a: "marker" not in a.services())
    for agent in pair.agents():
        matches(agent, want, False)
    for step, after in zip(case.get("steps") or [], case["expect"].get("after") or []):
        do_step(docker, step, case["container"])
        if step[0] == "start":
            values = placeholders(docker, case)
        extra = step[0] == "pause" or (step[0] == "exit" and step[1] != "0" and bool(after))
        want = wanted(after if isinstance(after, list) else after["services"], values)
        matches(pair.watching, want, extra)
        matches(pair.told, want, False)
    docker.docker("rm", "-f", case["container"])
    left = fill(case["expect"].get("left") or [], values)
    if case["id"] == "exit-1-on-success":
        left = []  # wanted: it goes with its container
    pair.both(f"left: {left}", lambda a: sorted(a.services()) == sorted(left))
