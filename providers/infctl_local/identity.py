"""Owns which process is meant: a pid with its start time and the boot it belongs to.

A pid alone is reused by strangers, within minutes and after every reboot. Knows nothing of run directories.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LINUX = sys.platform == "linux"
POLL_S = 0.02
KILL_S = 10.0  # a process in uninterruptible sleep ends later, but it ends


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, for ever. `start`: clock ticks since boot on Linux (a clock that jumps does not move
    it; proc(5), field 22 of stat), seconds since the epoch elsewhere. `boot` names the boot.
    """

    pid: int
    start: float
    boot: str


@cache
def boot_id() -> str:
    """Return a name of this boot: another one after every restart of the machine."""
    if LINUX:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    argv = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def identify(pid: int) -> Identity | None:
    """Return who has this pid now, or None when nobody does. A zombie is nobody."""
    start = _start_on_linux(pid) if LINUX else _start_elsewhere(pid)
    return None if start is None else Identity(pid, start, boot_id())


def alive(identity: Identity) -> bool:
    """Tell whether this very process still runs."""
    return identify(identity.pid) == identity


def end(identity: Identity, grace_s: float) -> None:
    """Stop the process and its group: SIGTERM, after `grace_s` seconds SIGKILL. Returns when it is gone."""
    send(identity, signal.SIGTERM)
    if not wait_gone(identity, grace_s):
        send(identity, signal.SIGKILL)
        wait_gone(identity, KILL_S)


def wait_gone(identity: Identity, timeout_s: float) -> bool:
    """Wait until the process is gone; False when it still runs after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while alive(identity):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def send(identity: Identity, number: signal.Signals) -> None:
    """Signal the process, with its group where it leads one; nobody when it is gone."""
    if not alive(identity):
        return
    try:
        if os.getpgid(identity.pid) == identity.pid:
            os.killpg(identity.pid, number)
        else:
            os.kill(identity.pid, number)
    except ProcessLookupError:
        return  # it ended by itself, which is what was wanted


def _start_on_linux(pid: int) -> float | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = stat[stat.rindex(")") + 2 :].split()  # the name may hold spaces and parentheses
    return None if state in "ZX" else int(fields[18])


def _start_elsewhere(pid: int) -> float | None:
    import psutil  # noqa: PLC0415  -- a supervisor on Linux does without its 4 MB

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None
