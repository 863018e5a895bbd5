"""Input that is wrong, huge, slow or cut off: a clear error or nothing, and the agent goes on."""
import os
import random
import resource
import select
import socket
import struct
import time

import dns.flags
import dns.message
import dns.rcode
import pytest

from harness import wait_until


def alive(agent):
    assert agent.get("/v1/agent/self").status == 200
    assert agent.dns("n1.node.consul").rcode() == dns.rcode.NOERROR


def udp(agent, packet, seconds=0.3):
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.settimeout(seconds)
        s.sendto(packet, ("127.0.0.1", agent.dns_port))
        try:
            return s.recv(65535)
        except socket.timeout:
            return None


def question(name=b"\x01n\x00", count=1, flags=0x0100, more=b""):
    return struct.pack(">6H", 0x1234, flags, count, 0, 0, 0) + name + b"\0\x01\0\x01" + more


@pytest.mark.parametrize("packet", [
    b"", b"\x12", b"\x12\x34\x01\x00\x00", question(b"\xc0\x0c"), question(b"\xc0\x0e\xc0\x0c"),
    question(b"\x3f" + b"a" * 63 + b"\x40" + b"b" * 64 + b"\0"),
    question((b"\x3f" + b"a" * 63) * 4 + b"\x01a\0"), question(count=0), question(count=2),
    question(count=65535), question(b"\x05ab"), question(flags=0x8100), os.urandom(512),
    question(b"\x00")[:14],
], ids=range(14))
def test_broken_dns_packets(agent, packet):
    answer = udp(agent, packet)
    if answer is not None:
        assert len(answer) >= 12 and answer[2] & 0x80  # a response
    alive(agent)


def test_dns_over_tcp_one_byte_at_a_time(agent):
    q = dns.message.make_query("n1.node.consul", "A").to_wire()
    with socket.create_connection(("127.0.0.1", agent.dns_port)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(q) + 2):
            s.sendall((struct.pack(">H", len(q)) + q)[i:i + 1])
        s.settimeout(10)
        size, = struct.unpack(">H", s.recv(2, socket.MSG_WAITALL))
        assert dns.message.from_wire(s.recv(size, socket.MSG_WAITALL)).answer
    with socket.create_connection(("127.0.0.1", agent.dns_port)) as s:
        for _ in range(200):  # 64 KiB of nothing, in small pieces
            s.sendall(b"\xff\xff" if _ == 0 else b"\0" * 327)
        s.settimeout(10)
        s.sendall(b"\0" * (65535 - 199 * 327))
        try:
            s.recv(65535)
        except ConnectionResetError:
            pass
    alive(agent)


def http(agent, data, seconds=10):
    """Raw bytes to the HTTP port; what came back until it closed or fell silent."""
    with socket.create_connection(("127.0.0.1", agent.http_port)) as s:
        s.settimeout(seconds)
        out = b""
        try:
            s.sendall(data)
            while True:
                piece = s.recv(65536)
                if not piece:
                    break
                out += piece
                if out.startswith(b"HTTP/1.1 2") and b"\r\n\r\n" in out:
                    break
        except (ConnectionResetError, BrokenPipeError):
            pass
        return out


