#!/usr/bin/env python3
"""Bad input for a gossip port: what an agent must count and drop while its pool goes on.

As a library, for pytest: each attack is a function of a Target. As a program, against any agent
that one may break:

    tests/system/gossip_flood.py 127.0.0.1:8301                 every attack in turn
    tests/system/gossip_flood.py 127.0.0.1:8301 bombs mutated   these
    tests/system/gossip_flood.py --list

Needs nothing but Python. The messages are the protocol's (memberlist's msgpack dialect: raw strings
only, shortest integers); the recorded ones are those of tests/gossip/vectors.
"""
import argparse
import contextlib
import errno
import glob
import itertools
import json
import os
import random
import socket
import struct
import sys
import threading
import time

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "gossip", "vectors")

(PING, INDIRECT_PING, ACK, SUSPECT, ALIVE, DEAD, PUSH_PULL, COMPOUND, USER, COMPRESSED, ENCRYPTED,
 NACK, CRC, ERROR) = range(14)
VSN = bytes([1, 5, 2, 2, 5, 4])
MB = 1000 * 1000
BATCH = 64  # datagrams between two looks at the clock


# messages

def pack(v):
    """msgpack in the old dialect."""
    if v is None:
        return b"\xc0"
    if isinstance(v, bool):
        return b"\xc3" if v else b"\xc2"
    if isinstance(v, int):
        for most, head, fmt in ((127, b"", ">B"), (255, b"\xcc", ">B"), (65535, b"\xcd", ">H"),
                                (2**32 - 1, b"\xce", ">I"), (2**64 - 1, b"\xcf", ">Q")):
            if 0 <= v <= most:
                return head + struct.pack(fmt, v)
        raise ValueError(v)
    if isinstance(v, str):
        v = v.encode()
    if isinstance(v, bytes):
        return raw_head(len(v)) + v
    if isinstance(v, dict):
        head = bytes([0x80 + len(v)]) if len(v) < 16 else b"\xde" + struct.pack(">H", len(v))
        return head + b"".join(pack(k) + pack(v[k]) for k in sorted(v))
    raise TypeError(v)


def raw_head(n):
    if n < 32:
        return bytes([0xa0 + n])
    return b"\xda" + struct.pack(">H", n) if n < 65536 else b"\xdb" + struct.pack(">I", n)


def message(kind, **fields):
    return bytes([kind]) + pack(fields)


def alive(name, ip="192.0.2.1", port=8301, incarnation=1, meta=b"", vsn=VSN):
    return message(ALIVE, Addr=socket.inet_aton(ip), Incarnation=incarnation, Meta=meta, Node=name,
                   Port=port, Vsn=vsn)


def tags(pairs):
    """A node's meta as serf writes it."""
    return b"\xff" + pack(pairs)


def compound(parts, count=None):
    return bytes([COMPOUND, len(parts) if count is None else count]) + \
        b"".join(struct.pack(">H", len(p)) for p in parts) + b"".join(parts)


class Lzw:
    """memberlist's LZW: least significant bit first, codes of 9 to 12 bits."""

    def __init__(self):
        self.out, self.bits, self.held = bytearray(), 0, 0
        self._begin()

    def _begin(self, width=9):
        self._put(256, width)
        self.width, self.hi = 9, 257

    def _put(self, code, width):
        self.held |= code << self.bits
        self.bits += width
        while self.bits >= 8:
            self.out.append(self.held & 255)
            self.held >>= 8
            self.bits -= 8

    def code(self, code):
        """False: the table is full and was begun anew."""
        self._put(code, self.width)
        self.hi += 1
        if self.hi == 1 << self.width:
            self.width += 1
        if self.hi < 4095:
            return True
        self._begin(self.width)
        return False

    def end(self):
        self._put(257, self.width)
        self._put(0, 7)
        return bytes(self.out)


def zeros(packed_max):
    """LZW of at most about so many bytes that unpacks to as many zeros as may be, 1,300 times as
    many in the long run: each code says one zero more than the one before."""
    lzw = Lzw()
    while len(lzw.out) < packed_max:
        code = 0
        while len(lzw.out) < packed_max and lzw.code(code):
            code = 258 if code == 0 else code + 1
    return lzw.end()


def literals(data):
    """LZW without any compression."""
    lzw = Lzw()
    for byte in data:
        lzw.code(byte)
    return lzw.end()


