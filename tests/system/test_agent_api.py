"""What an agent tells of itself: figures, log, host, version; reading its files again."""
import base64
import http.server
import json
import os
import shutil
import socket
import subprocess
import threading

from harness import Agent, wait_until


def figures(agent):
    """Prometheus' text as {(name, labels): value}."""
    out = {}
    for line in agent.get("/v1/agent/metrics?format=prometheus").text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            out[name] = float(value)
    return out


def gauges(agent):
    return {g["Name"]: g["Value"] for g in agent.get("/v1/agent/metrics").json["Gauges"]}


def test_promtool_takes_the_figures(agent):
    agent.put("/v1/agent/service/register", {"Name": "web", "Check": {"TTL": "1h"}})
    agent.get("/v1/kv/a?recurse")
    agent.dns("web.service.consul")
    assert shutil.which("promtool"), "Debian's prometheus is needed"
    answer = agent.get("/v1/agent/metrics?format=prometheus")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    out = subprocess.run(["promtool", "check", "metrics"], input=answer.body,
                         capture_output=True, timeout=60)
    assert (out.returncode, out.stdout, out.stderr) == (0, b"", b"")


def test_figures_follow_what_happens(agent):
    before = figures(agent)
    agent.put("/v1/agent/service/register", {"Name": "web", "Check": {"TTL": "1h"}})
    for _ in range(3):
        agent.dns("web.service.consul", "SRV")
        agent.dns("none.service.consul")
        assert agent.get("/v1/catalog/services").status == 200
    agent.put("/v1/kv/a", "1")
    after = figures(agent)

    def grown(name):
        return after[name] - before.get(name, 0)

    assert grown("consul_state_service_instances") == 1
    assert grown("consul_state_kv_entries") == 1
    assert grown("muster_agent_services") == 1
    assert grown('muster_dns_questions_total{type="SRV"}') == 3
    assert grown('muster_dns_answers_total{rcode="NXDOMAIN"}') >= 3
    assert grown('consul_api_http_count{method="GET",path="v1_catalog_services"}') == 3
    assert grown('consul_api_http_count{method="PUT",path="v1_kv_"}') == 1
    assert grown("muster_http_requests_total") >= 6
    assert after["consul_server_is_leader"] == 1
    assert after['muster_members{state="alive"}'] == 1
    assert after["consul_runtime_sys_bytes"] > 100000
    assert "consul_runtime_alloc_bytes" in after  # 0 where another allocator stands in for libc's


def test_a_request_takes_as_long_as_it_waits(agent):
    name = 'consul_api_http_sum{method="GET",path="v1_kv_"}'
    index = agent.put("/v1/kv/a", "1") and agent.get("/v1/kv/a").index
    before = figures(agent)[name]
    agent.get(f"/v1/kv/a?index={index}&wait=500ms")
    assert figures(agent)[name] - before >= 490  # milliseconds


def test_json_figures_are_consuls(agent):
    agent.dns("web.service.consul")
    answer = agent.get("/v1/agent/metrics").json
    assert list(answer) == ["Timestamp", "Gauges", "Points", "Counters", "Samples"]
    assert answer["Timestamp"].endswith(" +0000 UTC") and answer["Points"] == []
    assert set(answer["Gauges"][0]) == {"Name", "Value", "Labels"}
    summary = {"Name", "Count", "Rate", "Sum", "Min", "Max", "Mean", "Stddev", "Labels"}
    asked = [c for c in answer["Counters"] if c["Name"] == "muster.dns.questions"]
    assert set(asked[0]) == summary and asked[0]["Count"] == 1
    assert asked[0]["Labels"] == {"type": "A"}
    assert set(answer["Samples"][0]) == summary
    assert gauges(agent)["consul.server.isLeader"] == 1


