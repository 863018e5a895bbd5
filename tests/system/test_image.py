"""The image as people run it: built by the Dockerfile, on an engine of its own, bridged and on the
host's network, with the arguments that the images before it took."""
import json
import os
import re
import socket
import subprocess
import time

import pytest
import yaml

from harness import TOP, Agent, server_command, wait_until
from slot import SLOT

HOST = f"127.77.{SLOT}.1"  # a loopback address that nobody else has


class Node(Agent):
    """An agent in a container, asked from outside."""

    def __init__(self, docker, name, address=None):
        self.docker_engine, self.name = docker, name
        self.address = address or docker.docker(
            "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name)
        self.http_port, self.dns_port = 8500, 8600

    def up(self):
        try:
            return self.get("/v1/status/leader").json != ""
        except OSError:
            return False

    def ready(self):
        try:
            return self.get("/v1/catalog/nodes").status == 200
        except OSError:
            return False

    def log(self):
        out = subprocess.run(["docker", "-H", self.docker_engine.url, "logs", self.name],
                             capture_output=True, text=True, timeout=30)
        return out.stdout + out.stderr

    def wait(self):
        try:
            wait_until(f"{self.name} answers", self.ready, 30)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.log()}") from None
        return self


@pytest.fixture
def run(images, docker):
    """run(name, docker's words, muster's words, address=…): a node of the image; all end well."""
    started = set()

    def start(name, words=(), args=(), address=None, socket_at="/var/run/docker.sock",
              image="muster"):
        docker.docker("run", "-d", "--name", name, "-v", f"{docker.socket}:{socket_at}", *words,
                      image, *args)
        started.add(name)
        return Node(docker, name, address)
    yield start
    for name in started & set(docker.docker("ps", "-a", "--format", "{{.Names}}").split()):
        docker.docker("stop", name)
        state = json.loads(docker.docker("inspect", name))[0]["State"]
        assert state["ExitCode"] == 0, Node(docker, name, "").log()
    docker.docker("volume", "prune", "-f")


def health(docker, name):
    return json.loads(docker.docker("inspect", name))[0]["State"]["Health"]["Status"]


def web(docker, port, name="c1"):
    docker.docker("run", "-d", "--name", name, "-p", f"{port}:80", "-e", "SERVICE_NAME=web", "web",
                  *server_command())


def test_it_is_small(images, figure):
    for text in images.figures:
        figure(text)
    base, whole = images.size("debian:bookworm-slim"), images.size("muster")
    figure(f"image: {whole / 1e6:.1f} MB, of which {base / 1e6:.1f} MB are the base")
    assert whole < base + 40e6


def test_it_says_what_it_is(images, docker):
    config = json.loads(docker.docker("image", "inspect", "muster"))[0]["Config"]
    assert config["Labels"] == {"SERVICE_IGNORE": "1"}
    assert config["Entrypoint"][:2] == ["muster", "agent"]
    assert set(config["Volumes"]) == {"/data"}
    assert {"53/udp", "8600/udp", "8500/tcp", "8300/tcp", "8301/tcp", "8301/udp"} <= \
        set(config["ExposedPorts"])
    assert not docker.docker("run", "--rm", "--entrypoint", "find", "muster", "/etc/apt", "-name",
                             "*build*")