def unpacked(lzw):
    """What LZW of another says."""
    held = bits = at = 0
    width, table, last, out = 9, None, b"", b""
    while True:
        while bits < width:
            held |= lzw[at] << bits
            at, bits = at + 1, bits + 8
        code, held, bits = held & ((1 << width) - 1), held >> width, bits - width
        if code == 257:
            return out
        if code == 256:
            width, table, last = 9, [bytes([i]) for i in range(256)] + [b"", b""], b""
            continue
        text = table[code] if code < len(table) else last + last[:1]
        if last and len(table) < 4096:
            table.append(last + text[:1])
        if len(table) + 1 > 1 << width and width < 12:
            width += 1
        out, last = out + text, text


def bare(packet):
    """A plain packet without its checksum and compression."""
    if packet[:1] == bytes([CRC]):
        packet = packet[5:]
    head = b"\x09\x82\xa4Algo\0\xa3Buf"
    if packet.startswith(head):
        size = packet[len(head)]
        more = {0xda: 3, 0xdb: 5}.get(size, 1)
        packet = unpacked(packet[len(head) + more:])
    return packet


def singles(packet):
    """The single messages of a plain packet."""
    packet = bare(packet)
    if packet[:1] != bytes([COMPOUND]):
        yield packet
        return
    at = 2 + 2 * packet[1]
    for n in struct.unpack_from(f">{packet[1]}H", packet, 2):
        yield from singles(packet[at:at + n])
        at += n


def compressed(lzw, algo=0):
    return message(COMPRESSED, Algo=algo, Buf=lzw)


def node(name, ip="192.0.2.1", port=8301, incarnation=1, state=0, meta=b"", vsn=VSN):
    return pack(dict(Addr=socket.inet_aton(ip), Incarnation=incarnation, Meta=meta, Name=name,
                     Port=port, State=state, Vsn=vsn))


def push_pull(nodes, state=b"", announced=None, state_announced=None, join=False):
    return message(PUSH_PULL, Join=join,
                   Nodes=len(nodes) if announced is None else announced,
                   UserStateLen=len(state) if state_announced is None else state_announced) + \
        b"".join(nodes) + state


def golden(*layers, pattern="*"):
    """Bytes of the recorded messages of these layers: packet, message, stream."""
    found = []
    for path in sorted(glob.glob(os.path.join(VECTORS, pattern + ".json"))):
        with open(path) as f:
            found += [bytes.fromhex(v["hex"]) for v in json.load(f)["vectors"]
                      if v["layer"] in layers]
    return found


def recorded(proto, prefix=""):
    """Bytes of the recorded exchanges between real agents: "udp" datagrams, "tcp" requests."""
    found = []
    for path in sorted(glob.glob(os.path.join(VECTORS, "exchanges", prefix + "*.json"))):
        with open(path) as f:
            found += [bytes.fromhex(s["hex"]) for s in json.load(f)["steps"]
                      if s["proto"] == proto and s.get("role") != "server"]
    return found


def mutated(data, rng):
    """One change, as a fuzzer makes it."""
    data = bytearray(data)
    at = rng.randrange(len(data) + 1)
    how = rng.randrange(6)
    if how == 0:
        del data[at:]
    elif how == 1:
        data[at:at] = rng.randbytes(rng.randrange(1, 64))
    elif how == 2 and data:
        data[at % len(data)] ^= 1 << rng.randrange(8)
    elif how == 3 and data:
        data[at % len(data)] = rng.choice((0, 1, 0x7f, 0x80, 0x90, 0xc0, 0xdb, 0xdd, 0xdf, 0xff))
    elif how == 4:
        data[at:at + 4] = b"\xff\xff\xff\xff"
    else:
        del data[at:at + rng.randrange(1, 16)]
    return bytes(data)


# throwing

