"""The commands for keys, sessions, locks, servers and snapshots: what they print, what they write,
how they end.
"""
import base64
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import MUSTER, WRAP, end_process, free_port, wait_until
from test_cli import bad, good, rows, run
from test_cluster import cluster, put_soon, raft_log  # noqa: F401 (a fixture)

U64 = 2 ** 64 - 1
LOCK_FLAGS, SEMAPHORE_FLAGS = 0x2ddccbc058a50c18, 0xe0f69a2baa414de0
ASKING = {  # with words that are enough
    "kv get": ["a"], "kv list": [], "kv put": ["a", "b"], "kv delete": ["a"], "kv export": [],
    "kv import": ["[{\"key\": \"a\"}]"], "session list": [], "session node": ["n1"],
    "session info": ["x"], "session create": [], "session renew": ["x"],
    "session destroy": ["x"], "operator raft list-peers": [],
    "operator raft remove-peer": ["-id", "1"], "operator autopilot get-config": [],
    "operator autopilot set-config": [], "lock": ["a", "true"],
}


def kv(agent, *words, **kw):
    return good("kv", *flags_behind(words, agent), **kw)


def flags_behind(words, agent):
    """The agent's address behind the words that name the command."""
    return [words[0], "-http-addr", f"127.0.0.1:{agent.http_port}", *words[1:]]


def kv_bad(agent, *words, code=1, **kw):
    return bad("kv", *flags_behind(words, agent), code=code, **kw)


def said(agent, *words, **kw):
    """Of a command with words of its own in front, as `operator raft list-peers`."""
    return good(*words, "-http-addr", f"127.0.0.1:{agent.http_port}", **kw)


def at(agent, *words, timeout=60):
    """What somebody on the host of an agent of a pool types."""
    return run(*words, env={"MUSTER_HTTP_ADDR": f"{agent.address}:{agent.http_port}"},
               timeout=timeout)


def stdin(text, *words):
    return subprocess.run([*WRAP, MUSTER, *words], input=text, capture_output=True, timeout=60)


@pytest.mark.parametrize("command", ASKING)
def test_nobody_there_is_one_clear_line(command):
    port = free_port()
    out = run(*command.split(), "-http-addr", f"127.0.0.1:{port}", *ASKING[command])
    assert out.returncode == 1 and out.stdout == "", out
    assert f"127.0.0.1:{port}" in out.stderr and "Traceback" not in out.stderr
    assert len(out.stderr.splitlines()) == 1, out.stderr


@pytest.mark.parametrize("command", [*ASKING, "snapshot save", "snapshot restore",
                                     "snapshot inspect"])
def test_help_and_wrong_words(command):
    words = command.split()
    text = good(*words, "--help")
    assert text.startswith(f"Usage: muster {command}") and "Exit status: 0" in \
        " ".join(text.split())
    assert text == good("help", *words)
    assert all(len(line) <= 100 for line in text.splitlines())
    err = bad(*words, "-no-such-flag")
    assert len(err.splitlines()) == 1 and "no flag -no-such-flag" in err
    if command != "lock":  # takes any number
        assert len(bad(*words, "a", "b", "c").splitlines()) == 1


def test_a_group_lists_its_commands():
    text = good("kv", "--help")
    assert [line.split()[0] for line in text.splitlines() if line.startswith("  ")
            and line[2] != " "] == ["delete", "export", "get", "import", "list", "put"]
    assert text == good("help", "kv") == bad("kv")
    assert "raft list-peers" in good("operator", "--help")
    assert "list-peers" in good("operator", "raft", "--help")
    assert 'unknown command "kv gett"' in bad("kv", "gett")
    assert 'unknown command "operator raft x"' in bad("operator", "raft", "x")
    for group in ("kv", "session", "operator", "snapshot", "lock"):
        assert re.search(rf"^  {group} ", good("help"), re.M)


# --- keys ---

def test_a_key_is_put_shown_and_deleted(agent):
    assert kv(agent, "put", "a/b", "5") == "Success! Data written to: a/b\n"
    assert kv(agent, "get", "a/b") == "5\n"
    assert kv(agent, "get", "/a/b") == "5\n"
    assert kv(agent, "put", "-flags", str(U64), "a/b", "5")
    entry = agent.get("/v1/kv/a/b").json[0]
    assert entry["Flags"] == U64
    assert kv(agent, "get", "-detailed", "a/b") == (
        f"CreateIndex      {entry['CreateIndex']}\nFlags            {U64}\n"
        "Key              a/b\nLockIndex        0\n"
        f"ModifyIndex      {entry['ModifyIndex']}\nSession          -\nValue            5\n")
    assert kv(agent, "delete", "a/b") == "Success! Deleted key: a/b\n"
    assert kv_bad(agent, "get", "a/b") == "Error! No key exists at: a/b\n"
    assert kv(agent, "delete", "a/b") == "Success! Deleted key: a/b\n"


