"""Config files: services and checks in HCL and JSON, at start and after SIGHUP; muster validate."""
import os
import signal
import subprocess

import pytest

from harness import MUSTER, Agent, wait_until

WEB = """
# the web server
service {
  name = "web"
  port = 80
  tags = ["a", "b"]
  meta { team = "x_y" }
  check { id = "ttl" ttl = "1h" status = "passing" deregister_critical_service_after = "2h" }
}
service {
  id = "db1" name = "db" port = 5432
  tagged_addresses { lan { address = "10.0.0.1" port = 1 } }
}
check { id = "disk" name = "disk" ttl = "1h" notes = <<-EOF
  two
  lines
  EOF
}
"""


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def validate(*args):
    return subprocess.run([MUSTER, "validate", *args], capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "conf"
    path.mkdir()
    return str(path)


def test_services_and_checks_follow_the_files(tmp_path, folder):
    write(folder, "a.hcl", WEB)
    write(folder, "b.json", '{"services": [{"name": "c", "port": 1}], "check": '
          '{"name": "of db", "service_id": "db1", "ttl": "1h", "status": "warning"}}')
    write(folder, "c.txt", "nonsense")
    agent = Agent(str(tmp_path), "-config-dir", folder).start()
    try:
        services = agent.get("/v1/agent/services").json
        assert sorted(services) == ["c", "db1", "web"]
        assert services["web"]["Tags"] == ["a", "b"]
        assert services["web"]["Meta"] == {"team": "x_y"}
        assert services["db1"]["TaggedAddresses"] == {"lan": {"Address": "10.0.0.1", "Port": 1}}
        checks = agent.get("/v1/agent/checks").json
        assert sorted(checks) == ["disk", "of db", "ttl"]
        assert checks["disk"]["Notes"] == "two\nlines\n"
        assert checks["of db"]["ServiceName"] == "db"
        agent.request("PUT", "/v1/agent/service/register", {"Name": "api"})
        agent.request("PUT", "/v1/agent/check/pass/of%20db")

        write(folder, "a.hcl", WEB.replace('name = "web"', 'name = "web2"').replace(
            "5432", "5433").replace('id = "disk"', 'id = "disc"'))
        agent.proc.send_signal(signal.SIGHUP)
        wait_until("web is web2", lambda: "web2" in agent.get("/v1/agent/services").json)
        services = agent.get("/v1/agent/services").json
        assert sorted(services) == ["api", "c", "db1", "web2"]
        assert services["db1"]["Port"] == 5433
        checks = agent.get("/v1/agent/checks").json
        assert sorted(checks) == ["disc", "of db", "ttl"]
        assert checks["of db"]["Status"] == "passing"

        write(folder, "a.hcl", "service { name = }")
        agent.proc.send_signal(signal.SIGHUP)
        wait_until("the error is told", lambda: "a.hcl:1: '}' where a value" in agent.log())
        assert "web2" in agent.get("/v1/agent/services").json
    finally:
        assert agent.stop() == 0


def test_validate(folder):
    good = write(folder, "a.hcl", WEB)
    assert validate(folder).stdout == "Configuration is valid!\n"
    assert validate(good).returncode == 0
    assert validate("-quiet", good).stdout == ""
    for text, error in [
            ('a = 1', 'unknown key "a"'),
            ('service { name = "x" prot = 1 }', 'service "x"'),
            ('service { name = "x" check { interval = "1s" } }', 'service "x": '),
            ('service { port = 1 }', 'service "": it has no name'),
            ('check = 1', 'check: must be an object or a list of objects'),
            ('services = [1]', 'services: must hold objects only'),
    ]:
        bad = write(folder, "b.hcl", text)
        done = validate(folder)
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.startswith(f"muster: {bad}: {error}"), done.stderr
        assert done.stderr.count("\n") == 1
    os.remove(bad)
    os.rename(good, os.path.join(folder, "a.conf"))
    good = os.path.join(folder, "a.conf")
    assert validate(good).returncode == 1  # JSON by its name
    for flag in (["-config-format=hcl"], ["-config-format", "hcl"]):
        assert validate(*flag, good).returncode == 0 == validate(*flag, folder).returncode
    assert "a.conf" in validate("-config-format=json", folder).stderr
    done = validate("-config-format", "toml", folder)
    assert done.stderr == 'muster: -config-format: "toml" is not json or hcl\n'
    assert validate().returncode == 1
    assert validate("/nonexistent").returncode == 1
