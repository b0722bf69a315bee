"""Owns real Docker hosts of a test bed: started in about a second, asked, hurt and healed. Knows nothing of infctl."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.testbed.bed import SSH_PORT, Bed, make_key
from tests.testbed.cable import Cable
from tests.testbed.disk import HERE, PLAIN_PORT, TLS_PORT, Make, write_disk
from tests.testbed.leash import Leashed

__all__ = ["DockerHost", "Make"]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
START_SECONDS = 30.0
ALL = ("--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd")  # nsenter: the whole of a host
DAEMONS = ("dockerd", "sshd")
BALLAST = "/var/lib/docker/ballast"


class DockerHost:
    """One host: on from `up` until `crash` or `remove`; its disk stays over a crash."""

    def __init__(self, bed: Bed, index: int, name: str, make: Make) -> None:
        self.bed, self.index, self.name, self.make = bed, index, name, make
        self.address = f"{bed.network}.{index}"
        self.url = f"ssh://root@{self.address}" + (f":{make.ssh_port}" if make.ssh_port != SSH_PORT else "")
        self.folder = bed.folder / name
        self.cable = Cable(bed, index)
        self._body: Leashed | None = None
        self._pid = 0
        write_disk(make, bed, self.folder, name, self.address)

    # Power

    def up(self) -> DockerHost:
        """Switch it on, its cable whole, and wait until dockerd and sshd answer."""
        assert not self.on, f"{self.name} is on already"
        key = self.folder / "etc" / "ssh" / "bed_hostkey"
        shutil.copy(self.folder / "hostkey", key)
        key.chmod(0o600)
        own = ["--mount", "--uts", "--ipc", "--net"]
        boot = ["bash", str(HERE / "boot.sh"), str(self.folder), self.name]
        self._body = Leashed(boot, log=self.folder / "boot.log", namespaces=own)
        told = self._body.hear()
        assert told, (self.folder / "boot.log").read_text()
        self._pid = int(told)
        self.cable.plug(self._pid)
        self._body.tell("go")
        self.socket.unlink(missing_ok=True)
        self.socket.symlink_to(f"/proc/{self._pid}/root/run/docker.sock")
        self.wait_ready()
        return self

    @property
    def on(self) -> bool:
        return self._body is not None and self._body.alive

    def crash(self) -> None:
        """Cut the power: every process is gone at once, nothing is written any more; `up` starts it again."""
        if self._body:
            self._body.kill()
            self._body = None
            self.cable.unplug()

    def remove(self) -> None:
        """Switch it off for good and free its disk."""
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wipe(self) -> None:
        """Switch it off and give it a new disk, with a new host key."""
        self.remove()
        write_disk(self.make, self.bed, self.folder, self.name, self.address)

    def wait_ready(self) -> None:
        """Wait until dockerd and sshd answer; raises AssertionError with dockerd's log when they do not."""
        until = time.monotonic() + START_SECONDS
        while not (self._docker_answers() and self._ssh_answers()):
            assert self.on, (self.folder / "boot.log").read_text()
            assert time.monotonic() < until, self.sh("tail", "-n", "30", "/var/log/dockerd.log")
            time.sleep(0.02)

    def _docker_answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as link, suppress(OSError, http.client.HTTPException):
            link.settimeout(5)
            link.connect(str(self.socket))
            asked = http.client.HTTPConnection("docker")
            asked.sock = link
            asked.request("GET", "/_ping")
            return asked.getresponse().status == http.HTTPStatus.OK
        return False

    def _ssh_answers(self) -> bool:
        with suppress(OSError), socket.create_connection((self.address, self.make.ssh_port), 5) as link:
            link.settimeout(5)
            return link.recv(4) == b"SSH-"
        return False

    # Faults

    def partition(self) -> None:
        """Pull its network plug: open connections hang, new ones find no route."""
        self.cable.pull()

    def delay(self, ms: float = 50) -> None:
        """Let every frame to and from it take `ms` each way; a round trip takes twice that."""
        self.cable.slow_down(ms)

    def swallow(self) -> None:
        """Drop what reaches it: connections hang, open and new ones alike, and nobody is told why."""
        self.sh("iptables", "-I", "INPUT", "-i", "eth0", "-j", "DROP")

    def freeze(self, *daemons: str) -> None:
        """Stop dockerd or sshd (both if none is named) in their tracks: connections are accepted, nothing answers."""
        self._signal("STOP", *(daemons or DAEMONS))

    def stop(self, daemon: str = "dockerd") -> None:
        """End a daemon as its service would; containers go with dockerd."""
        self._signal("TERM", daemon)
        until = time.monotonic() + START_SECONDS
        while self._runs(daemon):
            assert time.monotonic() < until, f"{self.name}: {daemon} does not end"
            time.sleep(0.02)

    def start(self, daemon: str = "dockerd") -> None:
        """Start a daemon that was stopped, and wait until the host answers."""
        self.sh("setsid", "--fork", f"bed-{daemon}")
        self.wait_ready()

    def fill_disk(self) -> None:
        """Leave no byte below /var/lib/docker; only for a make with a disk of its own."""
        assert self.make.disk_mb, "this host's disk is the machine's"
        self.sh("dd", "if=/dev/zero", f"of={BALLAST}", "bs=64k", check=False)

    def change_host_key(self) -> None:
        """Let sshd show another key from now on; known_hosts keeps the old one until the host is handed out again."""
        make_key(self.folder / "hostkey", self.name)
        self.sh("tee", "/etc/ssh/bed_hostkey", given=(self.folder / "hostkey").read_bytes())
        self.stop("sshd")
        self.start("sshd")

    def heal(self) -> None:
        """Undo every fault that this class has."""
        self._signal("CONT", *DAEMONS)
        self.cable.mend()
        self.sh("sh", "-c", f"while iptables -D INPUT -i eth0 -j DROP 2>/dev/null; do :; done; rm -f {BALLAST}")
        for daemon in DAEMONS:
            if not self._runs(daemon):
                self.start(daemon)
        self.wait_ready()

    def _signal(self, signal: str, *daemons: str) -> None:
        for daemon in daemons:
            self.sh("pkill", f"-{signal}", "-x", daemon, check=False)

    def _runs(self, daemon: str) -> bool:
        return bool(self.sh("pgrep", "-x", daemon, check=False))

    # Use

    @property
    def public_key(self) -> str:
        return (self.folder / "hostkey.pub").read_text()

    @property
    def tcp_url(self) -> str:
        """For a make with `tcp`; clients of "tls" show the certificate in `bed.authority.folder`."""
        return f"tcp://{self.address}:{TLS_PORT if self.make.tcp == 'tls' else PLAIN_PORT}"

    @property
    def socket(self) -> Path:
        """dockerd's socket as this machine reaches it, for unix:// (the ports it publishes are the host's own)."""
        return self.bed.folder / f"{self.name}.sock"

    def sh(self, *argv: str, given: bytes | None = None, seconds: float = 60, check: bool = True) -> str:
        """Run a command in the host as root; returns what it printed, both streams. `given` is its stdin."""
        clean = ["env", "-i", f"PATH={PATH}", "HOME=/root"]
        done = subprocess.run(
            ["nsenter", f"--target={self._pid}", *ALL, *clean, *argv],
            input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, check=False,
        )  # fmt: skip
        said = done.stdout.decode(errors="replace")
        if check and done.returncode:
            raise AssertionError(f"{self.name}: {' '.join(argv)} ended with {done.returncode}: {said}")
        return said

    def docker(self, *argv: str, given: bytes | None = None, check: bool = True) -> str:
        """Run the host's own docker command."""
        return self.sh("docker", *argv, given=given, check=check)

    def beside(self, *argv: str) -> list[str]:
        """Return argv that runs a command of this machine in the host's network: its 127.0.0.1 is the host's."""
        return ["nsenter", f"--target={self._pid}", "--net", *argv]

    def load(self, archive: Path) -> None:
        """Load an image from a `docker save` archive."""
        with archive.open("rb") as given:
            self.docker("load", "-q", given=given.read())

    def clean(self) -> None:
        """Remove every container, volume and network that was made, and what was done to its GPUs; images stay."""
        gpus = Path(f"/proc/{self._pid}/root/etc/testbed")
        if self.make.gpus and gpus.exists():
            shutil.rmtree(gpus)
            shutil.copytree(self.folder / "etc" / "testbed", gpus)
        self.sh(
            "sh", "-c",
            "docker ps -aq | xargs -r docker rm -fv; docker volume ls -q | xargs -r docker volume rm -f;"
            " docker network prune -f",
        )  # fmt: skip
