"""muster registrator when things go wrong, and its backends and options.

The recorded cases are played to it in test_registrator.py.
"""
import base64
import json
import os
import subprocess

import pytest

from harness import MUSTER, free_port, server_command, wait_until
from pool_harness import wait_exit
from registrator_harness import Registrator
from test_tls import Authority


@pytest.fixture
def registrators(engine, tmp_path):
    """make(uri, *flags) starts one on the engine; all are ended, and must end well."""
    made = []

    def make(uri, *flags, **kw):
        made.append(Registrator(str(tmp_path), uri, *flags, docker=engine.url, **kw).start())
        return made[-1]

    yield make
    for r in made:
        if r.proc.poll() is None:
            code = r.stop()
            assert code == 0, f"exit code {code}:\n{r.log()[-20000:]}"


def uri_of(agent, scheme="consul", path=""):
    return f"{scheme}://127.0.0.1:{agent.http_port}{path}"


def run(docker, name, port, *words):
    docker.docker("run", "-d", "--name", name, "-p", f"{port}:80", *words, "web",
                  *server_command())


def ids(agent):
    return sorted(agent.services())


def test_backend_down_at_the_start_and_between(docker, agents, registrators, tmp_path):
    """What happens while there is no backend is caught up with, also by one without memory."""
    agent = agents("-data-dir", str(tmp_path / "data"), "-bind", "127.0.0.1", dev=False,
                   start=False)
    run(docker, "wa", 19001)
    r = registrators(uri_of(agent), "-retry-attempts", "-1", "-retry-interval", "100")
    r.says("no backend yet attempt=3")
    run(docker, "wb", 19002)
    agent.start()
    wait_until("both", lambda: ids(agent) == ["n1:wa:80", "n1:wb:80"])

    agent.stop()
    docker.docker("rm", "-f", "wa")
    r.says("backend away")
    run(docker, "wc", 19003)
    agent.start()
    wait_until("what there is now", lambda: ids(agent) == ["n1:wb:80", "n1:wc:80"], 20)

    agent.put("/v1/agent/service/deregister/n1:wb:80")  # by somebody else
    agent.put("/v1/agent/service/register", {"ID": "other", "Name": "other"})
    run(docker, "wd", 19004)
    wait_until("the new one", lambda: "n1:wd:80" in ids(agent))
    r.proc.send_signal(1)  # SIGHUP: everything again, as -resync
    wait_until("all of them", lambda: ids(agent) == ["n1:wb:80", "n1:wc:80", "n1:wd:80", "other"])


def test_backend_that_forgets(docker, agents, registrators):
    agent = agents()
    run(docker, "wa", 19001)
    r = registrators(uri_of(agent))
    wait_until("registered", lambda: ids(agent) == ["n1:wa:80"])
    agent.stop()  # -dev: nothing is kept
    agent.start()
    assert ids(agent) == []
    run(docker, "wb", 19002)  # the backend's restart is noticed at the next word with it, or
    wait_until("both", lambda: ids(agent) == ["n1:wa:80", "n1:wb:80"], 20)  # within 10 s
    assert "not as registered any more id=n1:wa:80" in r.log()


def test_engine_restarted(docker, agents, registrators):
    agent = agents()
    run(docker, "wa", 19001)
    run(docker, "wb", 19002, "--restart", "always")
    r = registrators(uri_of(agent))
    wait_until("registered", lambda: ids(agent) == ["n1:wa:80", "n1:wb:80"])
    docker.kill()
    r.says("engine away")
    assert ids(agent) == ["n1:wa:80", "n1:wb:80"]
    docker.start()
    wait_until("what still runs", lambda: ids(agent) == ["n1:wb:80"], 30)
    run(docker, "wc", 19003)
    wait_until("and what is new", lambda: ids(agent) == ["n1:wb:80", "n1:wc:80"])


def test_cleanup(docker, agents, registrators):
    """Only ids of this host that nothing offers go; not without the flag."""
    agent = agents()
    for sid in ("n1:gone:80", "n1:gone:53:udp", "n2:gone:80", "mine", "n1:x"):
        agent.put("/v1/agent/service/register", {"ID": sid, "Name": "web"})
    before = ids(agent)
    run(docker, "wa", 19001)
    r = registrators(uri_of(agent))
    wait_until("registered", lambda: "n1:wa:80" in ids(agent))
    r.stop()
    assert ids(agent) == sorted([*before, "n1:wa:80"])  # what is registered stays
    docker.docker("rm", "-f", "wa")
    run(docker, "wb", 19002)
    registrators(uri_of(agent), "-cleanup")
    wait_until("cleaned up", lambda: ids(agent) == ["mine", "n1:wb:80", "n1:x", "n2:gone:80"])


