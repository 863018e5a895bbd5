"""The Debian package: what is in it, the unit, installing and removing it in a container that has
nothing else, the completion of bash."""
import os
import re
import subprocess

import pytest

from harness import MUSTER, TOP
from image_harness import command


@pytest.fixture(scope="module")
def deb(images):
    return images.package()


def field(path, name):
    return command("dpkg-deb", "-f", path, name).strip()


@pytest.fixture
def box(docker, deb):
    """sh(line): in a container of the image, which has the package and what it depends on."""
    docker.docker("run", "-d", "--name", "box", "-v", f"{os.path.dirname(deb)}:/deb:ro",
                  "--entrypoint", "sleep", "muster", "600")

    def sh(line, check=True):
        return docker.docker("exec", "box", "sh", "-c", line, check=check)
    yield sh
    docker.docker("rm", "-f", "-v", "box")


def test_what_is_in_it(deb, figure):
    figure(f"package: {os.path.getsize(deb) / 1e6:.2f} MB, installed "
           f"{int(field(deb, 'Installed-Size')) / 1024:.1f} MiB")
    files = {line.split()[5]: line.split()[0]
             for line in command("dpkg-deb", "-c", deb).splitlines()}
    for path in ("usr/bin/muster", "etc/muster.d/muster.hcl", "etc/default/muster",
                 "usr/lib/sysusers.d/muster.conf", "usr/share/man/man8/muster.8.gz",
                 "usr/share/bash-completion/completions/muster"):
        assert "./" + path in files, sorted(files)
    assert any(p.endswith("/systemd/system/muster.service") for p in files)
    depends = field(deb, "Depends")
    # it is to install on Debian 12 as it is, without backports
    assert "libraft" not in depends and "libevent" in depends and "libcurl4" in depends
    conffiles = command("dpkg-deb", "-I", deb, "conffiles").split()
    assert sorted(conffiles) == ["/etc/default/muster", "/etc/muster.d/muster.hcl"]


def test_installed_removed_installed_purged(box):
    box("test -x /usr/bin/muster && id muster && muster version")
    box("echo node_name = \\\"mine\\\" >>/etc/muster.d/muster.hcl")
    box("dpkg --remove muster 2>&1")
    assert box("ls /etc/muster.d") == "muster.hcl"  # a conffile stays
    box("test ! -e /usr/bin/muster && test ! -e /usr/share/bash-completion/completions/muster")
    # a docker group that is there at the time takes the user in
    box("groupadd docker && dpkg --force-confold -i /deb/*.deb 2>&1")
    assert "docker" in box("id -nG muster").split()
    assert box("stat -c '%a %U %G' /etc/muster.d") == "750 root muster"
    assert "mine" in box("cat /etc/muster.d/muster.hcl")
    box("muster validate /etc/muster.d")
    box("mkdir -p /var/lib/muster && touch /var/lib/muster/identity && dpkg --purge muster 2>&1")
    box("test ! -e /etc/muster.d && test ! -e /var/lib/muster && test ! -e /etc/default/muster")
    assert "muster" not in box("dpkg -l | grep '^.i' || true")


def test_it_starts_as_the_unit_starts_it(box):
    """The unit's own line, as its user, with the configuration that the package brings."""
    line = re.search(r"(?m)^ExecStart=(.*)$", unit_text()).group(1)
    box("mkdir -p /var/lib/muster && chown muster: /var/lib/muster")
    flags = "-dns-second-port -1 -docker off -bootstrap -pid-file /var/lib/muster/pid"
    box(f"setpriv --reuid muster --regid muster --init-groups env MUSTER_FLAGS='{flags}' "
        f"sh -c '{line}' >/tmp/log 2>&1 &")
    box("for i in $(seq 100); do muster ready && exit; sleep 0.1; done; cat /tmp/log; exit 1")
    assert box("stat -c %U /var/lib/muster/identity") == "muster"
    box("kill $(cat /var/lib/muster/pid)")


def unit_text():
    with open(os.path.join(TOP, "debian", "muster.service")) as f:
        return f.read()


def test_the_unit_is_one(tmp_path, figure):
    unit = tmp_path / "muster.service"
    unit.write_text(unit_text().replace("/usr/bin/muster", MUSTER))
    out = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)],
                         capture_output=True, text=True, timeout=60)
    said = [line for line in (out.stdout + out.stderr).splitlines() if "muster" in line]
    assert out.returncode == 0 and not said, out.stderr
    out = command("systemd-analyze", "security", "--offline=true", str(unit))
    exposure = re.search(r"Overall exposure level .*: ([0-9.]+)", out).group(1)
    figure(f"the unit's exposure by systemd-analyze security: {exposure} of 10")
    assert float(exposure) < 3.0


def complete(*words):
    """What bash offers for the last word."""
    script = f"""
        . {TOP}/completion/muster
        COMP_WORDS=({' '.join("'" + w + "'" for w in words)})
        COMP_CWORD={len(words) - 1}
        _muster
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True,
                          timeout=10).stdout.split()


def test_bash_completes(tmp_path):
    assert complete("muster", "me") == ["members"]
    assert "kv" in complete("muster", "")
    assert complete("muster", "kv", "") == ["delete", "export", "get", "import", "list", "put"]
    assert complete("muster", "operator", "raft", "l") == ["list-peers"]
    assert complete("muster", "agent", "-bootstrap-") == ["-bootstrap-expect"]
    assert "-recurse" in complete("muster", "kv", "get", "-")
    assert "-http-addr" in complete("muster", "kv", "get", "-")
    # a value is no command, and the kinds of value are known
    assert complete("muster", "kv", "get", "-http-addr", "put", "-rec") == ["-recurse"]
    assert complete("muster", "agent", "-log-level", "w") == ["warn"]
    assert complete("muster", "agent", "-log-level", "=", "w") == ["warn"]
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert complete("muster", "agent", "--config-dir", f"{tmp_path}/f") == [f"{tmp_path}/folder"]
    assert sorted(complete("muster", "agent", "-config-file", f"{tmp_path}/f")) == \
        [f"{tmp_path}/file", f"{tmp_path}/folder"]


def test_every_command_completes():
    """Whatever --help lists is offered."""
    out = command(MUSTER, "help")
    names = re.findall(r"(?m)^  ([a-z-]+) ", out)
    assert len(names) > 20 and set(names) <= set(complete("muster", ""))
