"""What the tests of image and package share: a base image made with debootstrap, and what the
Dockerfile makes of it.

Nothing is fetched but packages, from where this machine's apt has them: its settings are handed to
the build as arguments.
"""
import os
import re
import shutil
import subprocess
import time

from harness import TOP

BASE = "debian:bookworm-slim"
CODENAME = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# what Debian's own slim image leaves out, and does without (fsync)
SLIM = """force-unsafe-io
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/groff/*
path-exclude /usr/share/info/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/linda/*
path-exclude /usr/share/locale/*
path-include /usr/share/locale/locale.alias
"""


def command(*words, timeout=600, **kw):
    out = subprocess.run(words, capture_output=True, text=True, timeout=timeout,
                         stdin=subprocess.DEVNULL, **kw)
    if out.returncode:
        raise AssertionError(f"{' '.join(words)}:\n{out.stdout[-5000:]}\n{out.stderr[-5000:]}")
    return out.stdout


def apt_indexes():
    """[(mirror, suite, component)] of Debian in this machine's settings."""
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)"
    ask = ["apt-get", "indextargets", "--format", form, "Created-By: Packages"]
    if not command(*ask):
        command("apt-get", "update", "-q")
    rows = [line.split(maxsplit=3) for line in command(*ask).splitlines()]
    return sorted({tuple(r[:3]) for r in rows if r[3:] == ["Debian"]})


def apt_sources():
    """The same for a file in /etc/apt/sources.list.d."""
    return "\n".join(f"Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: {component}\n"
                     f"Signed-By: {KEYRING}\n" for mirror, suite, component in apt_indexes())


def apt_conf():
    """How it fetches: proxies, dates, tries."""
    wanted = re.compile(r"^Acquire::(https?::|Check-|Retries)", re.I)
    return "\n".join(line for line in command("apt-config", "dump").splitlines()
                     if wanted.match(line))


class Images:
    """muster: the image; muster-build: its first stage, which holds the package."""

    def __init__(self, engine, folder):
        self.engine, self.folder, self.figures = engine, folder, []
        self._timed("base image, by debootstrap", self._base)
        self._timed("docker build", self.build, "muster")
        self.build("muster-build", "--target", "build")  # there already

    def _timed(self, what, do, *words):
        begun = time.monotonic()
        do(*words)
        self.figures.append(f"{what}: {time.monotonic() - begun:.0f} s")

    def _base(self):
        root = os.path.join(self.folder, "base")
        mirror = next(m for m, suite, _ in apt_indexes() if suite == CODENAME)
        try:
            command("debootstrap", "--variant=minbase", f"--keyring={KEYRING}", CODENAME, root,
                    mirror, timeout=1200)
            with open(os.path.join(root, "etc/dpkg/dpkg.cfg.d/docker"), "w") as f:
                f.write(SLIM)
            for path in ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale",
                         "var/cache/apt", "var/lib/apt/lists", "var/log/bootstrap.log"):
                path = os.path.join(root, path)
                if os.path.isdir(path):
                    shutil.rmtree(path)
                    os.mkdir(path)
                elif os.path.exists(path):
                    os.unlink(path)
            tar = os.path.join(self.folder, "base.tar")
            command("tar", "-C", root, "--one-file-system", "-cf", tar, ".")
            self.engine.docker("import", "-c", 'CMD ["bash"]', tar, BASE)
            os.unlink(tar)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def build(self, name, *words):
        env = dict(os.environ, DOCKER_HOST=self.engine.url, DOCKER_BUILDKIT="0",
                   DOCKER_CONFIG=self.folder)
        command("docker", "build", "--network", "host", "-t", name, *words,
                "--build-arg", "APT_SOURCES=" + apt_sources(),
                "--build-arg", "APT_CONF=" + apt_conf(), TOP, env=env, timeout=1800)

    def size(self, name):
        """Bytes."""
        return int(self.engine.docker("image", "inspect", "-f", "{{.Size}}", name))

    def package(self):
        """The path of the .deb, brought out of the image it was built in."""
        out = os.path.join(self.folder, "deb")
        if not os.path.isdir(out):
            container = self.engine.docker("create", "muster-build")
            self.engine.docker("cp", f"{container}:/src", out)
            self.engine.docker("rm", container)
        name, = (n for n in os.listdir(out) if n.endswith(".deb"))
        return os.path.join(out, name)