def test_values_come_from_anywhere_and_hold_any_bytes(agent, tmp_path):
    every = bytes(range(256)) * 3
    path = tmp_path / "value"
    path.write_bytes(every)
    addr = ["-http-addr", f"127.0.0.1:{agent.http_port}"]

    def stored(key):
        return base64.b64decode(agent.get(f"/v1/kv/{key}").json[0]["Value"] or "")

    kv(agent, "put", "file", f"@{path}")
    assert stored("file") == every
    assert stdin(every, "kv", "put", *addr, "stdin", "-").returncode == 0
    assert stored("stdin") == every
    kv(agent, "put", "-base64", "b64", base64.b64encode(every).decode())
    assert stored("b64") == every
    kv(agent, "put", "dash", "-5")  # a value, not a flag
    assert stored("dash") == b"-5"
    kv(agent, "put", "none")
    kv(agent, "put", "empty", "")
    assert stored("none") == stored("empty") == b""
    raw = subprocess.run([*WRAP, MUSTER, "kv", "get", *addr, "file"], capture_output=True,
                         timeout=60)
    assert raw.stdout == every + b"\n"
    assert kv(agent, "get", "-base64", "file") == base64.b64encode(every).decode() + "\n"
    assert "No such file" in kv_bad(agent, "put", "x", "@/no/such/file")
    assert "no base 64" in kv_bad(agent, "put", "-base64", "x", "%%%")
    assert agent.get("/v1/kv/x").status == 404


def test_keys_are_listed(agent):
    for key in ("web/a/1", "web/a/2", "web/b", "web", "other x%/\u00fc"):
        kv(agent, "put", key, key.upper())
    assert kv(agent, "get", "-recurse", "web/") == \
        "web/a/1:WEB/A/1\nweb/a/2:WEB/A/2\nweb/b:WEB/B\n"
    assert kv(agent, "get", "-keys", "web") == "web\nweb/\n"
    assert kv(agent, "get", "-keys", "-separator=", "web/") == "web/a/1\nweb/a/2\nweb/b\n"
    assert kv(agent, "list") == "other x%/\u00fc\nweb\nweb/a/1\nweb/a/2\nweb/b\n"
    assert kv(agent, "list", "-separator", "/", "web/") == "web/a/\nweb/b\n"
    assert kv(agent, "get", "other x%/\u00fc") == "OTHER X%/\u00dc\n"
    assert kv(agent, "get", "-recurse", "-stale", "none") == ""
    detailed = kv(agent, "get", "-recurse", "-detailed", "web/a").split("\n\n")
    assert len(detailed) == 2 and "Key              web/a/2" in detailed[1]
    assert kv(agent, "delete", "-recurse", "web") == "Success! Deleted keys with prefix: web\n"
    assert kv(agent, "list") == "other x%/\u00fc\n"
    assert "cannot have //" in kv_bad(agent, "put", "a//b", "1")


def test_conditions(agent):
    kv(agent, "put", "-cas", "-modify-index=0", "k", "1")  # only if there is none
    assert kv_bad(agent, "put", "-cas", "-modify-index=0", "k", "2") == \
        "Error! Did not write to k: CAS failed\n"
    index = agent.get("/v1/kv/k").json[0]["ModifyIndex"]
    assert "CAS failed" in kv_bad(agent, "delete", "-cas", f"-modify-index={index + 1}", "k")
    kv(agent, "put", "-cas", f"-modify-index={index}", "k", "2")
    index = agent.get("/v1/kv/k").json[0]["ModifyIndex"]
    kv(agent, "delete", "-cas", f"-modify-index={index}", "k")
    for words in (["put", "-cas", "k", "1"], ["put", "-acquire", "k", "1"],
                  ["put", "-cas", "-modify-index=1", "-acquire", "-session=x", "k", "1"],
                  ["put", "-flags=18446744073709551616", "k"], ["put", "-flags=-1", "k"],
                  ["delete", "-cas", "k"], ["delete", "-modify-index=3", "k"],
                  ["delete", "-cas", "-recurse", "-modify-index=3", "k"], ["delete"], ["get"],
                  ["put", "/k", "1"], ["put", ""]):
        assert len(kv_bad(agent, *words).splitlines()) == 1, words
    assert kv(agent, "list") == ""