def test_bridged_it_registers_what_runs(images, docker, run, figure):
    begun = time.monotonic()
    host = docker.SUBNET + ".1"
    node = run("agent", ["--health-interval", "0.5s", "-v", "state:/data", "-p", "8601:8600"],
               ["-server", "-bootstrap", "-advertise", host, "-node", "n1"]).wait()
    figure(f"docker run until the API answers: {time.monotonic() - begun:.2f} s")
    web(docker, 18300)
    wait_until("web in DNS", lambda: node.dns_data("web.service.consul", "SRV"))
    entry, = node.get("/v1/catalog/service/web").json
    assert (entry["ServiceAddress"], entry["ServicePort"]) == (host, 18300)
    # dig, on both ports; the agent itself is no service though it publishes ports
    assert node.dig("web.service.consul", "+short") == host
    node.dns_port = 53
    assert node.dig("web.service.consul", "SRV", "+short").split()[2] == "18300"
    assert set(node.get("/v1/catalog/services").json) == {"consul", "web"}
    wait_until("healthy", lambda: health(docker, "agent") == "healthy", 20)
    # a key is written, and there after the container was made anew
    wait_until("a leader", node.up)
    assert node.put("/v1/kv/a", "b").text.strip() == "true"
    me = node.get("/v1/agent/self").json["Config"]["NodeID"]
    begun = time.monotonic()
    docker.docker("stop", "agent")
    figure(f"docker stop: {time.monotonic() - begun:.2f} s")
    assert json.loads(docker.docker("inspect", "agent"))[0]["State"]["ExitCode"] == 0
    docker.docker("rm", "agent")
    again = run("agent", ["-v", "state:/data"], ["-bootstrap", "-advertise", host, "-node", "n1"])
    again.wait()
    wait_until("a leader again", again.up)
    assert again.get("/v1/kv/a?raw").text == "b"
    assert again.get("/v1/agent/self").json["Config"]["NodeID"] == me
    docker.docker("rm", "-f", "agent")


def status_of(docker, name):
    """Of the agent's process: {"Uid": [...], "Groups": [...], "CapEff": [...]}."""
    text = docker.docker("exec", name, "cat", "/proc/1/status")
    return {k: v.split() for k, v in re.findall(r"(?m)^(\w+):\t(.*)$", text)}


@pytest.mark.parametrize("mode", [0o660, 0o600])
def test_it_is_root_only_where_the_socket_wants_it(docker, run, mode):
    before = os.stat(docker.socket)
    try:
        os.chown(docker.socket, 0, 4321)
        os.chmod(docker.socket, mode)
        node = run("agent", (), ["-bootstrap"], socket_at="/tmp/docker.sock").wait()
        status = status_of(docker, "agent")
        if mode == 0o660:
            assert status["Uid"][0] != "0" and status["Groups"] == ["4321"]
            assert status["CapEff"] == ["0000000000000400"]  # ports below 1024
            assert "is user=muster, in the group of Docker's socket gid=4321" in node.log()
        else:
            assert status["Uid"][0] == "0"
            assert "stays root: Docker's socket is root's alone" in node.log()
        web(docker, 18301)  # either way it has the engine
        wait_until("web in DNS", lambda: node.dns_data("web.service.consul", "SRV"))
    finally:
        os.chown(docker.socket, before.st_uid, before.st_gid)
        os.chmod(docker.socket, before.st_mode & 0o7777)


def test_on_the_hosts_network(docker, run, tmp_path):
    """Other ports than the usual ones, which the HEALTHCHECK must find; DNS on 53 of an address of
    the host, which only its capability allows a user who is not root."""
    ports = {"-http-port": 18540, "-dns-port": 18541, "-serf-lan-port": 18542,
             "-server-port": 18543}
    node = run("agent", ["--network", "host", "--health-interval", "0.5s"],
               ["-server", "-bootstrap", "-bind", HOST, "-client", HOST,
                *[str(w) for p in ports.items() for w in p]], address=HOST)
    node.http_port, node.dns_port = ports["-http-port"], ports["-dns-port"]
    node.wait()
    web(docker, 18302)
    wait_until("web in DNS", lambda: node.dns_data("web.service.consul", "SRV"))
    assert node.dig("web.service.consul", "+short") == HOST
    node.dns_port = 53
    assert node.dig("web.service.consul", "+short") == HOST
    wait_until("healthy", lambda: health(docker, "agent") == "healthy", 20)
    # a second port that somebody else has costs a line in the log, not the agent
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        docker.docker("stop", "agent")
        other.bind((HOST, 53))
        docker.docker("start", "agent")
        node.dns_port = ports["-dns-port"]
        node.wait()
        wait_until("web in DNS", lambda: node.dns_data("web.service.consul", "SRV"))
    assert f"not on {HOST}:53 too: cannot bind UDP" in node.log()


