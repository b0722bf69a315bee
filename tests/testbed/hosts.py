"""Owns real Docker hosts of a test bed: started in about a second, asked, hurt and healed. Knows nothing of infctl."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import gpus, packages
from tests.testbed.bed import Bed, make_key
from tests.testbed.leash import Leashed

HERE = Path(__file__).resolve().parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
START_SECONDS = 30.0
NEWER_BINARIES = (
    "usr/sbin/dockerd",
    "usr/sbin/docker-proxy",
    "usr/bin/docker",
    "usr/bin/containerd",
    "usr/bin/containerd-shim-runc-v2",
    "usr/bin/docker-init",
)
ALL = ("--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd")  # nsenter: the whole of a host


@dataclass(frozen=True, slots=True)
class Make:
    """What a host is made of; hosts of equal make can stand in for each other."""

    docker: str = "current"  # "current" (28 or 26) or "old" (20.10)
    gpus: str = ""  # GPUs that are not there: "h100x8" (gpus.PRODUCTS)
    max_sessions: int = 10  # sshd's own default
    disk_mb: int = 0  # size of the disk below /var/lib/docker; 0: as much as the machine has


class DockerHost:
    """One host: on from `up` until `crash` or `remove`; its disk stays over a crash."""

    def __init__(self, bed: Bed, index: int, name: str, make: Make) -> None:
        self.bed, self.index, self.name, self.make = bed, index, name, make
        self.address = f"{bed.network}.{index}"
        self.url = f"ssh://root@{self.address}"
        self.folder = bed.folder / name
        self.host_key = self.folder / "hostkey"
        self._body: Leashed | None = None
        self._pid = 0
        self._make_disk()

    def _make_disk(self) -> None:
        for part in ("upper", "work", "root", "docker", "etc/ssh", "bin"):
            (self.folder / part).mkdir(parents=True)
        make_key(self.host_key, self.name)
        if self.make.disk_mb:
            image = self.folder / "disk.img"
            with image.open("wb") as blank:
                blank.truncate(self.make.disk_mb << 20)
            subprocess.run(["mkfs.ext4", "-q", "-m0", image], check=True)
        etc, tools = self.folder / "etc", self.folder / "bin"
        (etc / "hostname").write_text(f"{self.name}\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        (etc / "resolv.conf").write_text("")  # no way out: what asks for the internet fails at once
        (etc / "ssh" / "bed_keys").write_bytes(self.bed.key.with_suffix(".pub").read_bytes())
        shutil.copy(HERE / "bin" / "runc", tools)
        if self.make.docker == "current":
            newer = packages.unpacked("docker")
            assert newer, "no newer Docker was fetched"
            (self.folder / "newer").symlink_to(newer)
            for binary in NEWER_BINARIES:
                (tools / Path(binary).name).symlink_to(f"/opt/newer/{binary}")
        else:
            (tools / "docker").symlink_to("/usr/bin/docker")
        if self.make.gpus:
            self._put_gpus(etc, tools)
        self._write_daemons()

    def _put_gpus(self, etc: Path, tools: Path) -> None:
        uuids = gpus.write_gpus(self.make.gpus, etc)
        gpus.write_tools(tools)
        gpus.write_cdi(uuids, etc)
        (self.folder / "lib").mkdir()
        shutil.copy(gpus.nvml() / "libnvidia-ml.so.1", self.folder / "lib")
        if self.make.docker != "old":
            (etc / "docker").mkdir()
            (etc / "docker" / "daemon.json").write_text(json.dumps({"features": {"cdi": True}}))

    def _write_daemons(self) -> None:
        sshd = (
            f"/usr/sbin/sshd -D -e -p 22 -h /etc/ssh/bed_hostkey -o AuthorizedKeysFile=/etc/ssh/bed_keys -o UsePAM=no"
            f" -o PermitRootLogin=prohibit-password -o UseDNS=no -o PidFile=/run/sshd.pid"
            f" -o MaxSessions={self.make.max_sessions}"
        )
        dockerd = (
            f"dockerd --cgroup-parent=/infctl-bed-{self.bed.number}-{self.name}"
            f" --insecure-registry={self.bed.network}.0/24 --host=unix:///run/docker.sock --pidfile=/run/docker.pid"
        )
        for name, command in (("sshd", sshd), ("dockerd", dockerd)):
            script = self.folder / "bin" / f"bed-{name}"
            script.write_text(f"#!/bin/sh\nexec {command} </dev/null >>/var/log/{name}.log 2>&1\n")
            script.chmod(0o755)

    # Power

    def up(self) -> DockerHost:
        """Switch it on and wait until dockerd and sshd answer."""
        assert not self.on, f"{self.name} is on already"
        shutil.copy(self.host_key, self.folder / "etc" / "ssh" / "bed_hostkey")
        (self.folder / "etc" / "ssh" / "bed_hostkey").chmod(0o600)
        own = ["--mount", "--uts", "--ipc", "--net"]
        boot = ["bash", str(HERE / "boot.sh"), str(self.folder), self.name]
        self._body = Leashed(boot, log=self.folder / "boot.log", namespaces=own)
        told = self._body.hear()
        assert told, (self.folder / "boot.log").read_text()
        self._pid = int(told)
        self.bed.plug(self.index, self._pid)
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

    def remove(self) -> None:
        """Switch it off for good and free its disk."""
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

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
        with suppress(OSError), socket.create_connection((self.address, 22), 1) as link:
            link.settimeout(5)
            return link.recv(4) == b"SSH-"
        return False

    # Network

    def partition(self) -> None:
        """Pull its network plug: open connections hang, new ones find no route."""
        self.bed.in_switch("ip", "link", "set", f"p{self.index}", "down")

    def heal(self) -> None:
        """Undo every fault of the network."""
        self.bed.in_switch("ip", "link", "set", f"p{self.index}", "up")

    # Use

    @property
    def public_key(self) -> str:
        return self.host_key.with_suffix(".pub").read_text()

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
        """Remove every container, volume and network that was made; images stay."""
        self.sh(
            "sh", "-c",
            "docker ps -aq | xargs -r docker rm -fv; docker volume ls -q | xargs -r docker volume rm -f;"
            " docker network prune -f",
        )  # fmt: skip