class Target:
    """A gossip port; `source`: the address that the bad input comes from."""

    def __init__(self, host, port=8301, source=None, seconds=3.0, rate=50000, names=()):
        self.at = (host, port)
        self.source = source
        self.seconds, self.rate = seconds, rate
        self.names = list(names)  # of members of its pool
        self.rng = random.Random(3)

    def family(self):
        return socket.AF_INET6 if ":" in self.at[0] else socket.AF_INET

    def _socket(self, kind):
        s = socket.socket(self.family(), kind)
        if self.source:
            s.bind((self.source, 0))
        return s

    def throw(self, packets, rate=None, seconds=None):
        """Datagrams from an iterable, at most `rate` per second for so long. How many left."""
        rate, sent = rate or self.rate, 0
        packets = iter(packets)
        begun = time.monotonic()
        end = begun + (seconds or self.seconds)
        with contextlib.closing(self._socket(socket.SOCK_DGRAM)) as s:
            s.connect(self.at)
            while (now := time.monotonic()) < end:
                if sent > (now - begun) * rate:
                    time.sleep(sent / rate - (now - begun))
                some = list(itertools.islice(packets, BATCH))
                for packet in some:
                    try:
                        s.send(packet)
                    except OSError as e:
                        # of an earlier one: whether the agent is gone is for others to see
                        if e.errno not in (errno.ECONNREFUSED, errno.EMSGSIZE, errno.ENOBUFS):
                            raise
                sent += len(some)
                if len(some) < BATCH:
                    break
        return sent

    def connect(self):
        s = self._socket(socket.SOCK_STREAM)
        s.settimeout(15)
        s.connect(self.at)
        return s

    def stream(self, *pieces, end=False):
        """One connection: what it answered until it closed, or None when it was cut."""
        answer = b""
        try:
            with contextlib.closing(self.connect()) as s:
                for piece in pieces:
                    s.sendall(piece)
                if end:
                    s.shutdown(socket.SHUT_WR)
                while True:
                    got = s.recv(65536)
                    if not got:
                        return answer
                    answer += got
        except (ConnectionError, socket.timeout):
            return None


class Capture:
    """What others send to a gossip port on loopback meanwhile, as datagrams (needs root)."""

    ETH_P_IP, ETH_HEAD, UDP_HEAD = 0x0800, 14, 8

    def __init__(self, host, port=8301):
        self.to, self.port = socket.inet_aton(host), port
        self.packets = []

    def __enter__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(self.ETH_P_IP))
        self.socket.bind(("lo", self.ETH_P_IP))
        self.socket.settimeout(0.1)
        self.ending = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.ending = True
        self.thread.join()
        self.socket.close()

    def _run(self):
        while not self.ending:
            try:
                frame, where = self.socket.recvfrom(65536)
            except socket.timeout:
                continue
            if where[2] != socket.PACKET_OUTGOING:  # each is seen as it leaves and as it comes
                self._take(frame[self.ETH_HEAD:])

    def _take(self, ip):
        at = (ip[0] & 15) * 4
        if ip[9] != socket.IPPROTO_UDP or ip[16:20] != self.to or len(ip) < at + self.UDP_HEAD:
            return
        port, size = struct.unpack_from(">HH", ip, at + 2)
        if port == self.port:
            self.packets.append(ip[at + self.UDP_HEAD:at + size])


def cycle(rng, packets):
    packets = list(packets)
    rng.shuffle(packets)
    return itertools.cycle(packets)


# the attacks; each returns how many datagrams or connections it took

def random_packets(t):
    """Random bytes of any length, half of them with the type of some message."""
    def some():
        n = t.rng.randrange(1500)
        head = b"" if t.rng.randrange(2) else bytes([t.rng.choice((*range(14), 244))])
        return head + t.rng.randbytes(n)
    return t.throw(cycle(t.rng, [some() for _ in range(5000)]))


def mutated_packets(t):
    """Recorded messages of real agents, each changed a little."""
    base = [p for p in golden("packet", "message") + recorded("udp") if len(p) < 60000]
    made = [mutated(t.rng.choice(base), t.rng) for _ in range(20000)]
    return t.throw(cycle(t.rng, made))


def mutated_streams(t):
    """Recorded requests of real agents, each changed a little, on connections of their own."""
    base = golden("stream") + recorded("tcp")
    end, count = time.monotonic() + t.seconds, 0
    while time.monotonic() < end:
        t.stream(mutated(t.rng.choice(base), t.rng), end=True)
        count += 1
    return count


def wrong_key(t):
    """Well-formed packets and streams of another pool's key."""
    packets = [p for p in recorded("udp", "enc-") if p[:1] in (b"\0", b"\1")]
    sent = t.throw(cycle(t.rng, packets))
    for stream in recorded("tcp", "enc-"):
        t.stream(stream, end=True)
    return sent


def replayed(t):
    """Whole exchanges that were recorded long ago, again and again."""
    sent = t.throw(cycle(t.rng, recorded("udp", "plain-") + recorded("udp", "five-") +
                         recorded("udp", "enc-")), rate=5000)
    for stream in recorded("tcp"):
        t.stream(stream, end=True)
    return sent


def many_tags(t):
    """A node that announces 10,000 tags: as many as a datagram holds, and all by a stream."""
    all_tags = {f"t{i}": "x" for i in range(10000)}
    part = {k: all_tags[k] for k in itertools.islice(all_tags, 6500)}
    packet = alive("tagged", meta=tags(part), incarnation=7)
    assert len(packet) < 65507
    sent = t.throw([packet, compound([alive("tagged2", meta=tags(part))])])
    t.stream(push_pull([node("tagged3", meta=tags(all_tags))]))
    return sent + 1


