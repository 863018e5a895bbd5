"""Hosts of the tests' own on one network: a namespace each, joined by a switch that can misbehave.

The switch is a process of this file: it holds one tap device per namespace, carries the frames, and
drops, delays, reorders or cuts as it is told. So the faults need nothing of the kernel (no netem)
and come from a seed. A frame's hosts are known by the last byte of their addresses (02:…:NN).
"""
import contextlib
import ctypes
import fcntl
import heapq
import itertools
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP_NO_PI = 0x1002
CLONE_NEWNET = 0x40000000
FRAME_MAX = 65536
QUEUE_MAX = 100000  # frames that are held back at once

_libc = ctypes.CDLL(None, use_errno=True)


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside(namespace):
    """New sockets of this thread belong to the namespace; None: they stay where we are."""
    if namespace is None:
        yield
        return
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open("/run/netns/" + namespace, os.O_RDONLY)
    try:
        _setns(there)
        yield
    finally:
        _setns(here)
        os.close(here)
        os.close(there)


def ip(*words):
    out = subprocess.run(["ip", *words], capture_output=True, text=True)
    if out.returncode:
        raise AssertionError(f"ip {' '.join(words)}: {out.stderr}")
    return out.stdout


_networks = itertools.count()


class Network:
    """`count` hosts at SUBNET.1, SUBNET.2 … on one link."""

    def __init__(self, count, seed=1):
        number = next(_networks)
        self.names = [f"mt{os.getpid()}-{number}-{i + 1}" for i in range(count)]
        self.subnet = f"10.{83 + number % 100}.{os.getpid() % 251}"
        self.seed = seed
        self.proc = None

    def address(self, i):
        return f"{self.subnet}.{i + 1}"

    def start(self):
        for name in self.names:
            ip("netns", "add", name)
        self.proc = subprocess.Popen([sys.executable, "-B", __file__, str(self.seed), *self.names],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.tell()  # answered once the devices are there
        for i, name in enumerate(self.names):
            self.ip(i, "link", "set", "lo", "up")
            self.ip(i, "link", "set", "eth0", "address", f"02:00:00:00:00:{i + 1:02x}")
            self.ip(i, "addr", "add", self.address(i) + "/24", "dev", "eth0")
            self.ip(i, "link", "set", "eth0", "up")
        return self

    def ip(self, i, *words):
        return ip("-n", self.names[i], *words)

    def tell(self, **orders):
        """cut=[[from, to], …] (one-way), loss=0…1, delay_ms, jitter_ms, tcp_only (datagrams are not
        carried); what is not named stays.
        Returns [frames carried, frames dropped] so far."""
        self.proc.stdin.write(json.dumps(orders) + "\n")
        self.proc.stdin.flush()
        return json.loads(self.proc.stdout.readline())

    def partition(self, *sides):
        """Only hosts of one side reach each other."""
        side = {host: n for n, hosts in enumerate(sides) for host in hosts}
        every = range(len(self.names))
        self.tell(cut=[[a, b] for a in every for b in every if side.get(a) != side.get(b)])

    def heal(self):
        self.tell(cut=[], loss=0, delay_ms=0, jitter_ms=0, tcp_only=False)

    def link(self, i, up):
        self.ip(i, "link", "set", "eth0", "up" if up else "down")

    def stop(self):
        if self.proc is not None:
            self.proc.stdin.close()  # its end
            self.proc.wait()
            self.proc.stdout.close()
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def is_udp(frame):
    return frame[12:14] == b"\x08\x00" and frame[23] == 17


class Switch:
    def __init__(self, seed, names):
        self.random = random.Random(seed)
        self.taps = []
        self.cut, self.loss, self.delay_ms, self.jitter_ms = set(), 0.0, 0, 0
        self.tcp_only = False
        self.held = []  # (when, number, to, frame)
        self.carried = self.dropped = 0
        for name in names:
            with inside(name):
                fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
                fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TAP_NO_PI))
                with contextlib.suppress(FileNotFoundError):  # no IPv6 at all: as well
                    with open("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "w") as f:
                        f.write("1")
            self.taps.append(fd)

    def order(self, orders):
        if "cut" in orders:
            self.cut = {tuple(pair) for pair in orders.pop("cut")}
        for key, value in orders.items():
            setattr(self, key, value)
        print(json.dumps([self.carried, self.dropped]), flush=True)

    def carry(self, sender, frame):
        to = frame[5] - 1
        if frame[0] & 1:  # to all
            targets = [i for i in range(len(self.taps)) if i != sender]
        else:
            targets = [to] if 0 <= to < len(self.taps) else []
        for to in targets:
            if (sender, to) in self.cut or self.random.random() < self.loss or \
                    len(self.held) >= QUEUE_MAX or self.tcp_only and is_udp(frame):
                self.dropped += 1
                continue
            self.carried += 1
            if self.delay_ms or self.jitter_ms:
                late = self.delay_ms + self.random.uniform(0, self.jitter_ms)
                heapq.heappush(self.held, (time.monotonic() + late / 1000, self.carried, to, frame))
            else:
                self.put(to, frame)

    def put(self, to, frame):
        with contextlib.suppress(OSError):  # its link is down, or it reads too slowly
            os.write(self.taps[to], frame)

    def run(self):
        poll = select.poll()
        poll.register(0, select.POLLIN)
        sender = {fd: i for i, fd in enumerate(self.taps)}
        for fd in self.taps:
            poll.register(fd, select.POLLIN)
        while True:
            wait = None
            if self.held:
                wait = max(0, self.held[0][0] - time.monotonic()) * 1000
            for fd, _ in poll.poll(wait):
                if fd == 0:
                    line = sys.stdin.readline()
                    if not line:
                        return
                    self.order(json.loads(line))
                    continue
                with contextlib.suppress(OSError):
                    self.carry(sender[fd], os.read(fd, FRAME_MAX))
            while self.held and self.held[0][0] <= time.monotonic():
                _, _, to, frame = heapq.heappop(self.held)
                self.put(to, frame)


if __name__ == "__main__":
    Switch(int(sys.argv[1]), sys.argv[2:]).run()
