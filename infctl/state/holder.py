"""Owns who holds a lock as a process: told apart from any other, and known to be dead only when that is sure.

Linux only; elsewhere nothing is ever sure and a lease has to run out. Knows nothing of locks.
"""

from __future__ import annotations

import os
from pathlib import Path

from infctl.frozen import dataclass

_DEAD = {"Z", "X"}  # proc(5): zombie and dead; both have run their last instruction


@dataclass(frozen=True, slots=True)
class Holder:
    """A process. `boot` is the kernel's random id of this boot, `space` its pid namespace (containers share host
    name and boot), `start` the ticks since boot at which it started (a pid comes again). "" is not known.
    """

    host: str
    pid: int
    boot: str = ""
    space: str = ""
    start: str = ""


def this_process() -> Holder:
    return Holder(os.uname().nodename, os.getpid(), _boot(), _space(), _life(os.getpid())[1])


def is_surely_dead(holder: Holder) -> bool:
    """Return whether `holder` ran here, in this boot and pid namespace, and runs no more."""
    if not (holder.boot and holder.space and holder.start):
        return False
    if (holder.host, holder.boot, holder.space) != (os.uname().nodename, _boot(), _space()):
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # another user's process, or no process number at all
        return False
    state, start = _life(holder.pid)
    return state in _DEAD or start not in {"", holder.start}


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _life(pid: int) -> tuple[str, str]:
    """Return state and start of a process as proc(5) tells them, ("", "") where it is not to be seen."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", ""
    return after_name[0], after_name[19]
