"""The files of examples/ as tests use them: as they are, but for ports, addresses and folders; and
the programs that read them, each ended by its own process id."""
import contextlib
import os
import subprocess

from harness import TOP, end_process, wait_until

EXAMPLES = os.path.join(TOP, "examples")


def example(name, changes):
    """The file with texts replaced, all of which must be there."""
    with open(os.path.join(EXAMPLES, name)) as f:
        text = f.read()
    for old, new in changes.items():
        assert old in text, f"{name} has no {old!r}"
        text = text.replace(old, new)
    return text


def write(path, text):
    os.makedirs(os.path.dirname(str(path)), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    return str(path)


class Program:
    """A server in the foreground, with its log."""

    def __init__(self, log_path, *words):
        self.log_path, self.words = str(log_path), [str(w) for w in words]
        self.proc = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(self.words, stdout=log, stderr=log,
                                         stdin=subprocess.DEVNULL)
        return self

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def wait(self, what, condition, seconds=15):
        """Until condition(), which may fail with OSError before it is true."""
        def holds():
            assert self.proc.poll() is None, f"{self.words[0]} has ended:\n{self.log()[-5000:]}"
            with contextlib.suppress(OSError):
                return condition()
        return wait_until(what, holds, seconds)

    def stop(self):
        if self.proc is not None:
            end_process(self.proc)

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.stop()
