"""Each kind of check goes passing, critical, passing, with a real counterpart; and what is kept."""
import contextlib
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from harness import free_port, wait_until

SCRIPTS = "-enable-script-checks"


def register(agent, name, check, **service):
    r = agent.put("/v1/agent/service/register", {"Name": name, "Check": check, **service})
    assert r.status == 200, r.text


def check_of(agent, name):
    return agent.get("/v1/agent/checks").json[f"service:{name}"]


def becomes(agent, name, status, output=None, seconds=10):
    def there():
        c = check_of(agent, name)
        seen.append(f"{c['Status']}: {c['Output']}")
        return c["Status"] == status and (output is None or output in c["Output"])
    seen = []
    try:
        wait_until(f"{name} {status} {output or ''}", there, seconds)
    except AssertionError as e:
        raise AssertionError(f"{e}; {seen[-1]}") from None
    # who asks for healthy instances sees the same
    wait_until("answers follow", lambda: bool(agent.passing(name)) == (status == "passing"))
    wait_until("DNS follows", lambda: bool(agent.dns_data(f"{name}.service.consul", "SRV")) ==
               (status != "critical"))


class Page(http.server.ThreadingHTTPServer):
    """A web server whose next answers can be chosen."""
    daemon_threads, request_queue_size = True, 1024

    def __init__(self, context=None):
        self.status, self.body, self.wait, self.seen = 200, "fine", 0, []
        self.headers = {}
        super().__init__(("127.0.0.1", 0), PageHandler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def at(self):
        return f"127.0.0.1:{self.server_address[1]}"

    def close(self):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        pass


class PageHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        s = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        s.seen.append((self.command, self.path, dict(self.headers), body))
        time.sleep(s.wait)
        self.send_response(s.status)
        self.send_header("Content-Length", str(len(s.body)))
        for name, value in s.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(s.body.encode())

    do_POST = do_PUT = do_GET

    def log_message(self, *args):
        pass


@pytest.fixture
def page():
    with contextlib.closing(Page()) as p:
        yield p


def test_http(agent, page):
    register(agent, "web", {"HTTP": f"http://{page.at}/health?x=1", "Interval": "1s",
                            "Method": "POST", "Body": "b", "Header": {"X-A": ["1", "2"]}})
    becomes(agent, "web", "passing", f"HTTP POST http://{page.at}/health?x=1: 200 OK Output: fine")
    method, path, headers, body = page.seen[0]
    assert (method, path, body) == ("POST", "/health?x=1", "b")
    assert headers["User-Agent"] == "Consul Health Check"
    page.status, page.body = 503, "no"
    becomes(agent, "web", "critical", "503 Service Unavailable Output: no")
    page.status = 429
    becomes(agent, "web", "warning", "429 Too Many Requests")
    page.status = 200
    becomes(agent, "web", "passing")


def test_http_by_name_and_a_name_that_is_none(agent, page):
    port = page.server_address[1]
    register(agent, "web", {"HTTP": f"http://localhost:{port}/", "Interval": "1s"})
    becomes(agent, "web", "passing", f"HTTP GET http://localhost:{port}/: 200 OK")
    register(agent, "none", {"HTTP": f"http://no-such-host.invalid:{port}/", "Interval": "1s",
                             "Status": "passing"})
    becomes(agent, "none", "critical", "lookup no-such-host.invalid", 15)


def test_http_follows_to_where_it_is_sent(agent, page):
    with contextlib.closing(Page()) as first:
        first.status, first.headers = 302, {"Location": f"http://{page.at}/there"}
        register(agent, "web", {"HTTP": f"http://{first.at}/", "Interval": "1s"})
        becomes(agent, "web", "passing", "200 OK Output: fine")
        assert page.seen[0][1] == "/there"
        page.status = 500
        becomes(agent, "web", "critical", "500 Internal Server Error")
        page.status = 200
        becomes(agent, "web", "passing")


def test_http_that_does_not_answer_in_time(agent, page):
    page.wait = 3
    register(agent, "web", {"HTTP": f"http://{page.at}/", "Interval": "1s", "Timeout": "200ms",
                            "Status": "passing"})
    becomes(agent, "web", "critical", "context deadline exceeded")
    page.wait = 0
    becomes(agent, "web", "passing")


@pytest.fixture
def certificate(tmp_path):
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=web.example", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return types.SimpleNamespace(cert=cert, key=key)


@pytest.fixture
def tls_page(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    names = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    with contextlib.closing(Page(context)) as p:
        p.names = names
        yield p


def test_https(agent, tls_page):
    url = f"https://{tls_page.at}/"
    register(agent, "strict", {"HTTP": url, "Interval": "1s", "Status": "passing"})
    becomes(agent, "strict", "critical", "certificate")
    register(agent, "web", {"HTTP": url, "Interval": "1s", "TLSSkipVerify": True,
                            "TLSServerName": "web.example"})
    becomes(agent, "web", "passing", f"HTTP GET {url}: 200 OK Output: fine")
    assert "web.example" in tls_page.names
    assert any(h["Host"] == tls_page.at for _, _, h, _ in tls_page.seen)
    tls_page.status = 500
    becomes(agent, "web", "critical", "500 Internal Server Error")
    tls_page.status = 200
    becomes(agent, "web", "passing")


def test_tcp(agent):
    port = free_port()

    def listen():
        return socket.create_server(("127.0.0.1", port))
    with listen():
        register(agent, "db", {"TCP": f"127.0.0.1:{port}", "Interval": "1s"})
        becomes(agent, "db", "passing", f"TCP connect 127.0.0.1:{port}: Success")
    becomes(agent, "db", "critical", f"dial tcp 127.0.0.1:{port}: connect: connection refused")
    with listen():
        becomes(agent, "db", "passing")


def test_udp(agent):
    port = free_port()

    def listen():
        s = socket.socket(type=socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", port))
        return s
    with listen():
        register(agent, "log", {"UDP": f"127.0.0.1:{port}", "Interval": "1s"})
        becomes(agent, "log", "passing", f"UDP connect 127.0.0.1:{port}: Success")
    becomes(agent, "log", "critical", "connection refused")
    with listen():
        becomes(agent, "log", "passing")


class Health(grpc.GenericRpcHandler):
    """grpc.health.v1.Health/Check by hand: one service name, one status."""

    def __init__(self):
        self.status = 1

    def service(self, details):
        if details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(self.check)
        return None

    def check(self, request, context):
        if request not in (b"", b"\x0a\x04main"):
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return bytes([8, self.status])


def grpc_server(health, credentials=None):
    server = grpc.server(ThreadPoolExecutor(2), handlers=[health])
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    return server, port


def test_grpc(agent):
    health = Health()
    server, port = grpc_server(health)
    try:
        register(agent, "api", {"GRPC": f"127.0.0.1:{port}", "Interval": "1s"})
        register(agent, "main", {"GRPC": f"127.0.0.1:{port}/main", "Interval": "1s"})
        register(agent, "other", {"GRPC": f"127.0.0.1:{port}/other", "Interval": "1s",
                                  "Status": "passing"})
        becomes(agent, "api", "passing", f"gRPC check 127.0.0.1:{port}: success")
        becomes(agent, "main", "passing", f"gRPC check 127.0.0.1:{port}/main: success")
        becomes(agent, "other", "critical", "code = NotFound desc = unknown service")
        health.status = 2
        becomes(agent, "api", "critical", "didn't report service healthy")
        health.status = 1
        becomes(agent, "api", "passing")
    finally:
        server.stop(None).wait()
    becomes(agent, "api", "critical", "code = Unavailable")


def test_grpc_over_tls(agent, certificate):
    with open(certificate.cert, "rb") as cert, open(certificate.key, "rb") as key:
        credentials = grpc.ssl_server_credentials([(key.read(), cert.read())])
    health = Health()
    server, port = grpc_server(health, credentials=credentials)
    try:
        register(agent, "api", {"GRPC": f"127.0.0.1:{port}", "GRPCUseTLS": True,
                                "TLSSkipVerify": True, "Interval": "1s"})
        register(agent, "strict", {"GRPC": f"127.0.0.1:{port}", "GRPCUseTLS": True,
                                   "Interval": "1s", "Status": "passing"})
        becomes(agent, "api", "passing", f"gRPC check 127.0.0.1:{port}: success")
        becomes(agent, "strict", "critical", "certificate")
        health.status = 2
        becomes(agent, "api", "critical", "didn't report service healthy")
        health.status = 1
        becomes(agent, "api", "passing")
    finally:
        server.stop(None).wait()


def test_script(agents, tmp_path):
    agent = agents(SCRIPTS)
    says = tmp_path / "says"
    says.write_text("exit 0")
    register(agent, "job", {"Args": ["/bin/sh", "-c", f"echo $PPID; . {says}"],
                            "Interval": "1s"})
    becomes(agent, "job", "passing", str(agent.proc.pid))
    says.write_text("echo so so; exit 1")
    becomes(agent, "job", "warning", "so so\n")
    says.write_text("echo bad >&2; exit 7")
    becomes(agent, "job", "critical", "bad\n")
    says.write_text("exit 0")
    becomes(agent, "job", "passing")
    says.write_text("sleep 1000")
    agent.put("/v1/agent/service/register", {"Name": "job", "Check": {
        "Args": ["/bin/sh", "-c", f". {says}"], "Interval": "1s", "Timeout": "300ms"}})
    becomes(agent, "job", "critical", "Timed out (300ms) running check")
    agent.put("/v1/agent/service/deregister/job")
    wait_until("nothing is left running", lambda: not children(agent.proc.pid))


def children(pid):
    out = []
    for p in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{p}/stat") as f:
                words = f.read().rsplit(")", 1)[1].split()
            if int(words[1]) == pid:
                out.append(int(p))
    return out


def test_scripts_are_off_unless_enabled(agent):
    r = agent.put("/v1/agent/service/register", {"Name": "x", "Check": {
        "Args": ["/bin/true"], "Interval": "1s"}})
    assert r.status != 200 and "Scripts are disabled" in r.text


def test_alias(agent):
    register(agent, "web", {"TTL": "60s", "Status": "passing"})
    register(agent, "front", {"AliasService": "web"})
    becomes(agent, "front", "passing", "All checks passing.")
    agent.put("/v1/agent/check/fail/service:web?note=broken")
    becomes(agent, "front", "critical", "Aliased check \"Service 'web' check\" failing: broken")
    agent.put("/v1/agent/check/pass/service:web")
    becomes(agent, "front", "passing")
    agent.put("/v1/agent/service/deregister/web")
    becomes(agent, "front", "critical", "Service web could not be found on node n1")


def test_ttl(agent):
    register(agent, "job", {"TTL": "2s"})
    assert check_of(agent, "job")["Status"] == "critical"  # nobody has said anything yet
    agent.put("/v1/agent/check/pass/service:job?note=well")
    becomes(agent, "job", "passing", "well")
    becomes(agent, "job", "critical", "TTL expired")
    agent.put("/v1/agent/check/update/service:job", {"Status": "warning", "Output": "so so"})
    becomes(agent, "job", "warning", "so so")
    agent.put("/v1/agent/check/fail/service:job?note=bad")
    becomes(agent, "job", "critical", "bad")
    agent.put("/v1/agent/check/pass/service:job")
    becomes(agent, "job", "passing")


def test_in_a_container(agents, docker):
    docker.docker("run", "-d", "--name", "c1", "web")
    agent = agents(SCRIPTS, docker=docker.url)
    register(agent, "inside", {"DockerContainerID": "c1", "Interval": "1s",
                               "Args": ["sh", "-c", "echo in; echo two >&2; test -e /tmp/ok"],
                               "Status": "critical"})
    becomes(agent, "inside", "warning", "in\ntwo\n")
    docker.docker("exec", "c1", "touch", "/tmp/ok")
    becomes(agent, "inside", "passing", "in\ntwo\n")
    docker.docker("kill", "c1")
    becomes(agent, "inside", "critical", "is not running")
    docker.docker("start", "c1")
    becomes(agent, "inside", "passing")


def test_dockers_own_healthcheck(agents, docker):
    docker.docker("run", "-d", "--name", "h1", "-p", "127.0.0.1:0:80", "-e", "SERVICE_NAME=web",
                  "--health-cmd", "test -e /tmp/ok", "--health-interval", "0.3s",
                  "--health-retries", "1", "web")
    agent = agents(docker=docker.url)

    def shown():
        return bool(agent.passing("web"))

    def is_critical():
        return [c["Status"] for c in agent.get("/v1/health/checks/web").json] == ["critical"]
    for _ in range(2):
        wait_until("critical", is_critical, 20)
        assert not shown()
        docker.docker("exec", "h1", "touch", "/tmp/ok")
        wait_until("passing", shown, 20)
        docker.docker("exec", "h1", "rm", "/tmp/ok")
    wait_until("critical again", is_critical, 20)


def test_keys_of_a_container_make_checks(agents, docker, tmp_path):
    agent = agents("-data-dir", str(tmp_path / "data"), "-server", "-bootstrap", "-bind",
                   "127.0.0.1", docker=docker.url, dev=False)
    docker.docker("run", "-d", "--name", "w1", "-p", "127.0.0.1:0:80", "-e", "SERVICE_NAME=web",
                  "-e", "SERVICE_80_CHECK_HTTP=/index.html", "-e",
                  "SERVICE_80_CHECK_INTERVAL=1s", "web")
    wait_until("registered", lambda: any(s["Service"] == "web"
                                         for s in agent.services().values()))
    service = next(s["ID"] for s in agent.services().values() if s["Service"] == "web")

    def status():
        return agent.get("/v1/agent/checks").json[f"service:{service}"]["Status"]
    wait_until("passing", lambda: status() == "passing")
    assert agent.passing("web")
    docker.docker("exec", "w1", "mv", "/www/index.html", "/www/away.html")
    wait_until("critical", lambda: status() == "critical")
    assert not agent.passing("web")
    docker.docker("exec", "w1", "mv", "/www/away.html", "/www/index.html")
    wait_until("passing again", lambda: status() == "passing")
    # after a restart Docker tells of the container anew; its check is as it was
    agent.proc.send_signal(signal.SIGKILL)
    agent.proc.wait(20)
    agent.start()
    wait_until("registered again", lambda: service in agent.services())
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        assert status() == "passing"


def statuses(agent, index, name, stop):
    """Every status of a service's check that a watcher of the catalog sees."""
    seen = []
    while not stop.is_set():
        try:
            r = agent.get(f"/v1/health/checks/{name}?index={index}&wait=1s")
        except OSError:
            time.sleep(0.01)
            continue
        index = r.index
        seen += [c["Status"] for c in r.json]
    return seen


def test_nothing_flaps_when_registered_again_or_restarted(agents, page, tmp_path):
    agent = agents("-data-dir", str(tmp_path / "data"), "-server", "-bootstrap", "-bind",
                   "127.0.0.1", dev=False)
    check = {"HTTP": f"http://{page.at}/", "Interval": "1s", "FailuresBeforeCritical": 3}
    register(agent, "web", check)
    becomes(agent, "web", "passing", "Output: fine")
    stop, seen = threading.Event(), []
    watching = threading.Thread(target=lambda: seen.extend(statuses(agent, 1, "web", stop)))
    watching.start()
    for tag in ("a", "b", "c"):
        register(agent, "web", check, Tags=[tag])
        time.sleep(0.3)
    page.body = "as good"
    for end in (signal.SIGTERM, signal.SIGKILL):
        page.status = 500
        agent.proc.send_signal(end)
        agent.proc.wait(20)
        agent.start()
        time.sleep(0.6)  # a first run, which fails; one alone does not count
        page.status = 200
        assert "200 OK" in check_of(agent, "web")["Output"]
    register(agent, "web", {**check, "FailuresBeforeCritical": 2})
    stop.set()
    watching.join(20)
    assert set(seen) == {"passing"}, seen


def test_no_thread_is_made(agent):
    before = os.listdir(f"/proc/{agent.proc.pid}/task")
    register(agent, "web", {"HTTP": "http://localhost:1/", "Interval": "1s"})
    becomes(agent, "web", "critical", "connection refused")
    assert os.listdir(f"/proc/{agent.proc.pid}/task") == before  # for names neither


def test_deregister_critical_service_after_takes_no_less_than_a_minute(agent):
    register(agent, "web", {"TCP": "127.0.0.1:1", "Interval": "1s",
                            "DeregisterCriticalServiceAfter": "1s"})
    becomes(agent, "web", "critical", "refused")
    time.sleep(2.5)
    assert "web" in agent.services()


def test_a_critical_service_goes_when_its_time_is_up(agents, page, tmp_path):
    """Also when the agent was started anew meanwhile: then its time begins again. Consul's key for the
    least time makes that short."""
    config = tmp_path / "short.json"
    config.write_text('{"check_deregister_interval_min": "3s"}')
    agent = agents("-data-dir", str(tmp_path / "data"), "-server", "-bootstrap", "-bind",
                   "127.0.0.1", "-config-file", str(config), dev=False)
    closed = {"TCP": "127.0.0.1:1", "Interval": "1s"}
    after = {"DeregisterCriticalServiceAfter": "1s"}
    register(agent, "plain", closed)
    register(agent, "patient", {**closed, "DeregisterCriticalServiceAfter": "10m"})
    register(agent, "well", {"HTTP": f"http://{page.at}/", "Interval": "1s", **after})
    becomes(agent, "well", "passing")
    for end in (None, signal.SIGTERM, signal.SIGKILL):
        register(agent, "web", {**closed, **after}, Port=80)
        began = time.monotonic()
        becomes(agent, "web", "critical", "refused")
        agent.put("/v1/agent/check/register", {"ID": "more", "Name": "more", "TTL": "600s",
                                               "ServiceID": "web", "Status": "passing"})
        if end is not None:
            agent.proc.send_signal(end)
            agent.proc.wait(20)
            began = time.monotonic()
            agent.start()
            assert check_of(agent, "web")["Status"] == "critical"
        assert len(agent.get("/v1/catalog/service/web").json) == 1
        wait_until("it is gone", lambda: "web" not in agent.services(), 15)
        assert time.monotonic() - began >= 2.9
        assert agent.get("/v1/catalog/service/web").json == []
        assert agent.get("/v1/health/checks/web").json == []
        assert "more" not in agent.get("/v1/agent/checks").json
        assert "critical for too long" in agent.log()
    agent.proc.kill()
    agent.proc.wait(20)
    agent.start()
    assert sorted(agent.services()) == ["patient", "plain", "well"]
    # well again in time, it stays; then it goes, too
    page.status = 500
    becomes(agent, "well", "critical")
    page.status = 200
    becomes(agent, "well", "passing")
    time.sleep(3.2)
    assert "well" in agent.services()
    page.status = 500
    wait_until("it is gone", lambda: "well" not in agent.services(), 15)


def test_so_many_in_a_row_count(agent, page):
    register(agent, "web", {"HTTP": f"http://{page.at}/", "Interval": "1s", "Status": "passing",
                            "SuccessBeforePassing": 2, "FailuresBeforeCritical": 2})
    becomes(agent, "web", "passing", "200 OK")  # a run that is over: it is not told 500 any more
    good = len(page.seen)
    page.status = 500
    wait_until("a failed run", lambda: len(page.seen) > good)
    time.sleep(0.3)
    status = check_of(agent, "web")["Status"]
    assert status == "passing" or len(page.seen) > good + 1  # the first of two
    failed = len(page.seen)
    becomes(agent, "web", "critical", "500")
    assert len(page.seen) >= failed + 1
    page.status, began = 200, len(page.seen)
    becomes(agent, "web", "passing", "200 OK")
    assert len(page.seen) >= began + 2


def test_output_is_cut(agents, page):
    agent = agents(SCRIPTS)
    page.body = "x" * 50000
    register(agent, "web", {"HTTP": f"http://{page.at}/", "Interval": "1s"})
    register(agent, "little", {"HTTP": f"http://{page.at}/", "Interval": "1s",
                               "OutputMaxSize": 20})
    register(agent, "job", {"Args": ["/bin/sh", "-c", "head -c 50000 /dev/zero | tr '\\0' y"],
                            "Interval": "1s"})
    becomes(agent, "web", "passing", "Output: " + "x" * 100)
    becomes(agent, "little", "passing", "Output: " + "x" * 20)
    becomes(agent, "job", "passing", "y" * 100)
    assert "x" * 21 not in check_of(agent, "little")["Output"]
    assert all(len(check_of(agent, name)["Output"]) < 4096 + 200 for name in ("web", "job"))


def test_a_reload_keeps_what_is_known(agents, page, tmp_path):
    config = tmp_path / "web.json"
    config.write_text(json.dumps({"service": {"name": "web", "check": {
        "http": f"http://{page.at}/", "interval": "1s", "failures_before_critical": 3}}}))
    agent = agents("-config-file", str(config))
    becomes(agent, "web", "passing", "Output: fine")
    index = agent.get("/v1/health/service/web?passing").index
    page.status = 500
    for _ in range(5):  # each reads the files anew; one failure is not enough
        r = agent.put("/v1/agent/reload")
        if r.status == 404:
            agent.proc.send_signal(signal.SIGHUP)
        time.sleep(0.05)
        c = check_of(agent, "web")
        assert (c["Status"], "Output: fine" in c["Output"]) == ("passing", True)
    page.status = 200
    assert agent.get("/v1/health/service/web?passing").index == index


def test_many_checks_at_once(agent, page):
    """Registered in a burst, all run soon, and the agent goes on answering."""
    count = 500
    checks = [{"HTTP": f"http://{page.at}/{i}", "Interval": "30s"} for i in range(count)]
    for n in range(0, count, 100):
        body = {"Name": f"s{n}", "Checks": checks[n:n + 100]}
        assert agent.put("/v1/agent/service/register", json.dumps(body)).status == 200
    wait_until("all ran", lambda: all(c["Status"] == "passing" for c in
                                      agent.get("/v1/agent/checks").json.values()), 30, 0.1)
    assert len({path for _, path, _, _ in page.seen}) == count