def test_a_lock_by_hand(agent):
    one = said(agent, "session", "create", "-ttl", "30s").strip()
    other = said(agent, "session", "create", "-ttl", "30s").strip()
    assert kv(agent, "put", "-acquire", "-session", one, "l", "x") == \
        "Success! Lock acquired on: l\n"
    assert kv_bad(agent, "put", "-acquire", "-session", other, "l") == \
        "Error! Did not acquire lock\n"
    assert f"Session          {one}\n" in kv(agent, "get", "-detailed", "l")
    assert kv_bad(agent, "put", "-release", "-session", other, "l") == \
        "Error! Did not release lock\n"
    assert kv(agent, "put", "-release", "-session", one, "l") == \
        "Success! Lock released on: l\n"


def test_export_and_import_are_consuls_format(agent, tmp_path):
    assert kv(agent, "export") == "[]\n"
    kv(agent, "put", "-flags", str(U64), "a/<b>", "hello")
    kv(agent, "put", "a/c")
    kv(agent, "put", "z", "1")
    text = kv(agent, "export", "a/")
    assert text == ('[\n\t{\n\t\t"key": "a/\\u003cb\\u003e",\n\t\t"flags": 18446744073709551615,\n'
                    '\t\t"value": "aGVsbG8="\n\t},\n\t{\n\t\t"key": "a/c",\n\t\t"flags": 0,\n'
                    '\t\t"value": ""\n\t}\n]\n')
    whole = kv(agent, "export")
    kv(agent, "delete", "-recurse")
    path = tmp_path / "keys.json"
    path.write_text(whole)
    assert kv(agent, "import", f"@{path}") == \
        "Imported: a/<b>\nImported: a/c\nImported: z\n"
    assert kv(agent, "export") == whole
    # what an older Consul, or somebody's own program, has written
    kv(agent, "import", '[{"Key": "n", "Flags": 7, "Value": "MQ==", "Namespace": ""}]')
    assert kv(agent, "get", "n") == "1\n"
    for text in ("", "{", "{}", '[{"key": "good", "value": ""}, {"key": "x", "value": "%"}]',
                 '[{"key": "good"}, {"flags": 1}]', '[{"key": "good"}, {"key": "x", "flags": -1}]',
                 '[{"key": "good"}, {"key": "x", "flags": 18446744073709551616}]'):
        kv_bad(agent, "import", text)
    assert kv_bad(agent, "get", "good")  # nothing of a broken file is written


# --- sessions ---

def test_sessions(agent):
    ident = said(agent, "session", "create", "-name", "mine", "-ttl=20s", "-lock-delay=1ms",
                 "-behavior", "delete").strip()
    assert agent.get(f"/v1/session/info/{ident}").json[0]["LockDelay"] == 1000000
    table = rows(said(agent, "session", "list"))
    assert table[0] == ["ID", "Name", "Node", "TTL", "Behavior", "LockDelay", "Checks"]
    assert table[1] == [ident, "mine", "n1", "20s", "delete", "1ms", "serfHealth"]
    assert rows(said(agent, "session", "node", "n1")) == table
    assert rows(said(agent, "session", "node", "other")) == table[:1]
    info = said(agent, "session", "info", ident)
    assert f"ID               {ident}\nName             mine\n" in info
    assert "LockDelay        1ms\nNodeChecks       serfHealth\nServiceChecks    -\n" in info
    assert said(agent, "session", "renew", ident) == f"Renewed session {ident}: TTL 20s\n"
    assert said(agent, "session", "destroy", ident) == f"Destroyed session {ident}\n"
    gone = "00000000-0000-0000-0000-00000000abcd"
    for words in (["info", ident], ["renew", ident], ["renew", gone], ["info", "x"]):
        out = run("session", *flags_behind(words, agent))
        assert out.returncode == 1 and len(out.stderr.splitlines()) == 1, out
    bare = said(agent, "session", "create", "-no-checks", "-ttl", "20s").strip()
    assert agent.get(f"/v1/session/info/{bare}").json[0]["NodeChecks"] == []
    for words in (["create", "-no-checks"], ["create", "-no-checks", "-checks=x", "-ttl=20s"],
                  ["create", "-ttl", "5s"], ["create", "-behavior", "x"],
                  ["create", "-checks", "no-such-check"]):
        out = run("session", *flags_behind(words, agent))
        assert out.returncode == 1 and len(out.stderr.splitlines()) == 1, out