def test_telemetry_says_which_figures(tmp_path):
    folder = tmp_path / "conf"
    folder.mkdir()
    path = folder / "a.hcl"
    path.write_text('telemetry { metrics_prefix = "dc" disable_hostname = false\n'
                    'prefix_filter = ["-muster.", "+muster.dns.answers"]\n'
                    'prometheus_retention_time = "60s" }')
    agent = Agent(str(tmp_path), "-config-dir", str(folder)).start()
    try:
        names = set(n.split("{")[0] for n in figures(agent))
        assert "dc_n1_state_nodes" in names and "muster_dns_answers_total" in names
        assert "muster_dns_truncated_total" not in names
        path.write_text("telemetry { filter_default = false }")
        assert agent.put("/v1/agent/reload").status == 200
        assert figures(agent) == {}
        path.write_text('telemetry { prefix_filter = ["consul"] }')
        agent.put("/v1/agent/reload")
        assert figures(agent) == {} and "neither + nor -" in agent.log()
    finally:
        assert agent.stop() == 0


def test_host_and_version(agent):
    host = agent.get("/v1/agent/host").json
    assert list(host) == ["Memory", "CPU", "Host", "Disk", "CollectionTime", "Errors"]
    assert host["Memory"]["total"] > host["Memory"]["used"] > 0
    assert len(host["CPU"]) >= 1 and host["CPU"][0]["cpu"] == 0
    assert host["Host"]["hostname"] == socket.gethostname()
    assert host["Host"]["kernelVersion"] == os.uname().release
    assert host["Disk"]["total"] > 0
    version = agent.get("/v1/agent/version").json["HumanVersion"]
    assert version == agent.get("/v1/agent/self").json["Config"]["Version"]


