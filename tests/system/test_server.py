"""The HTTP server itself: gzip, headers and limits from the configuration, who may write."""
import contextlib
import gzip
import json
import socket
import threading

import pytest

from harness import PATIENCE, wait_until


@pytest.fixture
def configured(agents, tmp_path):
    def make(**config):
        path = tmp_path / "http.json"
        path.write_text(json.dumps(config))
        return agents("-config-file", str(path))
    return make


def connect(agent, source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", agent.http_port), timeout=10 * PATIENCE,
                                    source_address=(source, 0))


def read_answer(f):
    """One answer from a file of a socket: status, headers (small letters), body."""
    status = int(f.readline().split()[1])
    headers = {}
    while True:
        line = f.readline().rstrip(b"\r\n")
        if not line:
            break
        name, value = line.split(b":", 1)
        headers[name.decode().lower()] = value.strip().decode()
    return status, headers, f.read(int(headers["content-length"]))


def register(agent, n, name="web"):
    for i in range(n):
        agent.put("/v1/agent/service/register",
                  {"Name": name, "ID": f"{name}{i}", "Port": 1000 + i, "Tags": ["a", "b"]})


def test_gzip_for_who_asks(agent):
    register(agent, 20)
    path = "/v1/health/service/web?passing"
    plain = wait_until("all are there",
                       lambda: len((a := agent.get(path)).json) == 20 and a)
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Vary"] == "Accept-Encoding"
    for _ in range(3):  # made, and kept
        packed = agent.get(path, headers={"Accept-Encoding": "deflate, gzip;q=0.8"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert len(packed.body) < len(plain.body) / 4
        assert gzip.decompress(packed.body) == plain.body
        assert packed.headers["X-Consul-Index"] == plain.headers["X-Consul-Index"]
        assert agent.get(path).body == plain.body
    for other in ("gzip;q=0", "deflate", "identity", "*"):
        a = agent.get(path, headers={"Accept-Encoding": other})
        assert "Content-Encoding" not in a.headers and a.body == plain.body
    small = agent.get("/v1/status/leader", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in small.headers
    # a new state is packed anew
    register(agent, 1, "web2")
    agent.put("/v1/agent/service/deregister/web0")
    wait_until("one less", lambda: len(json.loads(gzip.decompress(
        agent.get(path, headers={"Accept-Encoding": "gzip"}).body))) == 19)
    # keys, which are not kept; noise does not get smaller
    value = b"x" * 100000
    agent.put("/v1/kv/x", value)
    a = agent.get("/v1/kv/x?raw", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(a.body) == value


def test_many_readers_wake_packed_and_plain(agent):
    register(agent, 20)
    path = "/v1/health/service/web?passing"
    first = wait_until("all are there",
                       lambda: len((a := agent.get(path)).json) == 20 and a)
    with contextlib.ExitStack() as stack:
        readers = []
        for i in range(60):
            s = stack.enter_context(connect(agent))
            extra = b"Accept-Encoding: gzip\r\n" if i % 3 else b""
            s.sendall(f"GET {path}&index={first.index}&wait=60s HTTP/1.1\r\nHost: x\r\n".encode()
                      + extra + b"\r\n")
            readers.append((bool(extra), stack.enter_context(s.makefile("rb"))))
        # all are parked once a request behind them was answered
        agent.get("/v1/status/leader")
        agent.put("/v1/agent/service/deregister/web3")
        bodies = set()
        for packed, f in readers:
            status, headers, body = read_answer(f)
            assert status == 200 and (headers.get("content-encoding") == "gzip") == packed
            bodies.add(gzip.decompress(body) if packed else body)
        assert len(bodies) == 1 and len(json.loads(bodies.pop())) == 19


def test_response_headers_and_cors(configured):
    a = configured(http_config={"response_headers": {
        "Access-Control-Allow-Origin": "*", "X-Cluster": "blue"}})
    for method, path, status in (("GET", "/v1/status/leader", 200), ("GET", "/v1/nothing", 404),
                                 ("OPTIONS", "/v1/kv/x", 200), ("DELETE", "/v1/status/leader", 405)):
        got = a.request(method, path)
        assert got.status == status
        assert got.headers["Access-Control-Allow-Origin"] == "*"
        assert got.headers["X-Cluster"] == "blue"
    assert a.request("OPTIONS", "/v1/kv/x").headers["Allow"] == "OPTIONS,GET,PUT,DELETE"
    assert "GET" in a.request("DELETE", "/v1/status/leader").headers["Allow"]


def test_blocked_endpoints(configured):
    a = configured(http_config={"block_endpoints": ["/v1/kv/secret", "/v1/health"]})
    a.put("/v1/kv/open", "1")
    for path in ("/v1/kv/secret", "/v1/kv/secret/x?raw", "/v1/kv/s%65cret", "/v1/health/node/n1"):
        for _ in range(2):  # an answer that is kept does not get around it
            got = a.get(path)
            assert got.status == 403
            assert got.text == "Endpoint is blocked by agent configuration"
    assert a.get("/v1/kv/open").status == 200 and a.get("/v1/catalog/nodes").status == 200


def test_who_may_write(configured):
    a = configured(http_config={"allow_write_http_from": ["127.0.0.2/32", "10.0.0.0/8"]})
    got = a.put("/v1/kv/x", "1")
    assert got.status == 403 and got.text == "Access is restricted"
    assert a.request("DELETE", "/v1/kv/x").status == 403
    assert a.get("/v1/kv/x").status == 404
    with connect(a, "127.0.0.2") as s:
        s.sendall(b"PUT /v1/kv/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1")
        assert read_answer(s.makefile("rb"))[0] == 200
    assert a.get("/v1/kv/x?raw").body == b"1"


def test_limits_from_the_configuration(configured):
    a = configured(http_config={"max_header_bytes": 2048},
                   limits={"http_max_conns_per_client": 5})
    assert a.get("/v1/status/leader", headers={"X": "a" * 1000}).status == 200
    assert a.get("/v1/status/leader", headers={"X": "a" * 3000}).status == 431
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            s = stack.enter_context(connect(a))
            s.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_answer(s.makefile("rb"))[0] == 200
        s = stack.enter_context(connect(a))
        status, headers, body = read_answer(s.makefile("rb"))
        assert status == 429 and b"Too many connections from your address" in body
        # another address is another client
        s = stack.enter_context(connect(a, "127.0.0.3"))
        s.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(s.makefile("rb"))[0] == 200


def test_a_slow_loris_is_let_go(agent):
    """A byte now and then does not keep a connection: a request has its time as a whole."""
    end = threading.Event()

    def drip(s):
        with contextlib.suppress(OSError):
            for byte in b"GET /v1/status/leader HTTP/1.1\r\nX: " + b"a" * 1000:
                if end.wait(0.5):
                    return
                s.sendall(bytes([byte]))
    with contextlib.ExitStack() as stack:
        slow, threads = [], []
        for _ in range(20):
            s = stack.enter_context(connect(agent))
            slow.append(s)
            threads.append(threading.Thread(target=drip, args=(s,)))
            threads[-1].start()
        stack.callback(end.set)
        assert agent.get("/v1/status/leader").status == 200
        for s in slow:
            s.settimeout(30 * PATIENCE)
            f = s.makefile("rb")
            status, headers, body = read_answer(f)
            assert status == 408 and headers["connection"] == "close"
        end.set()
        for t in threads:
            t.join()
