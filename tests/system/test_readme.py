"""The README's tour, word for word: each command of its console blocks, and what it prints."""
import contextlib
import fnmatch
import os
import re
import signal
import socket
import subprocess

from harness import MUSTER, TOP, Agent, server_command, wait_until


def tour():
    """[(command, expected output)] in order."""
    with open(os.path.join(TOP, "README.md")) as f:
        text = f.read()
    steps = []
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        for piece in re.split(r"(?m)^\$ ", block)[1:]:
            command, _, output = piece.partition("\n")
            steps.append((command, output.strip()))
    return steps


def end_second(folder):
    """The second agent of the tour has left at its end; after a failure it is still there."""
    with contextlib.suppress(OSError, ValueError):
        with open(os.path.join(folder, "pid")) as f:
            os.kill(int(f.read()), signal.SIGKILL)


def test_tour(docker, tmp_path):
    assert len(tour()) > 15
    docker.make_image("nginx", "EXPOSE 80", 'CMD ["sh","-c","' + server_command()[2].replace(
        '"', '\\"') + '"]')
    agent = Agent(str(tmp_path), docker=docker.url)
    agent.http_port, agent.dns_port, agent.serf_port = 8500, 8600, 8301
    agent.command = lambda: Agent.command(agent) + ["-node", socket.gethostname()]
    agent.start()
    env = dict(os.environ, DOCKER_HOST=docker.url)
    host = socket.gethostname()
    second = str(tmp_path / "second")
    try:
        for command, want in tour():
            want = want.replace("localhost-is-the-node-name", host)
            command = command.replace("build/muster", MUSTER).replace("/tmp/second", second)

            def matches():
                got = subprocess.run(["sh", "-c", command], capture_output=True, text=True,
                                     env=env, timeout=60).stdout.strip()
                state["got"] = got
                pattern = want.replace("[", "[[]").replace("...", "*")
                return fnmatch.fnmatchcase(got, pattern)
            state = {}
            if command.startswith("docker"):  # does something: once
                assert matches(), f"$ {command}\n{state['got']}\ninstead of\n{want}"
                continue
            try:  # asks: Docker's events need a moment
                wait_until(command, matches, 10)
            except AssertionError:
                raise AssertionError(f"$ {command}\n{state['got']}\ninstead of\n{want}") from None
    finally:
        end_second(second)
        agent.stop()
