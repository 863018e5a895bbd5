"""The HTTP API over TLS and on unix sockets; certificates by openssl, made anew for each run."""
import contextlib
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import time

import pytest
import requests

from harness import MUSTER, PATIENCE, UnixConnection, free_port, wait_until


def openssl(*words, **kw):
    return subprocess.run(["openssl", *words], check=True, capture_output=True, **kw)


class Authority:
    """Signs certificates; ec keys, which are made in no time."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = str(folder), name
        self.cert = os.path.join(self.folder, name + ".pem")
        self.key = os.path.join(self.folder, name + ".key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "2", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.cert)

    def sign(self, name, cn, names="DNS:localhost,IP:127.0.0.1"):
        cert, key, csr, ext = (os.path.join(self.folder, f"{name}.{x}")
                               for x in ("pem", "key", "csr", "ext"))
        with open(ext, "w") as f:
            f.write(f"subjectAltName={names}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", f"/CN={cn}", "-keyout", key, "-out", csr)
        openssl("x509", "-req", "-in", csr, "-CA", self.cert, "-CAkey", self.key,
                "-CAcreateserial", "-days", "2", "-extfile", ext, "-out", cert)
        return cert, key


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def server_cert(ca):
    return ca.sign("server", "server.dc1.consul",
                   "DNS:server.dc1.consul,DNS:localhost,IP:127.0.0.1")


@pytest.fixture
def tls_agent(agents, tmp_path, ca, server_cert):
    """make(**config) starts an agent with HTTPS."""
    def make(**config):
        port = free_port()
        config = {"ports": {"https": port}, "cert_file": server_cert[0],
                  "key_file": server_cert[1], "ca_file": ca.cert, **config}
        path = tmp_path / "tls.json"
        path.write_text(json.dumps(config))
        a = agents("-config-file", str(path))
        a.https_port, a.config_path, a.config = port, path, config
        return a
    return make


def handshake(agent, ca, **kw):
    ctx = ssl.create_default_context(cafile=ca.cert)
    cert = kw.pop("cert", None)
    if cert:
        ctx.load_cert_chain(*cert)
    if "ciphers" in kw:
        ctx.set_ciphers(kw.pop("ciphers"))
    if "protocols" in kw:
        ctx.set_alpn_protocols(kw.pop("protocols"))
    for name, value in kw.items():
        setattr(ctx, name, value)
    raw = socket.create_connection(("127.0.0.1", agent.https_port), timeout=10 * PATIENCE)
    return ctx.wrap_socket(raw, server_hostname="localhost")


def ask(sock, path="/v1/status/leader", extra=""):
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{extra}\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        more = sock.recv(65536)
        if not more:
            return head
        head += more
    head, body = head.split(b"\r\n\r\n", 1)
    want = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < want:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def metric(agent, what):
    with open(f"/proc/{agent.proc.pid}/smaps_rollup") as f:
        for line in f:
            words = line.split()
            if words[0] == what + ":":
                return int(words[1])
    raise AssertionError(what)


def test_curl_requests_and_the_own_client(tls_agent, ca):
    a = tls_agent()
    url = f"https://127.0.0.1:{a.https_port}"
    out = subprocess.run(["curl", "-sS", "--cacert", ca.cert, url + "/v1/agent/self"],
                         check=True, capture_output=True)
    assert json.loads(out.stdout)["Config"]["NodeName"] == "n1"
    with requests.Session() as s:
        s.verify, s.trust_env = ca.cert, False
        value = os.urandom(400 * 1024)
        assert s.put(url + "/v1/kv/big", data=value, timeout=30).json() is True
        assert s.get(url + "/v1/kv/big?raw", timeout=30).content == value
        assert s.get(url + "/v1/kv/none", timeout=30).status_code == 404

    def muster(*words, **env):
        return subprocess.run([MUSTER, "members", *words], capture_output=True, text=True,
                              env={**os.environ, **env})
    assert "n1" in muster("-http-addr", url, "-ca-file", ca.cert).stdout
    assert "n1" in muster("-http-addr", url, "-ca-file", ca.cert,
                          "-tls-server-name", "server.dc1.consul").stdout
    assert muster("-http-addr", url, "-ca-file", ca.cert, "-tls-server-name", "x").returncode == 1
    assert "n1" in muster(CONSUL_HTTP_ADDR=f"localhost:{a.https_port}", CONSUL_HTTP_SSL="true",
                          CONSUL_CACERT=ca.cert).stdout
    assert "n1" in muster(CONSUL_HTTP_ADDR=url, CONSUL_HTTP_SSL_VERIFY="false").stdout
    assert "certificate" in muster("-http-addr", url).stderr
    # plain HTTP goes on beside it
    assert a.get("/v1/kv/big").status == 200


def test_clients_need_a_certificate(tls_agent, ca, tmp_path):
    a = tls_agent(verify_incoming=True)
    good = ca.sign("client", "client", "DNS:client")
    stranger = Authority(tmp_path, "other").sign("stranger", "stranger", "DNS:client")
    with handshake(a, ca, cert=good) as s:
        assert b"200 OK" in ask(s)
    for cert in (None, stranger):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with handshake(a, ca, cert=cert) as s:
                assert ask(s) == b""  # TLS 1.3: the client hears of it at its first read
                raise ConnectionError
    # who resumes a session is known from before
    ctx = ssl.create_default_context(cafile=ca.cert)
    ctx.load_cert_chain(*good)
    ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    session, reused = None, []
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", a.https_port)) as raw, \
                ctx.wrap_socket(raw, server_hostname="localhost", session=session) as s:
            assert b"200 OK" in ask(s)
            reused.append(s.session_reused)
            session = s.session
    assert reused == [False, True]
    env = {**os.environ, "CONSUL_HTTP_ADDR": f"https://localhost:{a.https_port}",
           "CONSUL_CACERT": ca.cert, "CONSUL_CLIENT_CERT": good[0], "CONSUL_CLIENT_KEY": good[1]}
    assert "n1" in subprocess.run([MUSTER, "members"], capture_output=True, text=True,
                                  env=env).stdout


def test_versions_and_ciphers(tls_agent, ca):
    a = tls_agent(tls_cipher_suites="TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305")

    def version(**kw):
        with handshake(a, ca, **kw) as s:
            assert b"200 OK" in ask(s)
            return s.version(), s.cipher()[0]
    assert version()[0] == "TLSv1.3"
    assert version(maximum_version=ssl.TLSVersion.TLSv1_2) == \
        ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305")
    out = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{a.https_port}", "-tls1_1",
                          "-cipher", "DEFAULT@SECLEVEL=0"], input=b"", capture_output=True)
    assert out.returncode != 0 and b"alert protocol version" in out.stderr
    # who asks for HTTP/2 as well gets what is spoken; who asks for nothing gets no answer to that
    for protocols, chosen in ((["h2", "http/1.1"], "http/1.1"), ([], None), (["h2"], None)):
        with handshake(a, ca, protocols=protocols) as s:
            assert s.selected_alpn_protocol() == chosen and b"200 OK" in ask(s)
    # the client's order counts unless the agent's is to
    both = ["AES_128_GCM_SHA256", "AES_256_GCM_SHA384"]
    a.config["tls_cipher_suites"] = ",".join("TLS_ECDHE_ECDSA_WITH_" + x for x in both)
    for own, chosen in ((False, "ECDHE-ECDSA-AES256-GCM-SHA384"),
                        (True, "ECDHE-ECDSA-AES128-GCM-SHA256")):
        a.config["tls_prefer_server_cipher_suites"] = own
        a.config_path.write_text(json.dumps(a.config))
        a.proc.send_signal(signal.SIGHUP)
        wait_until(f"its order counts: {own}", lambda: version(  # noqa: B023
            maximum_version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384:"
            "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305")[1] == chosen)
    a.config["tls_min_version"] = "tls13"
    a.config_path.write_text(json.dumps(a.config))
    a.proc.send_signal(signal.SIGHUP)
    wait_until("reloaded", lambda: a.log().count("agent: reloaded") == 3)
    with pytest.raises(ssl.SSLError):
        version(maximum_version=ssl.TLSVersion.TLSv1_2)
    assert version()[0] == "TLSv1.3"


def test_sighup_reads_certificates_again(tls_agent, ca, tmp_path):
    first = ca.sign("first", "first")
    second = ca.sign("second", "second")
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")

    def install(pair):
        for source, target in zip(pair, (cert, key)):
            with open(source) as i, open(target, "w") as o:
                o.write(i.read())

    def subject(sock):
        return dict(x[0] for x in sock.getpeercert()["subject"])["commonName"]

    def shown():
        with handshake(a, ca) as s:
            return subject(s)
    install(first)
    a = tls_agent(cert_file=cert, key_file=key)
    old = handshake(a, ca)
    assert b"200 OK" in ask(old) and subject(old) == "first"
    install(second)
    assert shown() == "first"
    a.proc.send_signal(signal.SIGHUP)
    wait_until("the new certificate", lambda: shown() == "second")
    assert b"200 OK" in ask(old)
    for text in ("", "no key", open(first[1]).read()):
        before = a.log().count("not reloaded")
        with open(key, "w") as f:
            f.write(text)
        a.proc.send_signal(signal.SIGHUP)
        wait_until("the complaint", lambda: a.log().count("not reloaded") > before)
        assert key in a.log()
        assert shown() == "second" and b"200 OK" in ask(old)
    old.close()


def test_bad_certificates_at_the_start_are_one_clear_line(ca, tmp_path, server_cert):
    junk = tmp_path / "junk.pem"
    junk.write_text("junk\n")
    cert, key = server_cert
    (tmp_path / "empty").mkdir()
    for config, words in (
            ({"cert_file": "/none.pem", "key_file": key}, "cert_file: cannot read /none.pem"),
            ({"cert_file": str(junk), "key_file": key}, f"cert_file: {junk}"),
            ({"cert_file": cert, "key_file": str(junk)}, f"key_file: {junk}"),
            ({"cert_file": cert, "key_file": ca.key}, f"key_file: {ca.key}: key values mismatch"),
            ({"cert_file": cert, "key_file": key, "ca_file": str(junk)}, f"ca_file: {junk}"),
            ({"cert_file": cert, "key_file": key, "ca_path": "/none"}, "ca_path: cannot read"),
            ({"cert_file": cert, "key_file": key, "ca_path": str(tmp_path / "empty")},
             f"ca_path: {tmp_path}/empty: no files")):
        path = tmp_path / "bad.json"
        path.write_text(json.dumps({"ports": {"https": free_port(), "http": free_port(),
                                              "dns": -1, "serf_lan": free_port(),
                                              "server": free_port()}, **config}))
        out = subprocess.run([MUSTER, "agent", "-dev", "-docker=off", "-config-file", str(path)],
                             capture_output=True, text=True, timeout=60)
        assert out.returncode == 1 and words in out.stderr, (out.stderr, words)


def test_garbage_and_slow_handshakes(tls_agent, ca):
    a = tls_agent(limits={"https_handshake_timeout": "1s"})
    address = ("127.0.0.1", a.https_port)
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"A" * 70000,
                 b"\x80" * 5000, os.urandom(4096), b"\x15\x03\x03\x00\x02\x02\x28"):
        with socket.create_connection(address, timeout=10 * PATIENCE) as s:
            with contextlib.suppress(ConnectionError):
                s.sendall(data)
                while s.recv(65536):
                    pass
    # who says nothing, or a byte now and then, is closed when its time is over
    slow = [socket.create_connection(address, timeout=10 * PATIENCE) for _ in range(50)]
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
    end = time.monotonic() + 20 * PATIENCE
    begun, n = time.monotonic(), 0
    for i, s in enumerate(slow):
        if i % 2:
            s.sendall(hello[:20])
    with handshake(a, ca) as s:
        assert b"200 OK" in ask(s)  # others are served meanwhile
    while slow:
        assert time.monotonic() < end
        s = slow.pop()
        with contextlib.suppress(ConnectionError):
            assert s.recv(1) == b""
        n += 1
        s.close()
    assert n == 50 and time.monotonic() - begun > 0.9
    with handshake(a, ca) as s:
        assert b"200 OK" in ask(s)


def test_more_handshakes_than_may_be(tls_agent, ca):
    """Whoever waits longest makes room: a flood of silent clients keeps nobody out."""
    a = tls_agent(limits={"https_handshake_timeout": "120s"})
    idle = []
    with contextlib.ExitStack() as stack:
        for _ in range(1100):
            idle.append(stack.enter_context(
                socket.create_connection(("127.0.0.1", a.https_port), timeout=10 * PATIENCE)))
        with handshake(a, ca) as s:
            assert b"200 OK" in ask(s)
        assert idle[0].recv(1) == b""
        idle[-1].settimeout(0.2)
        with pytest.raises(socket.timeout):
            idle[-1].recv(1)


def test_a_thousand_idle_connections(tls_agent, ca):
    a = tls_agent()
    ctx = ssl.create_default_context(cafile=ca.cert)

    def connect():
        raw = socket.create_connection(("127.0.0.1", a.https_port), timeout=30 * PATIENCE)
        s = ctx.wrap_socket(raw, server_hostname="localhost")
        assert b"200 OK" in ask(s)
        return s
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connect())
        before = metric(a, "Pss")
        for _ in range(1000):
            stack.enter_context(connect())
        each = (metric(a, "Pss") - before) / 1000
        print(f"\n1,000 idle TLS connections: {each:.1f} KiB of PSS each")
        if PATIENCE == 1.0 and "asan" not in MUSTER:
            assert each < 24


def test_blocked_queries_over_tls(tls_agent, ca):
    a = tls_agent()
    a.put("/v1/kv/x", "1")
    index = a.get("/v1/kv/x").index
    with handshake(a, ca) as s:
        s.sendall(f"GET /v1/kv/x?index={index}&wait=60s HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        # pipelined behind it, in the same record or not
        s.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n")
        s.settimeout(0.3)
        with pytest.raises(socket.timeout):
            s.recv(1)
        s.settimeout(10 * PATIENCE)
        a.put("/v1/kv/x", "2")
        got = b""
        while got.count(b"HTTP/1.1 200 OK") < 2:
            got += s.recv(65536)
        assert b'"Value":"Mg=="' in got


def test_the_429_is_readable_over_tls(tls_agent, ca):
    a = tls_agent(limits={"http_max_conns_per_client": 3})
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            s = stack.enter_context(handshake(a, ca))
            assert b"200 OK" in ask(s)
        s = stack.enter_context(handshake(a, ca))
        assert b"429 Too Many Requests" in ask(s)


def test_unix_sockets(agents, tmp_path):
    path = str(tmp_path / "http.sock")
    config = tmp_path / "unix.json"
    config.write_text(json.dumps({
        "addresses": {"http": f"127.0.0.1 unix://{path}"},
        "unix_sockets": {"user": "nobody", "group": "65534", "mode": "0640"}}))
    # one that was left behind is replaced
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
    a = agents("-config-file", str(config))
    st = os.stat(path)
    assert stat.S_IMODE(st.st_mode) == 0o640 and st.st_gid == 65534 and st.st_uid != 0
    conn = UnixConnection(path, 10)
    conn.request("GET", "/v1/agent/self")
    assert json.loads(conn.getresponse().read())["Config"]["NodeName"] == "n1"
    conn.close()
    out = subprocess.run([MUSTER, "members", "-http-addr", f"unix://{path}"],
                         capture_output=True, text=True)
    assert "n1" in out.stdout
    # a second agent does not take it away
    b = agents("-config-file", str(config), start=False)
    b.start(wait=False)
    assert b.proc.wait(20 * PATIENCE) == 1 and "somebody does" in b.log()
    b.exit_code = 1
    a.stop()
    assert not os.path.exists(path)


# ---- the port between servers ----

@pytest.fixture
def servers(agents, tmp_path, ca, server_cert):
    """make(config for each) starts servers that join the first."""
    made = []

    def make(*configs, expect=None, wait=True):
        for i, config in enumerate(configs, len(made)):
            path = tmp_path / f"s{i}.json"
            path.write_text(json.dumps({"cert_file": server_cert[0], "key_file": server_cert[1],
                                        "ca_file": ca.cert, **config}))
            a = agents("-server", "-bootstrap-expect", str(expect or len(configs)), "-bind",
                       "127.0.0.1", "-data-dir", str(tmp_path / f"d{i}"), "-config-file",
                       str(path), dev=False, node=f"s{i}", start=False)
            if made:
                a.flags += ["-retry-join", f"127.0.0.1:{made[0].serf_port}",
                            "-retry-interval", "1s"]
            made.append(a.start(wait=False))
        if wait:
            wait_until("a leader", lambda: all(leader(a) for a in made), 40)
        return made
    return make


def leader(a):
    try:
        return a.get("/v1/status/leader").json
    except (OSError, ValueError):
        return ""


def written(a, key):
    try:
        return a.put("/v1/kv/" + key, "1").text == "true"
    except OSError:
        return False


STRICT = {"verify_incoming": True, "verify_outgoing": True, "verify_server_hostname": True}


def test_servers_speak_tls(servers, ca, tmp_path):
    made = servers(STRICT, STRICT, STRICT)
    for i, a in enumerate(made):
        wait_until("a write", lambda: written(a, f"k{i}"), 20)
    value = os.urandom(300 * 1024)  # many records
    assert made[1].put("/v1/kv/big", value).text == "true"
    for a in made:
        wait_until("it is everywhere", lambda: a.get("/v1/kv/big?raw&stale").body == value)
    # what is on the port is TLS, and wants a certificate
    port = made[0].server_port
    out = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile",
                          ca.cert], input=b"", capture_output=True)
    assert b"CN = server.dc1.consul" in out.stdout + out.stderr
    with socket.create_connection(("127.0.0.1", port), timeout=10 * PATIENCE) as s:
        s.sendall(b"muS1" + bytes(100))
        with contextlib.suppress(ConnectionError):
            assert s.recv(1) == b""
    assert "it does not speak TLS" in made[0].log()
    # connections begun after new certificates go on as well
    for a in made:
        a.proc.send_signal(signal.SIGHUP)
    wait_until("reloaded", lambda: all("agent: reloaded" in a.log() for a in made))
    made[0].stop()
    made[0].start(wait=False)
    wait_until("it is back", lambda: written(made[0], "back"), 40)


def test_a_server_with_another_name_or_authority_is_not_believed(servers, ca, tmp_path):
    """One that is no server by its certificate, and one of somebody else's."""
    made = servers(STRICT, expect=1)
    wait_until("a write", lambda: written(made[0], "k"), 20)
    plain = ca.sign("plain", "plain", "DNS:plain")
    other = Authority(tmp_path, "other").sign("evil", "evil", "DNS:server.dc1.consul")
    servers({**STRICT, "cert_file": plain[0], "key_file": plain[1]}, expect=1, wait=False)
    servers({**STRICT, "cert_file": other[0], "key_file": other[1]}, expect=1, wait=False)
    # the leader calls them and does not believe them; they are members, no voters
    wait_until("members", lambda: len(made[0].get("/v1/agent/members").json) == 3, 20)
    wait_until("told", lambda: "mismatch" in made[0].log(), 30)
    wait_until("told", lambda: "certificate" in made[0].log(), 30)
    assert written(made[0], "k2")
    voters = [s["Node"] for s in made[0].get("/v1/operator/raft/configuration").json["Servers"]
              if s["Voter"]]
    assert voters == ["s0"]


def test_one_by_one_from_plain_to_tls(servers):
    """verify_outgoing and verify_incoming follow each other through a running cluster."""
    made = servers({}, {}, {})
    wait_until("a write", lambda: written(made[0], "k"), 20)
    for step in ({"verify_outgoing": True}, {"verify_outgoing": True, "verify_incoming": True}):
        for i, a in enumerate(made):
            path = a.flags[a.flags.index("-config-file") + 1]
            with open(path) as f:
                config = json.load(f)
            with open(path, "w") as f:
                json.dump({**config, **step}, f)
            a.stop()
            a.start(wait=False)
            wait_until("a write", lambda: written(a, "k"), 40)
