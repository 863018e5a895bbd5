"""A number that this process alone has on this machine, while it lives.

Runs of the system tests side by side (tests/system/side_by_side.py, or two people's) take their
ports, loopback addresses and subnets from it, so that they cannot meet.
"""
import fcntl
import os

FOLDER = "/tmp/muster-test-slots"
COUNT = 30
PORTS = 400  # for each, from 20000 on: all below 32768, where the kernel's own choice begins


def _take():
    os.makedirs(FOLDER, exist_ok=True)
    for number in range(COUNT):
        fd = os.open(os.path.join(FOLDER, str(number)), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return number  # the descriptor stays open, not for children: the lock ends with us
        except OSError:
            os.close(fd)
    raise RuntimeError(f"more than {COUNT} runs of system tests at once")


SLOT = _take()


def ports():
    first = 20000 + SLOT * PORTS
    return range(first, first + PORTS)
