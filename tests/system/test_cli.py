"""The commands that ask an agent: what they print, where they look for it, how they end."""
import http.server
import json
import os
import re
import socketserver
import subprocess
import threading

import pytest

from harness import MUSTER, WRAP, free_port, wait_until

ASKING = ["members", "info", "leave", "force-leave", "join", "event", "keyring", "rtt"]
KEY = "wefr6OXcTVwfICXy/AxErb0gpgIOJzMq54M7RmSOGEU="
OTHER = "9aGXTZkkZSr1QMFeyATHoOVcBxWfWyy4DljVzl64nIg="  # sorts before it


def run(*words, at=None, env=None, timeout=60):
    """`at`: the agent to ask. The environment says nothing unless `env` does."""
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_HTTP_ADDR")}
    flags = [] if at is None else ["-http-addr", f"127.0.0.1:{at.http_port}"]
    return subprocess.run([*WRAP, MUSTER, words[0], *flags, *words[1:]], capture_output=True,
                          text=True, timeout=timeout * (10 if WRAP else 1),
                          stdin=subprocess.DEVNULL, env={**clean, **(env or {})})


def good(*words, **kw):
    out = run(*words, **kw)
    assert out.returncode == 0 and out.stderr == "", (words, out)
    return out.stdout


def bad(*words, code=1, **kw):
    """What it says to standard error."""
    out = run(*words, **kw)
    assert out.returncode == code and out.stderr, (words, out)
    return out.stderr


def rows(text):
    return [re.split(r"  +", line) for line in text.splitlines()]


def join(a, b):
    return good("join", f"127.0.0.1:{b.serf_port}", at=a)


def statuses(a):
    return {row[0]: row[2] for row in rows(good("members", at=a))[1:]}


def test_members_is_consuls_table(agents):
    a, b = agents(node="n1"), agents(node="a-longer-name")
    join(a, b)
    assert good("members", at=a) == (
        "Node           Address          Status  Type    Build  Protocol  DC   Segment\n"
        f"a-longer-name  127.0.0.1:{b.serf_port}  alive   server  0.1.0  2         dc1  <all>\n"
        f"n1             127.0.0.1:{a.serf_port}  alive   server  0.1.0  2         dc1  <all>\n")
    table = rows(good("members", "-detailed", at=b))
    assert table[0] == ["Node", "Address", "Status", "Tags"]
    tags = dict(t.split("=", 1) for t in table[2][3].split(","))
    assert tags["role"] == "consul" and tags["dc"] == "dc1" and "id" in tags
    assert table[2][3].split(",") == sorted(table[2][3].split(","))


def test_members_by_status(agent):
    assert "n1" in good("members", "-status", "^al.ve$", at=agent)
    out = run("members", "-status=left|failed", at=agent)
    assert (out.returncode, out.stdout, out.stderr) == (2, "", "")
    assert "missing closing )" in bad("members", "-status", "(", at=agent)


@pytest.mark.parametrize("command", ASKING)
def test_nobody_there_is_one_clear_line(command):
    port = free_port()
    words = {"force-leave": ["n2"], "event": ["-name", "x"], "keyring": ["-list"], "rtt": ["n2"]}
    out = run(command, "-http-addr", f"127.0.0.1:{port}", *words.get(command, []),
              *(["10.0.0.1"] if command == "join" else []))
    assert out.returncode == 1
    assert f"no agent answers at 127.0.0.1:{port}: Connection refused" in out.stderr
    assert len(out.stderr.splitlines()) <= 2 and "Error" in out.stderr or "error:" in out.stderr


@pytest.mark.parametrize("command", ASKING)
def test_help_and_wrong_words(command):
    text = good(command, "--help")
    assert text.startswith(f"Usage: muster {command}") and "-http-addr ADDRESS" in text
    assert text == good("help", command)
    assert all(len(line) <= 100 for line in text.splitlines())
    err = bad(command, "-no-such-flag")
    assert len(err.splitlines()) == 1 and "no flag -no-such-flag" in err
    if command != "join":  # takes any number
        assert len(bad(command, "a", "b", "c").splitlines()) == 1