def large_meta(t):
    """A node whose meta has 1 MB, or just more than is allowed."""
    sent = t.throw(alive(f"meta{i}", meta=b"\xff" + b"m" * n)
                   for i, n in enumerate((512, 513, 4096, 60000)))
    for n in (513, 60000, MB):
        t.stream(push_pull([node("meta", meta=b"m" * n)]))
    return sent + 3


def one_name(t):
    """Two nodes with one name: a stranger's, each member's, and the agent's own."""
    def claims():
        for i in itertools.count(1):
            for name in (*t.names, "twin"):
                yield alive(name, ip=f"192.0.2.{1 + i % 2}", incarnation=i,
                            meta=tags({"role": "x"}))
                yield alive(name, ip="192.0.2.9", incarnation=2**32 - 1 - i)
    return t.throw(claims(), rate=2000)


def bodies_of_100_mb(t):
    """Push/pulls and user messages of 100 MB, announced and sent."""
    chunk = t.rng.randbytes(MB)
    for head in (push_pull([], state_announced=100 * MB), push_pull([], announced=1000000),
                 message(USER, UserMsgLen=100 * MB),
                 bytes([ENCRYPTED]) + struct.pack(">I", 100 * MB),
                 b"\x09\x82\xa4Algo\0\xa3Buf\xdb" + struct.pack(">I", 100 * MB)):
        t.stream(head, *[chunk] * 100)
    return 5


