"""Owns one test bed: its number, its network 10.77.NUMBER.0/24, its folder, and the SSH home of whoever uses it.

A number is claimed by a file lock, so beds of parallel runs never meet, and a dead owner's folder is cleared by the
next claim. Knows nothing of Docker: hosts.py does.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from tests.testbed.certs import Authority
from tests.testbed.leash import Leashed

BEDS = Path("/var/tmp/infctl-testbed")  # noqa: S108  # a disk's file system: overlayfs needs one; guarded by locks
SSH_PORT = 22
NUMBERS = range(1, 250)
CGROUPS = Path("/sys/fs/cgroup")
SWITCH = (
    "echo; read -r _; ip link set lo up; ip link add br0 type bridge; ip link set br0 up; echo;"
    " while read -r _; do :; done"
)


class Bed:
    """Claimed when made; `close` gives it back. The switch and its devices end with this process, however it ends."""

    def __init__(self) -> None:
        self.number, self._lock = _claim()
        self.folder = BEDS / str(self.number)
        self.home = self.folder / "home"
        self.network = f"10.77.{self.number}"
        self.address = f"{self.network}.1"
        self.closing: list[Callable[[], None]] = []  # what others opened here, ended before the bed's own parts
        (self.home / ".ssh").mkdir(parents=True)
        self.key = self.home / ".ssh" / "id_ed25519"
        make_key(self.key, "bed")
        self._switch = self._plug_switch()

    def _plug_switch(self) -> Leashed:
        # A bridge in a namespace of its own: in the machine's, a Docker of the machine may drop what it forwards.
        switch = Leashed(["sh", "-c", SWITCH], log=self.folder / "switch.log", namespaces=["--net"])
        switch.hear()
        switch.tell("go")
        switch.hear()
        device = f"ibed{self.number}"
        with suppress(subprocess.CalledProcessError):
            run("ip", "link", "del", device)  # of an owner who died a moment ago
        run("ip", "link", "add", device, "type", "veth", "peer", "name", "machine", "netns", str(switch.pid))
        run("ip", "address", "add", f"{self.address}/24", "dev", device)
        run("ip", "link", "set", device, "up")
        self._switch = switch
        self.in_switch("ip", "link", "set", "machine", "master", "br0", "up")
        return switch

    @property
    def switch_pid(self) -> int:
        return self._switch.pid

    def in_switch(self, *argv: str) -> str:
        """Run a command in the switch's network namespace."""
        return run("nsenter", f"--target={self._switch.pid}", "--net", *argv)

    @cached_property
    def authority(self) -> Authority:
        """Who signs for hosts that listen on TCP; its folder holds what a client shows (DOCKER_CERT_PATH)."""
        return Authority(self.folder / "tls")

    def write_ssh(self, hosts: Mapping[str, tuple[str, int, str]]) -> None:
        """Write config and known_hosts for hosts by name: (address, port, public host key)."""
        ssh = self.home / ".ssh"
        known, config = "", ""
        for name, (address, port, key) in hosts.items():
            known += f"{address if port == SSH_PORT else f'[{address}]:{port}'} {' '.join(key.split()[:2])}\n"
            config += f"Host {name}\n  HostName {address}\n  Port {port}\n"
        (ssh / "known_hosts").write_text(known)
        (ssh / "config").write_text(
            f"{config}Host {' '.join([*hosts, f'{self.network}.*'])}\n  User root\n  IdentityFile {self.key}\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {ssh / 'known_hosts'}\n"
        )

    def close(self) -> None:
        for end in reversed(self.closing):
            end()
        self._switch.kill()
        _clear(self.number)
        os.close(self._lock)


def make_key(path: Path, comment: str) -> None:
    """Write a new ed25519 key pair."""
    for old in (path, path.with_name(f"{path.name}.pub")):
        old.unlink(missing_ok=True)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))


def _claim() -> tuple[int, int]:
    """Return the lowest free number and its lock; what dead owners left under any number is cleared."""
    BEDS.mkdir(mode=0o700, exist_ok=True)
    mine: tuple[int, int] | None = None
    for number in NUMBERS:
        if mine and not (BEDS / str(number)).exists():
            continue
        lock = os.open(BEDS / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        _clear(number)
        if mine:
            os.close(lock)
        else:
            mine = number, lock
    if mine is None:
        raise RuntimeError(f"every test bed under {BEDS} is in use")
    (BEDS / str(mine[0])).mkdir()
    return mine


def _clear(number: int) -> None:
    """Remove what a bed leaves behind beside processes: its folder and its control groups."""
    shutil.rmtree(BEDS / str(number), ignore_errors=True)
    for group in _groups(f"infctl-bed-{number}-*"):
        with suppress(OSError):  # still busy with the last of a process: the next claim removes it
            group.rmdir()


def _groups(pattern: str) -> Iterator[Path]:
    """Yield matching control groups of every hierarchy, the deepest first."""
    for top in (*CGROUPS.glob(pattern), *CGROUPS.glob(f"*/{pattern}")):
        if not top.is_symlink():
            yield from (Path(folder) for folder, _, _ in os.walk(top, topdown=False))


def run(*argv: str) -> str:
    """Run a command of this machine; returns what it printed, raises CalledProcessError."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, argv, done.stdout, done.stderr)
    return done.stdout