class Reader:
    """A client of the log, which reads in a thread of its own."""

    def __init__(self, agent, query=""):
        self.sock = socket.create_connection((agent.address, agent.http_port))
        self.sock.sendall(f"GET /v1/agent/monitor{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.text, self.over = "", threading.Event()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while data := self.sock.recv(65536):
            self.text += data.decode()
        self.over.set()

    def has(self, text, seconds=10):
        wait_until(f"the log says {text!r}", lambda: text in self.text, seconds)


def test_the_log_is_streamed_by_level(agent):
    all_, few = Reader(agent, "?loglevel=info"), Reader(agent, "?loglevel=error")
    assert agent.get("/v1/agent/monitor?loglevel=loud").status == 400
    all_.has("Transfer-Encoding: chunked")
    few.has("Transfer-Encoding: chunked")
    wait_until("two readers", lambda: figures(agent)["muster_monitor_readers"] == 2)
    agent.put("/v1/agent/reload")
    all_.has("info  agent: reloaded")
    assert "reloaded" not in few.text
    js = Reader(agent, "?logjson")
    js.has("chunked\r\n\r\n")
    agent.put("/v1/agent/reload")
    js.has('"@message":"reloaded"')
    line = next(x for x in js.text.splitlines() if "reloaded" in x)
    assert json.loads(line)["@module"] == "agent"
    all_.sock.shutdown(socket.SHUT_RDWR)
    few.sock.shutdown(socket.SHUT_RDWR)
    wait_until("readers that went are let go", lambda: figures(agent)["muster_monitor_readers"] == 1)
    agent.stop()  # ends the stream in good order
    assert js.over.wait(10) and js.text.endswith("0\r\n\r\n")


def test_readers_of_the_log_are_limited(agent):
    readers = []
    for _ in range(16):
        readers.append(Reader(agent))
        readers[-1].has("chunked\r\n\r\n")
    assert agent.get("/v1/agent/monitor").status == 429
    for r in readers:
        r.sock.shutdown(socket.SHUT_RDWR)


def test_reload_reads_the_files_again(tmp_path):
    folder = tmp_path / "conf"
    folder.mkdir()
    path = folder / "a.hcl"
    path.write_text('service { name = "one" }')
    agent = Agent(str(tmp_path), "-config-dir", str(folder)).start()
    try:
        assert list(agent.services()) == ["one"]
        path.write_text('service { name = "two" check { name = "disk" ttl = "1h" } }')
        answer = agent.put("/v1/agent/reload")
        assert (answer.status, answer.text) == (200, "")
        assert list(agent.services()) == ["two"]
        assert [c["Name"] for c in agent.get("/v1/agent/checks").json.values()] == ["disk"]
        path.write_text("service { nome = 1 }")
        answer = agent.put("/v1/agent/reload")
        assert answer.status == 500 and "a.hcl" in answer.text
        assert list(agent.services()) == ["two"]
    finally:
        assert agent.stop() == 0


WATCHES = """
watches = [
  {{ type = "key" key = "a" args = ["sh", "-c", "cat >> {out}/key; echo $CONSUL_INDEX >> {out}/index"] }},
  {{ type = "service" service = "web" passingonly = true handler = "cat >> {out}/service" }},
]
watches {{
  type = "keyprefix" prefix = "h/" handler_type = "http"
  http_handler_config {{ path = "http://127.0.0.1:{port}/x" method = "PUT" timeout = "5s" header {{ X-A = ["b"] }} }}
}}
"""


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def test_watches_of_config_files(tmp_path):
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = tmp_path / "conf"
    folder.mkdir()
    path = folder / "a.hcl"
    path.write_text(WATCHES.format(out=tmp_path, port=server.server_port))
    agent = Agent(str(tmp_path), "-config-dir", str(folder)).start()
    try:
        wait_until("each ran once", lambda: lines(tmp_path / "key") == ["null"] and
                   lines(tmp_path / "service") == ["[]"] and len(got) == 1)
        agent.put("/v1/kv/a", "1")
        agent.put("/v1/kv/h/x", "2")
        agent.put("/v1/agent/service/register", {"Name": "web", "Port": 7})
        wait_until("a key", lambda: len(lines(tmp_path / "key")) == 2)
        assert json.loads(lines(tmp_path / "key")[1])["Value"] == "MQ=="
        wait_until("its index", lambda: lines(tmp_path / "index")[1:] ==
                   [str(agent.get("/v1/kv/a").index)])
        wait_until("a service", lambda: len(lines(tmp_path / "service")) == 2)
        assert json.loads(lines(tmp_path / "service")[1])[0]["Service"]["Port"] == 7
        wait_until("a URL", lambda: len(got) == 2)
        where, headers, data = got[1]
        assert where == "/x" and headers["X-A"] == "b" and data[0]["Key"] == "h/x"
        assert headers["X-Consul-Index"] == str(agent.get("/v1/kv/h/?recurse").index)
        # what stays in the files goes on, what is gone ends
        path.write_text('watches { type = "key" key = "a" args = '
                        f'["sh", "-c", "cat >> {tmp_path}/key; exit 1"] }}')
        assert agent.put("/v1/agent/reload").status == 200
        wait_until("the new one ran", lambda: len(lines(tmp_path / "key")) == 3)
        agent.put("/v1/kv/a", "3")
        wait_until("again", lambda: len(lines(tmp_path / "key")) == 4)
        assert figures(agent)["muster_watches"] == 1
        wait_until("failures count", lambda: figures(agent)["muster_watches_failed_total"] >= 2)
        path.write_text('watches { type = "moon" }')
        answer = agent.put("/v1/agent/reload")
        assert answer.status == 500 and "Unsupported watch type: moon" in answer.text
        assert len(got) == 2
    finally:
        assert agent.stop() == 0
        server.shutdown()


def test_a_handler_never_runs_twice_at_once(tmp_path):
    folder = tmp_path / "conf"
    folder.mkdir()
    out = tmp_path / "out"
    (folder / "a.hcl").write_text(
        'watches { type = "key" key = "a" handler = '
        f'"echo begin >> {out}; cat >> {out}; sleep 0.3; echo end >> {out}" }}')
    agent = Agent(str(tmp_path), "-config-dir", str(folder)).start()
    try:
        for i in range(20):
            agent.put("/v1/kv/a", str(i))
        last = base64.b64encode(b"19").decode()
        wait_until("the last value is handled", lambda: len(lines(out)) % 3 == 0 and
                   last in "".join(lines(out)[-2:]))
        assert lines(out)[0::3] == ["begin"] * (len(lines(out)) // 3)
        assert lines(out)[2::3] == ["end"] * (len(lines(out)) // 3)
        assert len(lines(out)) // 3 < 20
    finally:
        assert agent.stop() == 0