def bodies_side_by_side(t, count=32, each=15 * MB):
    """As many connections as one host may have, each of which sends most of an allowed body."""
    chunk = bytes(MB)
    open_ones = []
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            with contextlib.suppress(ConnectionError, socket.timeout):
                s = stack.enter_context(contextlib.closing(t.connect()))
                s.sendall(push_pull([], state_announced=each + 1))
                open_ones.append(s)
        for _ in range(each // MB):
            for s in open_ones:
                with contextlib.suppress(ConnectionError, socket.timeout):
                    s.sendall(chunk)
    return count


def bombs(t):
    """Compressed packets that unpack to gigabytes, alone, in compounds, in each other."""
    inner = compressed(literals(alive("bomb")))
    for _ in range(20):
        inner = compressed(literals(inner))
    small = compressed(zeros(300))
    nested = compound([small] * 4)
    for _ in range(12):
        nested = compound([nested, small])
    packets = [compressed(zeros(60000)), compound([small] * 150), inner, nested,
               compressed(b"\xff" * 1000), compressed(b""), compressed(zeros(100), algo=1)]
    packets = [p for p in packets if len(p) < 65507]
    sent = t.throw(cycle(t.rng, packets), rate=5000)
    large = zeros(2 * MB)  # some 2.6 GB
    t.stream(compressed(large))
    t.stream(compressed(literals(b"\x09" + b"\x82" * 1000)))
    return sent + 2


def announced_more(t):
    """Headers that announce more than they carry, or more than there is in the world."""
    most = b"\xff\xff\xff\xff"
    packets = [
        compound([], 255), bytes([COMPOUND]), bytes([COMPOUND, 255]) + b"\xff\xff" * 255,
        compound([alive("cut")], 200), compound([compound([], 255)] * 100),
        b"\x04\xdf" + most, b"\x04\xde\xff\xff", b"\x04\x81\xdb" + most + b"Node",
        b"\x04\x81\xa4Meta\xdb" + most, b"\x04\x81\xa4Meta\xdd" + most,
        b"\x04\x81\xa4Meta\xc6" + most,
        b"\x04\x81\xa4Evil" + b"\x91" * 60000, b"\x04\x81\xa4Evil" + b"\x81\xa1x" * 20000,
        b"\x0c" + most + alive("crc"), b"\xf4\xff" + b"label", b"\xf4\0", b"\xf4",
        bytes([USER]), bytes([USER, 0xc5]), bytes([USER, 0xc5]) + most * 50,
        bytes([USER, 3]) + b"\x85" + most,
    ]
    sent = t.throw(cycle(t.rng, packets), rate=20000)
    streams = [
        push_pull([node("one")], announced=2), push_pull([node("one")], announced=2**31 - 1),
        push_pull([node("one")], announced=2**63 - 1), push_pull([], state_announced=2**31 - 1),
        push_pull([], state=b"x", state_announced=20 * MB), message(USER, UserMsgLen=2**31 - 1),
        message(USER, UserMsgLen=1000) + b"\xc5", bytes([ENCRYPTED]) + most,
        bytes([ENCRYPTED]) + b"\0\0\0\x01x", bytes([PUSH_PULL]) + b"\xdf" + most,
        push_pull([b"\x81\xa4Meta\xdb" + most]), push_pull([b"\xdf" + most]),
        push_pull([b"\x81\xa4Evil" + b"\x91" * 100000]), b"\xf4\xffx", b"\xf4\0",
        push_pull([], state=b"\x81\xa5LTime\xdb" + most),
        push_pull([], state=b"\xdf" + most), bytes([PING]) + b"\xdf" + most, bytes([77]),
        b"GET /\r\n",
    ]
    for s in streams:
        t.stream(s, end=True)
    return sent + len(streams)


def short_versions(t):
    """Nodes whose array of versions has not six bytes, or impossible ones."""
    versions = [b"", *(VSN[:n] for n in range(1, 6)), bytes(6), b"\xff" * 6, VSN * 2,
                bytes([9, 9, 9, 9, 9, 9])]
    packets = [alive(f"short{i}", vsn=v, incarnation=3) for i, v in enumerate(versions)]
    packets.append(message(ALIVE, Addr=b"\xc0\0\2\1", Incarnation=1, Node="none", Port=8301))
    packets += [message(ALIVE, Addr=a, Incarnation=1, Node=f"odd{len(a)}", Port=8301, Vsn=VSN)
                for a in (b"", b"\1", b"\1\2\3", b"\1" * 5, b"\1" * 15, b"\1" * 17)]
    sent = t.throw(packets * 20)
    for i, v in enumerate(versions):
        t.stream(push_pull([node(f"pp-short{i}", vsn=v)], join=True), end=True)
    return sent + len(versions)


def many_names(t):
    """As many strangers as can be made up, alive and dead, and user events."""
    def names():
        for i in itertools.count():
            yield alive(f"stranger-{i}", ip=f"192.0.{i >> 8 & 255}.{i & 255}",
                        meta=tags({"role": "x" * 400}))
            yield message(DEAD, From="x", Incarnation=1, Node=f"stranger-{i - 5}")
            yield bytes([USER, 3]) + pack(dict(CC=False, LTime=i, Name=f"e{i}", Payload=b"p" * 400))
    return t.throw(names(), rate=10000)


def never_sending(t, count=200):
    """Connections that say nothing, or a byte now and then, for as long as they are left open."""
    request, at = push_pull([node("slow")], join=True), 0
    with contextlib.ExitStack() as stack:
        silent = []
        for _ in range(count):
            with contextlib.suppress(ConnectionError, socket.timeout):
                silent.append(stack.enter_context(contextlib.closing(t.connect())))
        end = time.monotonic() + t.seconds
        while time.monotonic() < end and at < len(request) - 1:
            for s in silent[::2]:
                with contextlib.suppress(OSError):
                    s.send(request[at:at + 1])
            at += 1
            time.sleep(t.seconds / 50)
    return len(silent)


ATTACKS = {f.__name__: f for f in (
    random_packets, mutated_packets, mutated_streams, wrong_key, replayed, many_tags, large_meta,
    one_name, bodies_of_100_mb, bodies_side_by_side, bombs, announced_more, short_versions,
    many_names, never_sending)}


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("address", nargs="?", help="HOST or HOST:PORT of an agent's gossip port")
    p.add_argument("attacks", nargs="*", metavar="ATTACK", help="which; all when none is named")
    p.add_argument("--list", action="store_true", help="name the attacks")
    p.add_argument("--seconds", type=float, default=3.0, help="how long each flood lasts")
    p.add_argument("--rate", type=int, default=50000, help="datagrams per second at most")
    p.add_argument("--source", help="address that it comes from")
    p.add_argument("--name", action="append", default=[], help="a member of the pool")
    a = p.parse_args()
    if a.list or not a.address:
        for name, f in ATTACKS.items():
            print(f"{name:20} {f.__doc__.splitlines()[0]}")
        return 0 if a.list else 2
    unknown = [n for n in a.attacks if n not in ATTACKS]
    if unknown:
        p.error(f"no such attack: {', '.join(unknown)} (--list names them)")
    host, _, port = a.address.rpartition(":") if a.address.count(":") == 1 else (a.address, "", "")
    t = Target(host or a.address, int(port or 8301), a.source, a.seconds, a.rate, a.name)
    for name in a.attacks or ATTACKS:
        begun = time.monotonic()
        count = ATTACKS[name](t)
        print(f"{name:20} {count:8} in {time.monotonic() - begun:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