def key_values(agent, prefix):
    answer = agent.get(f"/v1/kv/{prefix}?recurse")
    return {} if answer.status == 404 else \
        {e["Key"]: base64.b64decode(e["Value"] or "").decode() for e in answer.json}


def test_keys(docker, agents, registrators):
    agent = agents()
    agent.put("/v1/kv/services/web/other:a:80", "10.0.0.1:80")
    run(docker, "wa", 19001)
    registrators(uri_of(agent, "consulkv", "/services"), "-ip", "10.9.8.7")
    wait_until("a key", lambda: key_values(agent, "services/") == {
        "services/web/n1:wa:80": "10.9.8.7:19001", "services/web/other:a:80": "10.0.0.1:80"})
    docker.docker("rm", "-f", "wa")
    wait_until("gone", lambda: list(key_values(agent, "services/")) == ["services/web/other:a:80"])
    assert agent.services() == {}


def test_unix_socket_token_and_resync(docker, agents, registrators, tmp_path):
    """consul-unix://, and -resync registers again what somebody else has taken out."""
    socket = str(tmp_path / "http.sock")
    config = tmp_path / "addresses.json"
    config.write_text(json.dumps({"addresses": {"http": f"127.0.0.1 unix://{socket}"}}))
    agent = agents("-config-file", str(config))
    run(docker, "wa", 19001)
    registrators(f"consul-unix://{socket}", "-resync", "1", "-ttl", "60", "-ttl-refresh", "30",
                 env={"CONSUL_HTTP_TOKEN": "secret"})
    wait_until("registered", lambda: ids(agent) == ["n1:wa:80"])
    agent.put("/v1/agent/service/deregister/n1:wa:80")
    wait_until("again", lambda: ids(agent) == ["n1:wa:80"])


def test_tls_with_certificates_of_both_sides(docker, agents, registrators, tmp_path):
    """consul-tls://, by registrator's environment."""
    ca = Authority(tmp_path)
    cert, key = ca.sign("server", "server.dc1.consul")
    mine = ca.sign("client", "client", "DNS:client")
    port = free_port()
    config = tmp_path / "tls.json"
    config.write_text(json.dumps({"ports": {"https": port}, "cert_file": cert, "key_file": key,
                                  "ca_file": ca.cert, "verify_incoming": True}))
    agent = agents("-config-file", str(config))
    run(docker, "wa", 19001)
    uri = f"consul-tls://127.0.0.1:{port}"
    stranger = registrators(uri, "-retry-attempts", "1", "-retry-interval", "1",
                            env={"CONSUL_CACERT": ca.cert})
    assert wait_exit(stranger.proc, 20) == 1
    registrators(uri, env={"CONSUL_CACERT": ca.cert, "CONSUL_TLSCERT": mine[0],
                           "CONSUL_TLSKEY": mine[1]})
    wait_until("registered", lambda: ids(agent) == ["n1:wa:80"])


def registrator_words(*words):
    out = subprocess.run([MUSTER, "registrator", *words], capture_output=True, text=True,
                         timeout=30, env=dict(os.environ, DOCKER_HOST="unix:///nowhere"))
    return out.returncode, out.stdout, out.stderr


@pytest.mark.parametrize("words, says", [
    ([], "it takes the URI of one registry"),
    (["consul://h", "consul://i"], "it takes the URI of one registry"),
    (["etcd://h:1/x"], "unrecognized adapter: etcd://h:1/x"),
    (["consul:h"], "bad adapter uri"),
    (["-ttl", "60", "consul://h"], "-ttl and -ttl-refresh must be specified together"),
    (["-ttl", "60", "-ttl-refresh", "60", "consul://h"], "-ttl must be greater than -ttl-refresh"),
    (["-deregister", "never", "consul://h"], '-deregister must be "always" or "on-success"'),
    (["-retry-interval", "0", "consul://h"], "-retry-interval is a number from 1 on"),
    (["-tags", "{{.Name", "consul://h"], "-tags: "),
])
def test_what_makes_no_sense(words, says):
    code, _, err = registrator_words(*words)
    assert (code, says in err) == (1, True), err


def test_no_backend(tmp_path):
    """Without -retry-attempts one attempt is all, as registrator has it."""
    code, _, err = registrator_words("-retry-attempts=1", "-retry-interval=1",
                                     "consul://127.0.0.1:1")
    assert code == 1 and "no backend after 2 attempts" in err
    code, out, _ = registrator_words("--help")
    assert code == 0 and "-useIpFromLabel LABEL" in out
