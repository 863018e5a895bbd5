"""What the benches share: Docker's own stamps, a process's CPU time and memory, percentiles."""
import json
import os
import threading

import harness


class Events(threading.Thread):
    """Docker's own stamps: {(action, container id): nanoseconds since 1970}."""

    def __init__(self, engine):
        super().__init__(daemon=True)
        self.stamps = {}
        self.conn = harness.UnixConnection(engine.socket, None)
        self.conn.request("GET", "/events")
        self.body = self.conn.getresponse()
        self.start()

    def run(self):
        try:
            for line in self.body:
                e = json.loads(line)
                if e.get("Type") == "container":
                    self.stamps[(e["Action"], e["Actor"]["ID"])] = e["timeNano"]
        except (OSError, ValueError, AttributeError):
            pass

    def stamp(self, action, ident):
        return harness.wait_until(f"{action} event", lambda: self.stamps.get((action, ident)), 20,
                                  0.001)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def switches(pid):
    """Of all its threads, from the start."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status") as f:
            total += sum(int(l.split()[1]) for l in f if "ctxt_switches" in l)
    return total


def memory(pid):
    out = {}
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            words = line.split()
            if words[0] in ("Pss:", "Pss_Dirty:", "Pss_Anon:", "Rss:"):
                out[words[0][:-1]] = int(words[1]) / 1024
    if "Pss_Dirty" not in out:  # before Linux 5.19: what is dirty and private, shared dirty by share
        with open(f"/proc/{pid}/smaps") as f:
            out["Pss_Dirty"] = sum(int(l.split()[1]) for l in f
                                   if l.startswith("Private_Dirty:")) / 1024
    return out


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]