@pytest.mark.parametrize("data, status", [
    (b"nonsense\r\n\r\n", b"400"),
    (b"GET / HTTP/9.9\r\n\r\n", b"505"),
    (b"GET /v1/agent/self HTTP/1.1\r\n\r\n", b"400"),  # no Host
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"y" * 200000 + b"\r\n\r\n", b"431"),
    (b"PUT /v1/agent/service/register HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
     b"Content-Length: 2\r\n\r\n{}", b"400"),
    (b"PUT /v1/agent/service/register HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"400"),
    (b"PUT /v1/agent/service/register HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"zz\r\n", b"400"),
], ids=range(7))
def test_broken_http(agent, data, status):
    assert http(agent, data).split(b" ")[1:2] == [status]
    alive(agent)


def test_a_body_of_ten_mebibytes(agent):
    body = b'{"Name": "' + b"x" * (10 << 20) + b'"}'
    out = http(agent, b"PUT /v1/agent/service/register HTTP/1.1\r\nHost: a\r\nContent-Length: "
               + str(len(body)).encode() + b"\r\n\r\n" + body)
    assert out == b"" or out.split(b" ")[1] == b"413"
    assert agent.services() == {}
    alive(agent)


def test_deep_json(agent):
    for body in (b"[" * 100000, b'{"Name":' * 100000, b'{"Meta":' + b"[" * 100 + b"]" * 100 + b"}"):
        answer = agent.put("/v1/agent/service/register", body)
        assert answer.status == 400 and answer.body
    alive(agent)


def test_slow_clients_do_not_hold_others_up(agent):
    slow = [socket.create_connection(("127.0.0.1", agent.http_port)) for _ in range(50)]
    try:
        for s in slow:
            s.sendall(b"GET /v1/agent/self HTTP/1.1\r\nHo")
        alive(agent)
        # the agent gives them up by itself
        slow[0].settimeout(30)
        while slow[0].recv(4096):
            pass
        alive(agent)
    finally:
        for s in slow:
            s.close()


def test_two_thousand_idle_connections(agent):
    idle = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        for _ in range(2000):
            idle.append(socket.create_connection(("127.0.0.1", agent.http_port)))
        alive(agent)
        poll = select.poll()
        for s in idle:
            poll.register(s, select.POLLIN)
        refused = {fd for fd, _ in poll.poll(0)}
        for s in idle:  # over a limit: told so, never silently closed
            if s.fileno() in refused:
                assert b"429" in s.recv(4096)
    finally:
        for s in idle:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    alive(agent)


def test_a_client_that_goes_away_frees_its_query(agent):
    index = agent.get("/v1/catalog/nodes").index
    before = len(os.listdir(f"/proc/{agent.proc.pid}/fd"))
    waiting = []
    for _ in range(100):
        s = socket.create_connection(("127.0.0.1", agent.http_port))
        s.sendall(f"GET /v1/catalog/nodes?index={index}&wait=60s HTTP/1.1\r\nHost: a\r\n\r\n"
                  .encode())
        waiting.append(s)
    for s in waiting:
        s.close()
    wait_until("all are freed",
               lambda: len(os.listdir(f"/proc/{agent.proc.pid}/fd")) <= before + 2)


def test_names_that_are_no_names(agent):
    for name in ("with.dots", "under_score", "a b", "x" * 300, "\u00fc"):
        assert agent.put("/v1/agent/service/register", {"Name": name}).status == 200
    for port in (0, 65536, -1):
        assert agent.put("/v1/agent/service/register", {"Name": f"p{port}", "Port": port}).status \
            == 200
    invalid = b'{"Name": "bad\xff", "Port": 1}'
    assert agent.put("/v1/agent/service/register", invalid).status == 200
    assert "bad\ufffd" in agent.services()
    assert agent.dns("under_score.service.consul", "SRV").answer
    alive(agent)


def test_chunks_and_pipelines(agent):
    body = b'{"Name":"chunked"}'
    chunked = b"".join(b"1\r\n" + bytes([c]) + b"\r\n" for c in body) + b"0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", agent.http_port)) as s:
        s.settimeout(10)
        s.sendall(b"PUT /v1/agent/service/register HTTP/1.1\r\nHost: a\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n" + chunked
                  + b"GET /v1/catalog/service/chunked HTTP/1.1\r\nHost: a\r\n\r\n"
                  + b"GET /v1/status/leader HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        out = b""
        while True:
            piece = s.recv(65536)
            if not piece:
                break
            out += piece
    assert out.count(b"HTTP/1.1 200 OK") == 3 and b'"ServiceName":"chunked"' in out


@pytest.mark.parametrize("opcode", [1, 2, 3, 5, 6, 15])
def test_opcodes_that_are_not_known(agent, opcode):
    packet = question(flags=opcode << 11 | 0x0100)
    answer = udp(agent, packet, 5)
    assert answer[:2] == packet[:2] and answer[2] >> 3 & 15 == opcode
    assert answer[3] & 15 == dns.rcode.NOTIMP
    alive(agent)


@pytest.mark.parametrize("rdclass", [3, 4, 254, 255])
def test_classes_that_are_not_internet(agent, rdclass):
    """As Consul: ours are answered whatever the class, others are refused."""
    for name, code in (("n1.node.consul", dns.rcode.NOERROR), ("version.bind", dns.rcode.REFUSED)):
        for _ in range(3):  # also when it is kept
            q = dns.message.make_query(name, "TXT" if "bind" in name else "A", rdclass)
            assert dns.message.from_wire(udp(agent, q.to_wire(), 5)).rcode() == code


def test_responses_are_not_answered(agent):
    """Else two servers would talk to each other for ever."""
    for name in ("n1.node.consul", "absent.node.consul", "version.bind"):
        for _ in range(3):
            agent.dns(name)
            q = dns.message.make_query(name, "A")
            q.flags |= dns.flags.QR
            assert udp(agent, q.to_wire(), 0.1) is None
            with socket.create_connection(("127.0.0.1", agent.dns_port)) as s:
                s.sendall(struct.pack(">H", len(q.to_wire())) + q.to_wire())
                s.settimeout(10)
                assert s.recv(2) == b""


@pytest.mark.parametrize("at, count", [(6, 2), (6, 65535), (8, 2), (8, 65535), (10, 3),
                                       (10, 65535), (4, 0), (4, 2)])
def test_counts_that_are_wrong(agent, at, count):
    wire = bytearray(dns.message.make_query("n1.node.consul", "A").to_wire())
    wire[at:at + 2] = struct.pack(">H", count)
    answer = udp(agent, bytes(wire), 5)
    assert answer[:2] == wire[:2] and answer[3] & 15 == dns.rcode.FORMERR


def test_the_longest_names(agent):
    """Labels of 63 bytes and a name of 255 are names; one byte more is none."""
    label = b"\x3f" + b"a" * 63
    rest = b"\x04node\x06consul\x00"
    longest = label * 3 + bytes([255 - 3 * 64 - len(rest) - 1]) + b"b" * (
        255 - 3 * 64 - len(rest) - 1) + rest
    assert len(longest) == 255
    assert dns.message.from_wire(udp(agent, question(longest), 5)).rcode() == dns.rcode.NXDOMAIN
    over = longest.replace(b"b" * 4, b"b" * 5, 1)
    over = over[:192] + bytes([over[192] + 1]) + over[193:]
    assert udp(agent, question(over), 5)[3] & 15 == dns.rcode.FORMERR
    long_label = b"\x40" + b"a" * 64 + rest
    assert udp(agent, question(long_label), 5)[3] & 15 == dns.rcode.FORMERR


def rss(agent):
    with open(f"/proc/{agent.proc.pid}/statm") as f:
        return int(f.read().split()[1]) * 4


def test_names_that_are_made_up_do_not_make_it_grow(agent):
    """100,000 of them, each with its own answer."""
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", agent.dns_port))
        s.settimeout(5)
        wire = dns.message.make_query("x" * 16 + ".service.consul", "A").to_wire()

        def burst(n):
            for i in range(0, n, 50):  # few enough for every buffer
                for k in range(50):
                    s.send(wire[:13] + b"%016x" % random.getrandbits(63) + wire[29:])
                for k in range(50):
                    assert s.recv(4096)[3] & 15 == dns.rcode.NXDOMAIN
        burst(5000)
        before = rss(agent)
        burst(100000)
        assert rss(agent) < before + 4096
    alive(agent)


def test_random_dns_packets_do_not_make_it_grow(agent):
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.setblocking(False)
        valid = bytearray(dns.message.make_query("web.service.consul", "SRV").to_wire())

        def burst(n):
            for i in range(n):
                p = bytearray(valid)
                p[12 + i % (len(p) - 12)] = os.urandom(1)[0]
                s.sendto(p, ("127.0.0.1", agent.dns_port))
                try:
                    s.recv(65535)
                except BlockingIOError:
                    pass
        burst(5000)
        alive(agent)
        before = rss(agent)
        burst(20000)
        alive(agent)
        assert rss(agent) < before + 4096