# --- locks ---

class Locker:
    """muster lock in the background."""

    def __init__(self, agent, *words, stdin=subprocess.DEVNULL):
        addr = ["-http-addr", f"127.0.0.1:{agent.http_port}"]
        self.proc = subprocess.Popen([*WRAP, MUSTER, "lock", *addr, *words], text=True,
                                     stdin=stdin, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE)
        self.output = None

    def done(self, seconds=20):
        if self.output is None:
            self.output = self.proc.communicate(timeout=seconds * (10 if WRAP else 1))
        return (self.proc.returncode, *self.output)


@pytest.fixture
def lockers():
    made = []

    def make(*args, **kw):
        made.append(Locker(*args, **kw))
        return made[-1]

    yield make
    for one in made:
        end_process(one.proc)


def holder(agent, key):
    r = agent.get(f"/v1/kv/{key}/.lock")
    return r.json[0].get("Session", "") if r.status == 200 else ""


def test_a_program_runs_while_it_holds_the_lock(agent, lockers, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    one = lockers(agent, "-name", "me", "jobs/x",
                  f"echo held=$CONSUL_LOCK_HELD; read line < {gate}; echo over")
    session = wait_until("it is held", lambda: holder(agent, "jobs/x"))
    entry = agent.get("/v1/kv/jobs/x/.lock").json[0]
    assert entry["Flags"] == LOCK_FLAGS
    info = agent.get(f"/v1/session/info/{session}").json[0]
    assert (info["Name"], info["TTL"], info["Behavior"]) == ("me", "15s", "release")
    two = lockers(agent, "-timeout", "300ms", "jobs/x", "echo never")
    assert two.done() == (1, "", "Shutdown triggered or timeout during lock acquisition\n")
    three = lockers(agent, "jobs/x", "echo three")
    wait_until("three waits", lambda: len(agent.get("/v1/session/list").json) == 2)
    gate.write_text("\n")
    assert one.done() == (0, "held=true\nover\n", "")
    began = time.monotonic()
    assert three.done() == (0, "three\n", "")
    assert time.monotonic() - began < 3  # a lock that was given back has no delay
    assert agent.get("/v1/kv/jobs?recurse").status == 404  # nobody needs the key any more
    assert agent.get("/v1/session/list").json == []


def test_how_a_lock_ends(agent, lockers):
    assert lockers(agent, "a", "exit 3").done()[0] == 0
    assert lockers(agent, "-child-exit-code", "a", "exit 3").done()[0] == 2
    assert lockers(agent, "-child-exit-code", "a", "exit 0").done()[0] == 0
    code, out, err = lockers(agent, "-child-exit-code", "-shell=false", "a", "/no/such").done()
    assert code == 2 and "/no/such" in err
    assert lockers(agent, "-shell=false", "a", "echo", "$HOME", "x  y").done()[1] == "$HOME x  y\n"
    passed = lockers(agent, "-pass-stdin", "a", "cat", stdin=subprocess.PIPE)
    passed.proc.stdin.write("to the program")
    assert passed.done()[:2] == (0, "to the program")
    assert lockers(agent, "a", "cat").done()[:2] == (0, "")
    verbose = lockers(agent, "-verbose", "a", "true").done()[1].splitlines()
    assert verbose == ["Setting up lock at path: a/.lock", "Attempting lock acquisition",
                       "Starting handler", "Child terminated, releasing lock",
                       "Cleanup succeeded"]
    for words in (["-n", "0", "a", "true"], ["-n", "x", "a", "true"], ["a"], ["", "true"],
                  ["-timeout", "soon", "a", "true"], ["-timeout=-1s", "a", "true"],
                  ["-monitor-retry=-1", "a", "true"]):
        code, out, err = lockers(agent, *words).done()
        assert code == 1 and len(err.splitlines()) == 1, words


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_the_program_ends_with_the_lock(agent, lockers, tmp_path):
    pids = tmp_path / "pids"
    script = f"sleep 300 & echo $! $$ > {pids}; wait"
    one = lockers(agent, "a", script)
    session = wait_until("it is held", lambda: holder(agent, "a"))
    started = wait_until("it runs", lambda: pids.exists() and pids.read_text().split())
    assert agent.put(f"/v1/session/destroy/{session}").status == 200
    code, out, err = one.done()
    assert code == 1 and "Lock lost" in err
    wait_until("and so has what it started", lambda: not any(alive(p) for p in started))


def test_a_signal_ends_it_in_good_order(agent, lockers, tmp_path):
    said_term = tmp_path / "term"
    one = lockers(agent, "a", f"trap 'echo got > {said_term}; exit 0' TERM; sleep 300 & wait")
    wait_until("it is held", lambda: holder(agent, "a"))
    time.sleep(0.3)  # the shell sets its trap
    one.proc.send_signal(signal.SIGINT)
    assert one.done()[0] == 0
    assert said_term.exists() and agent.get("/v1/kv/a?recurse").status == 404
    # a program that does not listen
    two = lockers(agent, "a", "trap '' TERM; while true; do sleep 1; done")
    wait_until("it is held", lambda: holder(agent, "a"))
    time.sleep(0.3)
    two.proc.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert two.done()[0] == 0
    assert 4.5 < time.monotonic() - began < 9 or WRAP
    # one that still waits
    hold = lockers(agent, "a", "sleep 300")
    wait_until("it is held", lambda: holder(agent, "a"))
    three = lockers(agent, "a", "true")
    wait_until("it waits", lambda: len(agent.get("/v1/session/list").json) == 2)
    three.proc.send_signal(signal.SIGTERM)
    assert three.done()[0] == 1
    assert len(agent.get("/v1/session/list").json) == 1
    hold.proc.send_signal(signal.SIGTERM)
    assert hold.done()[0] == 0


def test_a_killed_lock_takes_its_program_along(agent, lockers, tmp_path):
    pid = tmp_path / "pid"
    one = lockers(agent, "a", f"echo $$ > {pid}; exec sleep 300")
    wait_until("it runs", lambda: pid.exists() and pid.read_text())
    one.proc.kill()
    wait_until("the program has gone", lambda: not alive(pid.read_text().strip()))


def test_an_agent_that_goes_away_is_put_up_with_for_a_while(agents, lockers):
    a = agents()
    one = lockers(a, "-monitor-retry", "2", "a", "sleep 300")
    wait_until("it is held", lambda: holder(a, "a"))
    time.sleep(0.2)  # it has begun to watch
    a.proc.send_signal(signal.SIGKILL)
    began = time.monotonic()
    code, out, err = one.done()
    assert code == 1 and "Lock lost" in err and "does not answer" in err
    assert 1.5 < time.monotonic() - began < 8 or WRAP
    a.proc.wait()
    a.exit_code = 0


def test_a_semaphore_has_so_many_holders(agent, lockers, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    wait = f"echo held; read line < {gate}"
    first = [lockers(agent, "-n", "2", "s", wait) for _ in range(2)]

    def holders():
        r = agent.get("/v1/kv/s/.lock")
        if r.status != 200:
            return []
        assert r.json[0]["Flags"] == SEMAPHORE_FLAGS
        return json.loads(base64.b64decode(r.json[0]["Value"]))["Holders"]

    wait_until("two hold it", lambda: len(holders()) == 2)
    third = lockers(agent, "-n", "2", "s", "echo third")
    wait_until("one waits", lambda: len(agent.get("/v1/session/list").json) == 3)
    assert len(holders()) == 2
    err = lockers(agent, "-n", "3", "s", "true").done()[2]
    assert "semaphore limit conflict (lock: 2, local: 3)" in err
    err = lockers(agent, "s", "true").done()[2]
    assert "Existing key does not match lock use" in err
    dead = list(holders())[0]  # who holds it without living is not counted
    agent.put(f"/v1/session/destroy/{dead}")
    assert third.done()[:2] == (0, "third\n")
    assert sorted(o.done()[0] for o in first if o.proc.poll() is not None) in ([], [1])
    with open(gate, "w") as f:
        f.write("\n")
    assert sorted(o.done()[0] for o in first) == [0, 1]
    wait_until("nothing is left", lambda: agent.get("/v1/kv/s?recurse").status == 404)
    err_key = lockers(agent, "-n", "2", "plain", "true")
    assert err_key.done()[0] == 0


def test_a_strangers_key_is_no_lock(agent, lockers):
    agent.put("/v1/kv/a/.lock", "mine")
    code, out, err = lockers(agent, "a", "echo never").done()
    assert (code, out) == (1, "") and "does not match lock use" in err
    assert agent.get("/v1/kv/a/.lock").json[0]["Flags"] == 0
    assert agent.get("/v1/session/list").json == []


def test_one_counter_many_lockers(agent, lockers, tmp_path):
    """Reads and writes that only exclusion keeps whole."""
    counter = tmp_path / "n"
    counter.write_text("0")
    script = f"n=$(cat {counter}); sleep 0.02; echo $((n + 1)) > {counter}"
    all_ = [lockers(agent, "count", script) for _ in range(8)]
    for one in all_:
        assert one.done(60)[0] == 0
    assert counter.read_text().strip() == "8"


# --- servers ---

def test_the_autopilots_configuration(agent):
    text = said(agent, "operator", "autopilot", "get-config")
    assert text.splitlines() == [
        "CleanupDeadServers = true", "LastContactThreshold = 200ms", "MaxTrailingLogs = 250",
        "MinQuorum = 0", "ServerStabilizationTime = 10s", 'RedundancyZoneTag = ""',
        "DisableUpgradeMigration = false", 'UpgradeVersionTag = ""']
    assert said(agent, "operator", "autopilot", "set-config", "-cleanup-dead-servers=false",
                "-last-contact-threshold", "1m", "-min-quorum", "5",
                "-max-trailing-logs=9") == "Configuration updated!\n"
    r = agent.get("/v1/operator/autopilot/configuration").json
    assert (r["CleanupDeadServers"], r["LastContactThreshold"], r["MinQuorum"],
            r["MaxTrailingLogs"], r["ServerStabilizationTime"]) == (False, "1m0s", 5, 9, "10s")
    # only what was named has changed, and only once
    said(agent, "operator", "autopilot", "set-config", "-min-quorum", "3")
    assert "CleanupDeadServers = false\n" in said(agent, "operator", "autopilot", "get-config")
    path = "/v1/operator/autopilot/configuration"
    old = r["ModifyIndex"]
    assert agent.put(f"{path}?cas={old}", {"MinQuorum": 1}).json is False
    new = agent.get(path).json["ModifyIndex"]
    assert agent.put(f"{path}?cas={new}", {"MinQuorum": 1}).json is True
    for body, query in (("{", ""), ('{"MinQuorum": "x"}', ""), ("{}", "?cas=x"),
                        ('{"LastContactThreshold": "soon"}', ""),
                        ('{"LastContactThreshold": "-1s"}', ""),
                        (json.dumps({"RedundancyZoneTag": "x" * 300}), "")):
        assert agent.put(path + query, body).status == 400, body
    for words in (["-min-quorum", "x"], ["-last-contact-threshold", "soon"],
                  ["-cleanup-dead-servers", "perhaps"]):
        assert len(bad("operator", "autopilot", "set-config", "-http-addr",
                       f"127.0.0.1:{agent.http_port}", *words).splitlines()) == 1


def test_one_server_is_listed(agent):
    table = rows(said(agent, "operator", "raft", "list-peers"))
    assert table[0] == ["Node", "ID", "Address", "State", "Voter", "RaftProtocol",
                        "Commit Index", "Trails Leader By"]
    ident = agent.get("/v1/agent/self").json["Config"]["NodeID"]
    address = agent.get("/v1/status/leader").json
    assert table[1][:6] == ["n1", ident, address, "leader", "true", "3"]
    assert table[1][7] == "_" and int(table[1][6]) > 0
    health = agent.get("/v1/operator/autopilot/health")
    assert health.status == 200 and health.json["Healthy"] is True
    assert health.json["FailureTolerance"] == 0
    stats = agent.get("/v1/agent/self").json["Stats"]
    assert stats["raft"]["state"] == "Leader" and stats["raft"]["num_peers"] == "0"
    assert stats["consul"]["leader_addr"] == agent.get("/v1/status/leader").json
    addr = ["-http-addr", f"127.0.0.1:{agent.http_port}"]
    for words, text in ((["-id", "x"], 'id "x" was not found'),
                        (["-address", "x"], 'address "x" was not found'),
                        ([], "exactly one of"), (["-id", "x", "-address", "y"], "exactly one of")):
        assert text in bad("operator", "raft", "remove-peer", *addr, *words)
    r = agent.request("DELETE", "/v1/operator/raft/peer")
    assert r.status == 400 and "Must specify either ?id" in r.text
    r = agent.request("DELETE", "/v1/operator/raft/peer?id=a&address=b")
    assert r.status == 400 and "only one of" in r.text


def test_three_servers_are_listed_from_anywhere(cluster):  # noqa: F811
    servers = cluster.servers()
    client = cluster.add("-retry-interval", "1s", join=[a.address for a in servers],
                         server=False).start()
    put_soon(client, "k", "1", 20)
    leader = cluster.leader()

    def told(agent):
        out = at(agent, "operator", "raft", "list-peers")
        return out.returncode == 0 and rows(out.stdout)

    for agent in (client, *servers):
        table = wait_until("all three are there", lambda: (
            lambda t: t and len(t) == 4 and all(r[4] == "true" for r in t[1:]) and t)(told(agent)))
        by_id = {r[1]: r for r in table[1:]}
        for s in servers:
            row = by_id[s.id()]
            assert row[:4] == [s.name, s.id(), f"{s.address}:8300",
                               "leader" if s is leader else "follower"]
            assert int(row[6]) > 0, agent.name  # also where the leader is another
        health = agent.get("/v1/operator/autopilot/health")
        assert health.status == 200, (agent.name, health.text)
        assert health.json["FailureTolerance"] == 1
        assert sorted(agent.get("/v1/status/peers").json) == \
            sorted(f"{s.address}:8300" for s in servers)
    gone = next(s for s in servers if s is not leader)
    ident = gone.id()
    gone.kill()
    sick = wait_until("it is told of", lambda: (
        lambda r: r.status == 429 and r.json)(client.get("/v1/operator/autopilot/health")))
    assert sick["Healthy"] is False and sick["FailureTolerance"] == 0
    assert [s["ID"] for s in sick["Servers"] if not s["Healthy"]] == [ident]
    assert told(client)  # a sick server is no reason not to answer
    out = at(client, "operator", "raft", "remove-peer", "-id", ident)
    assert (out.returncode, out.stdout) == (0, f'Removed peer with id "{ident}"\n'), out
    wait_until("two are left", lambda: (
        lambda t: t and ident not in [r[1] for r in t])(told(client)))


# --- snapshots ---

def snapshot_good(*words, **kw):
    return good("snapshot", *words, **kw)


def test_a_snapshot_is_saved_inspected_and_restored(agent, tmp_path):
    path, again = str(tmp_path / "a.snap"), str(tmp_path / "b.snap")
    addr = ["-http-addr", f"127.0.0.1:{agent.http_port}"]
    for n in range(40):
        agent.put(f"/v1/kv/web/{n % 4}/{n}?flags={U64}", os.urandom(40000))
    kept = said(agent, "session", "create", "-ttl", "3600s", "-name", "kept").strip()
    kv(agent, "put", "-acquire", "-session", kept, "lock", "x")
    said(agent, "operator", "autopilot", "set-config", "-min-quorum", "7")
    before = kv(agent, "export")
    index = agent.get("/v1/kv/lock").json[0]["ModifyIndex"]
    out = snapshot_good("save", *addr, path)
    assert re.fullmatch(r"Saved and verified snapshot to index \d+\n", out)
    assert os.stat(path).st_mode & 0o777 == 0o600 and os.listdir(tmp_path).count("a.snap") == 1
    assert not os.path.exists(path + ".unverified")

    text = snapshot_good("inspect", "-kvdetails", path)
    assert re.search(r"^KVS +41 +1\.\dMB$", text, re.M), text
    assert re.search(r"^Session +1 ", text, re.M) and re.search(r"^web/3 +10 ", text, re.M)
    assert re.search(r"^Node +n1$", text, re.M)
    told = json.loads(snapshot_good("inspect", "-format=json", "-kvdetails", "-kvdepth=1",
                                    "-kvfilter=web", path))
    assert told["Meta"]["Size"] == os.path.getsize(path) and told["Meta"]["Index"] >= index
    assert [(s["Name"], s["Count"]) for s in told["StatsKV"]] == [("web", 40)]

    kv(agent, "delete", "-recurse")
    said(agent, "session", "destroy", kept)
    agent.put("/v1/kv/new", "gone after it")
    high = agent.get("/v1/kv/new").json[0]["ModifyIndex"]
    assert snapshot_good("restore", *addr, path) == "Restored snapshot\n"
    assert kv(agent, "export") == before
    assert agent.get("/v1/kv/lock").json[0]["Session"] == kept
    assert "MinQuorum = 7\n" in said(agent, "operator", "autopilot", "get-config")
    agent.put("/v1/kv/after", "1")
    assert agent.get("/v1/kv/after").json[0]["ModifyIndex"] > high  # indexes never go back
    snapshot_good("save", "-stale", *addr, again)


def test_a_broken_file_changes_nothing(agent, tmp_path):
    path = tmp_path / "a.snap"
    addr = ["-http-addr", f"127.0.0.1:{agent.http_port}"]
    kv(agent, "put", "in", "the snapshot")
    snapshot_good("save", *addr, str(path))
    kv(agent, "put", "later", "than it")
    whole = path.read_bytes()
    broken = {
        "cut": (whole[:-1], "cut after"), "empty": (b"", "is empty"),
        "longer": (whole + b"x", "damaged"), "head": (whole[:30], "cut in its head"),
        "no": (b"hello, world" * 9, "no snapshot of muster"),
        "consul": (b"\x1f\x8b\x08" + whole, "of Consul"),
        "bit": (whole[:-40] + bytes([whole[-40] ^ 4]) + whole[-39:], "damaged"),
    }
    for name, (data, text) in broken.items():
        file = tmp_path / name
        file.write_bytes(data)
        assert text in bad("snapshot", "restore", *addr, str(file)), name
        assert text in bad("snapshot", "inspect", str(file)), name
        r = agent.put("/v1/snapshot", data)  # and the agent does not take our word for it
        assert r.status == 400 and text in r.text, name
    assert kv(agent, "get", "later") == "than it\n"
    assert "No such file" in bad("snapshot", "restore", *addr, "/no/such/file")
    assert "No such file" in bad("snapshot", "inspect", "/no/such/file")
    # what cannot be saved leaves the old file alone
    port = free_port()
    assert "no agent answers" in bad("snapshot", "save", "-http-addr", f"127.0.0.1:{port}",
                                     str(path))
    assert path.read_bytes() == whole and os.listdir(tmp_path).count("a.snap.unverified") == 0


def chunks(sock, data):
    """A chunked body, of which `data` has come already."""
    body = b""
    while True:
        while b"\r\n" not in data:
            data += sock.recv(1 << 20)
        size, data = data.split(b"\r\n", 1)
        size = int(size, 16)
        while len(data) < size + 2:
            data += sock.recv(1 << 20)
        if size == 0:
            return body
        body += data[:size]
        data = data[size + 2:]


def test_a_large_save_stalls_nobody(agent, tmp_path):
    """The client takes its time; others are answered meanwhile, and it gets one moment's state."""
    for n in range(60):
        agent.put(f"/v1/kv/big/{n}", os.urandom(500000))
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
    slow.connect(("127.0.0.1", agent.http_port))
    slow.settimeout(30)
    slow.sendall(b"GET /v1/snapshot HTTP/1.1\r\nHost: a\r\n\r\n")
    got = slow.recv(1000)
    assert got.startswith(b"HTTP/1.1 200")
    worst = 0.0
    for n in range(60):
        began = time.monotonic()
        assert agent.put(f"/v1/kv/big/{n}", "small").status == 200
        worst = max(worst, time.monotonic() - began)
        got += slow.recv(1000)
    print(f"slowest write meanwhile: {worst * 1000:.1f} ms")
    while b"\r\n\r\n" not in got:
        got += slow.recv(1000)
    body = chunks(slow, got.split(b"\r\n\r\n", 1)[1])
    slow.close()
    path = tmp_path / "slow.snap"
    path.write_bytes(body)
    told = json.loads(snapshot_good("inspect", "-format=json", "-kvdetails", str(path)))
    assert told["TotalSizeKV"] > 60 * 500000  # as it was when it was asked for


def test_a_snapshot_moves_between_clusters(cluster, tmp_path):  # noqa: F811
    servers = cluster.servers()
    client = cluster.add("-retry-interval", "1s", join=[a.address for a in servers],
                         server=False).start()
    put_soon(client, "k", "1", 20)
    for n in range(30):
        put_soon(client, f"big/{n}", "x" * 300000)
    path = str(tmp_path / "c.snap")

    def soon(*words):
        """On a busy machine a leader may be lost meanwhile; that is told, and tried again."""
        def once():
            out = at(client, *words)
            assert out.returncode == 0 or "leader" in out.stderr, out
            return out.returncode == 0 and out.stdout
        return wait_until(" ".join(words), once, 60, every=0.5)

    assert "verified" in soon("snapshot", "save", path)  # through an agent without keys
    soon("kv", "delete", "-recurse")
    assert soon("snapshot", "restore", path) == "Restored snapshot\n"
    def whole(server):
        names = server.get("/v1/kv/big/?keys&stale")
        return names.status == 200 and len(names.json) == 30 and \
            server.get("/v1/kv/big/29?raw&stale").body == b"x" * 300000

    for s in servers:
        wait_until("it is everywhere", lambda s=s: whole(s))
    put_soon(client, "after", "1")
