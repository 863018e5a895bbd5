"""muster registrator as a process: in a host name and /etc/hosts of its own, as on another host."""
import os
import subprocess

from harness import MUSTER, WRAP, end_process, free_port, wait_until

HOSTS = "127.0.0.1 localhost {host}\n"


class Registrator:
    """muster registrator FLAGS URI, whose host is called `host` and resolves to 127.0.0.1."""

    def __init__(self, folder, uri, *flags, docker, host="n1", env=None):
        self.log_path = os.path.join(folder, f"registrator-{free_port()}.log")
        self.hosts = self.log_path + ".hosts"
        with open(self.hosts, "w") as f:
            f.write(HOSTS.format(host=host))
        self.uri, self.flags, self.docker, self.host = uri, list(flags), docker, host
        self.env = dict(os.environ, DOCKER_HOST=docker, **(env or {}))
        self.env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
        self.proc = None

    def command(self):
        script = 'mount --bind "$1" /etc/hosts && hostname "$2" && shift 2 && exec "$@"'
        return ["unshare", "--uts", "--mount", "sh", "-c", script, "sh", self.hosts, self.host,
                *WRAP, MUSTER, "registrator", *self.flags, self.uri]

    def start(self):
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(self.command(), stdout=log, stderr=log, env=self.env,
                                         stdin=subprocess.DEVNULL)
        return self

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def says(self, text, seconds=10.0):
        wait_until(f"the log says {text!r}", lambda: text in self.log(), seconds)

    def stop(self):
        code = end_process(self.proc)
        log = self.log()
        assert "ERROR: AddressSanitizer" not in log and "runtime error:" not in log and \
            "ERROR: LeakSanitizer" not in log, log[-20000:]
        return code