class Canned(http.server.BaseHTTPRequestHandler):
    """One member, whatever is asked."""

    def do_GET(self):
        body = json.dumps([{"Name": self.server.name, "Addr": "fd00::1", "Port": 8301, "Status": 4,
                            "Tags": {"role": "other"}}]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def canned(tmp_path):
    """make(name) answers on a port, make(name, unix=True) on a socket; the address is returned."""
    servers = []

    def make(name, unix=False):
        path = str(tmp_path / name)
        server = socketserver.ThreadingUnixStreamServer(path, Canned) if unix else \
            http.server.ThreadingHTTPServer(("127.0.0.1", 0), Canned)
        server.name = name
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return "unix://" + path if unix else f"127.0.0.1:{server.server_port}"

    yield make
    for s in servers:
        s.shutdown()
        s.server_close()


def test_where_the_agent_is(canned):
    one, two, three = canned("one"), canned("two"), canned("three", unix=True)

    def asked(*words, **env):
        return rows(good("members", *words, env=env))[1][0]

    assert asked(CONSUL_HTTP_ADDR=one) == "one"
    assert asked(CONSUL_HTTP_ADDR=one, MUSTER_HTTP_ADDR=two) == "two"
    assert asked("-http-addr", one, MUSTER_HTTP_ADDR=two) == "one"
    assert asked(MUSTER_HTTP_ADDR=f"http://{one}/") == "one"
    assert asked("--http-addr=" + three) == "three"
    # a proxy is not asked
    assert asked(MUSTER_HTTP_ADDR=one, http_proxy="http://127.0.0.1:1") == "one"
    assert "is no address of an agent" in bad("members", "-http-addr", "ftp://x")
    assert "No such file" in bad("members", "-http-addr", "unix:///nowhere/at/all")


def test_a_stranger_is_shown_with_what_is_known(canned):
    assert rows(good("members", "-http-addr", canned("x")))[1] == \
        ["x", "[fd00::1]:8301", "failed", "unknown"]


def test_what_answers_is_no_agent(tmp_path):
    class Odd(Canned):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"<html")

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert "is no JSON" in bad("members", "-http-addr", f"127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


def test_join_tries_every_address(agents):
    a, b = agents(node="n1"), agents(node="n2")
    nobody = f"127.0.0.1:{free_port()}"
    out = run("join", nobody, f"127.0.0.1:{b.serf_port}", at=a)
    assert out.returncode == 0 and nobody in out.stderr
    assert out.stdout == "Successfully joined cluster by contacting 1 nodes.\n"
    assert "Failed to join any nodes." in bad("join", nobody, at=a)
    assert "at least one address" in bad("join", at=a)
    assert statuses(b) == {"n1": "alive", "n2": "alive"}


def test_events_reach_those_they_are_for(agents):
    a, b = agents(node="n1"), agents(node="n2")
    join(a, b)
    b.put("/v1/agent/service/register", {"Name": "web", "Tags": ["blue"]})

    def fire(*words):
        out = good("event", *words, at=a)
        assert re.fullmatch(r"Event ID: [0-9a-f-]{36}\n", out)
        return out.split()[2]

    def ids(agent, name=""):
        return [e["ID"] for e in agent.get("/v1/event/list" + name).json]

    everybody = fire("-name", "deploy", "v2")
    web = fire("-service=web", "-tag", "bl.e", "-name", "deploy")
    last = fire("-node", "^n1$", "-name", "odd name/with slash")
    # in the order in which they came, which is not always that in which they left
    wait_until("n2 has heard", lambda: set(ids(b)) == {everybody, web})
    wait_until("n1 has heard", lambda: ids(a) == [everybody, last])
    assert a.get("/v1/event/list").json[0]["Payload"] == "djI="
    assert ids(a, "?name=odd%20name%2Fwith%20slash") == [last]
    assert "-name must be specified" in bad("event", at=a)
    assert "-tag needs -service" in bad("event", "-name", "x", "-tag", "y", at=a)
    assert "Invalid node filter" in bad("event", "-name", "x", "-node", "(", at=a)
    assert "exceeds configured limit of 512 bytes" in bad("event", "-name", "x", "y" * 600, at=a)


def test_an_event_wakes_who_waits_for_it(agents):
    a, b = agents(node="n1"), agents(node="n2")
    join(a, b)
    index = int(b.get("/v1/event/list?name=x").headers["X-Consul-Index"])
    got = []
    thread = threading.Thread(target=lambda: got.append(
        b.get(f"/v1/event/list?name=x&index={index}&wait=60s", timeout=70)))
    thread.start()
    good("event", "-name", "x", "payload", at=a)
    thread.join(30)
    assert [e["Name"] for e in got[0].json] == ["x"]
    assert int(got[0].headers["X-Consul-Index"]) != index


def test_the_keyring_is_refused_without_encryption(agent):
    out = run("keyring", "-list", at=agent)
    assert out.returncode == 1 and "it does not encrypt" in out.stderr
    assert "exactly one of" in bad("keyring", at=agent)
    assert "exactly one of" in bad("keyring", "-list", "-use", KEY, at=agent)


def test_the_key_of_a_pool_is_changed(agents):
    a, b = agents("-encrypt", KEY, node="n1"), agents("-encrypt", KEY, node="n2")
    join(a, b)
    head = "==> Gathering installed encryption keys...\n\ndc1 (LAN):\n"
    assert good("keyring", "-list", at=a) == f"{head}  {KEY} [2/2]\n"
    good("keyring", "-install", OTHER, at=b)
    assert good("keyring", "-list", at=a) == f"{head}  {OTHER} [2/2]\n  {KEY} [2/2]\n"
    good("keyring", "-use", OTHER, at=a)
    assert f"  {OTHER} [2/2]\n" in good("keyring", "-list-primary", at=b)
    assert "2/2 nodes reported failure" in bad("keyring", "-remove", OTHER, at=b)
    good("keyring", "-remove", KEY, at=a)
    assert good("keyring", "-list", at=b) == f"{head}  {OTHER} [2/2]\n"
    assert "illegal base64" in bad("keyring", "-install", "no key", at=a)
    assert "16, 24 or 32 bytes" in bad("keyring", "-install", "QQ==", at=a)


def test_leaving_and_being_forced_to(agents):
    a, b, c = agents(node="n1"), agents(node="n2"), agents(node="n3")
    join(a, b)
    join(a, c)
    wait_until("all three", lambda: statuses(c) == dict.fromkeys(["n1", "n2", "n3"], "alive"))
    assert good("leave", at=b) == "Graceful leave complete\n"
    b.proc.wait(20)
    b.exit_code = b.proc.returncode
    assert b.exit_code == 0
    wait_until("n2 has left", lambda: statuses(a)["n2"] == "left")

    assert "No node found with name 'n9'" in bad("force-leave", "n9", at=a)
    assert "a single node name" in bad("force-leave", at=a)
    c.proc.kill()
    c.proc.wait()
    c.exit_code = 0
    wait_until("n3 has failed", lambda: statuses(a)["n3"] == "failed", 30)
    assert good("force-leave", "n3", at=a) == ""
    wait_until("n3 counts as left", lambda: statuses(a)["n3"] == "left")
    good("force-leave", "-prune", "n3", at=a)
    wait_until("n3 is forgotten", lambda: "n3" not in statuses(a))


def test_the_time_between_two_nodes(agents):
    a, b = agents(node="n1"), agents(node="n2")
    join(a, b)
    wait_until("coordinates are told", lambda: run("rtt", "n1", "n2", at=a).returncode == 0, 60, 0.5)
    out = good("rtt", "n2", at=a)
    assert re.fullmatch(r"Estimated n2 <-> n1 rtt: \d+\.\d{3} ms \(using LAN coordinates\)\n", out)
    assert 'coordinate for node "n9"' in bad("rtt", "n9", at=a)


def test_info_shows_the_counters(agent):
    text = good("info", at=agent)
    assert "serf_lan:\n" in text and "\tmembers = 1\n" in text and "\tready = true\n" in text