def test_the_arguments_people_gave(docker, run):
    first = run("one", (), ["-bootstrap", "-ui-dir", "/ui", "-node", "one"]).wait()
    wait_until("one leads alone", first.up)
    second = run("two", (), ["-server", "-join", first.address, "-node", "two"]).wait()
    third = run("three", (), ["-join", first.address, "-node", "three"]).wait()
    for node in first, second, third:
        wait_until("all are members", lambda n=node: sorted(
            m["Name"] for m in n.get("/v1/agent/members").json) == ["one", "three", "two"])
    assert "means nothing here, ignored: -ui-dir" in first.log()
    wait_until("two of them are servers", lambda: third.dns_data("consul.service.consul") ==
               sorted([first.address, second.address]))


def test_three_of_the_compose_file(images, docker, tmp_path, figure):
    """As compose.yaml says, on networks of the engine's own; ports aside, which are others' here."""
    with open(os.path.join(TOP, "compose.yaml")) as f:
        text = yaml.safe_load(f)
    published = text["services"]["muster1"].pop("ports")
    assert {"8500:8500", "8600:8600/udp"} <= set(published)
    for service in text["services"].values():
        service.pop("build", None)
        service["volumes"] = [v.replace("/var/run/docker.sock:", docker.socket + ":", 1)
                              if v.startswith("/var/run/docker.sock:") else v
                              for v in service["volumes"]]
    path = tmp_path / "compose.yaml"
    path.write_text(yaml.safe_dump(text))
    env = dict(os.environ, DOCKER_HOST=docker.url)
    compose = ["docker-compose", "-p", "trio", "-f", str(path)]
    begun = time.monotonic()
    try:
        subprocess.run([*compose, "up", "-d"], env=env, check=True, capture_output=True,
                       timeout=120)
        names = docker.docker("ps", "--format", "{{.Names}}").split()
        nodes = [Node(docker, name).wait() for name in sorted(names)]
        assert len(nodes) == 3
        for node in nodes:
            wait_until("a leader", node.up, 30)
        figure(f"three of compose.yaml until all have a leader: {time.monotonic() - begun:.1f} s")
        assert nodes[1].put("/v1/kv/a", "b").text.strip() == "true"
        assert nodes[2].get("/v1/kv/a?raw").text == "b"
        web(docker, 18303)  # the first one sees it, all tell of it
        wait_until("web on the third", lambda: nodes[2].dns_data("web.service.consul", "SRV"))
        assert set(nodes[2].get("/v1/catalog/services").json) == {"consul", "web"}
    finally:
        subprocess.run([*compose, "down", "-v", "-t", "2"], env=env, capture_output=True,
                       timeout=120)


def test_one_file_and_nothing_else(images, docker, run, figure):
    """The image from scratch: below 10 MB, and it does the same work."""
    images.build("muster:scratch", "-f", os.path.join(TOP, "image", "Dockerfile.scratch"))
    size = images.size("muster:scratch")
    figure(f"image from scratch: {size / 1e6:.2f} MB")
    assert size < 10e6
    begun = time.monotonic()
    node = run("bare", ["--health-interval", "0.5s"], ["-bootstrap"], image="muster:scratch").wait()
    figure(f"docker run from scratch until the API answers: {time.monotonic() - begun:.2f} s")
    web(docker, 18304)
    wait_until("web in DNS", lambda: node.dns_data("web.service.consul", "SRV"))
    wait_until("healthy", lambda: health(docker, "bare") == "healthy", 20)
    other = run("other", (), ["-join", node.address, "-docker", "off"]).wait()
    wait_until("web on the other", lambda: other.dns_data("web.service.consul", "SRV"))
