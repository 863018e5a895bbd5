#!/usr/bin/python3
"""side_by_side.py [-n N]: all system tests, N files of them at a time, and how long each took.

Most tests wait for timers of real life, so several fit beside each other; what one process must
not share with another it has by its slot (slot.py). Three kinds of files are kept apart:

  ENGINE  they need a Docker engine, and publish fixed ports: one process, one engine for all
  IMAGE   they build the image, once for all of them, and have an engine of their own
  TIMED   they measure how soon a pool notices a death or a cut: never two of them at once

The longest begin first. A file that is not named here runs too.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ENGINE = ["test_docker.py", "test_registrator.py", "test_registrator_mode.py", "test_networks.py",
          "test_checks.py", "test_readme.py", "test_haproxy.py", "test_balancers.py"]
IMAGE = ["test_image.py", "test_package.py"]
TIMED = {"test_gossip.py", "test_partition.py", "test_serf.py", "test_survive.py",
         "test_linear.py", "test_cluster.py", "test_cluster_store.py"}
ELSEWHERE = {"test_conformance.py"}  # a stage of its own
# about how long each takes; only the order depends on it
SECONDS = {"test_gossip.py": 200, "test_docker.py": 80, "test_cluster.py": 100,
           "test_registrator.py": 40, "test_checks.py": 40, "test_gossip_bad_input.py": 80,
           "test_cli_keys.py": 75, "test_partition.py": 60, "test_keys.py": 40,
           "test_cli.py": 40, "test_ecosystem.py": 30, "test_linear.py": 35, "test_haproxy.py": 30,
           "test_resolvers.py": 20, "test_balancers.py": 20, "test_swarm.py": 100,
           "test_image.py": 180, "test_package.py": 20, "test_networks.py": 30}
SECONDS_UNKNOWN = 20


class Job:
    """One pytest process for a file, or for the files that share an engine."""

    def __init__(self, run, files):
        self.name = os.path.splitext(files[0])[0]
        self.files = files
        self.timed = bool(TIMED & set(files))
        self.expected = sum(SECONDS.get(f, SECONDS_UNKNOWN) for f in files)
        self.folder = os.path.join(run, self.name)
        self.log = self.folder + ".log"
        self.xml = self.folder + ".xml"
        self.proc = None

    def start(self):
        self.begun = time.monotonic()
        with open(self.log, "wb") as log:
            self.proc = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp",
                 self.folder, "-o", "junit_family=xunit1", "--junitxml",
                 self.xml, *[os.path.join(HERE, f) for f in self.files]],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def ended(self):
        if self.proc.poll() is None:
            return False
        self.seconds = time.monotonic() - self.begun
        return True

    def results(self):
        """[(file, test, seconds, failed)]; a test that failed and then could not be cleaned up is
        there once."""
        cases = {}
        try:
            for case in xml.etree.ElementTree.parse(self.xml).iter("testcase"):
                name = (case.get("classname").rsplit(".", 1)[-1], case.get("name"))
                # all are to run: one that was skipped has failed
                bad = any(case.find(x) is not None for x in ("failure", "error", "skipped"))
                seconds, was_bad = cases.get(name, (0.0, False))
                cases[name] = seconds + float(case.get("time")), was_bad or bad
        except (OSError, xml.etree.ElementTree.ParseError):
            pass
        return [(*name, *value) for name, value in cases.items()]

    def figures(self):
        """What tests have told by record_property("figure", text)."""
        try:
            return [p.get("value") for p in xml.etree.ElementTree.parse(self.xml).iter("property")
                    if p.get("name") == "figure"]
        except (OSError, xml.etree.ElementTree.ParseError):
            return []


def jobs_of(run):
    there = sorted(f for f in os.listdir(HERE) if f.startswith("test_") and f.endswith(".py"))
    alone = [f for f in there if f not in {*ELSEWHERE, *ENGINE, *IMAGE}]
    jobs = [Job(run, [f]) for f in alone] + [Job(run, ENGINE), Job(run, IMAGE)]
    # those that cannot be beside each other are a chain: it begins first
    return sorted(jobs, key=lambda j: (not j.timed, -j.expected))


def run_all(waiting, count):
    running = []
    while waiting or running:
        for job in [j for j in running if j.ended()]:
            running.remove(job)
            yield job
        for job in list(waiting):
            if len(running) >= count:
                break
            if job.timed and any(j.timed for j in running):
                continue
            waiting.remove(job)
            job.start()
            running.append(job)
        time.sleep(0.1)


def show(path):
    with open(path, errors="replace") as f:
        print(f.read(), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=3)
    count = parser.parse_args().n
    begun = time.monotonic()
    run = tempfile.mkdtemp(prefix="mts", dir="/tmp")
    results, broken, work = [], [], 0.0
    for job in run_all(jobs_of(run), count):
        mine = job.results()
        results += mine
        work += job.seconds
        bad = [r for r in mine if r[3]]
        print(f"{job.seconds:6.0f} s  {len(mine) - len(bad):3d} passed  {len(bad):3d} failed  "
              f"{' '.join(job.files)}", flush=True)
        for figure in job.figures():
            print(f"          {figure}", flush=True)
        if job.proc.returncode != 0:
            broken.append(job.name)
            show(job.log)
    print("longest tests:")
    for file, test, seconds, _ in sorted(results, key=lambda r: -r[2])[:12]:
        print(f"{seconds:6.1f} s  {file}.py {test}")
    failed = sum(r[3] for r in results)
    print(f"system tests: {len(results) - failed} passed, {max(failed, len(broken))} failed; "
          f"{work / 60:.1f} min of tests in {(time.monotonic() - begun) / 60:.1f} min")
    if broken:
        print(f"kept: {run}")
        return 1
    shutil.rmtree(run)
    return 0


if __name__ == "__main__":
    sys.exit(main())
