"""Owns background processes as the command line sees them: spawn, find, stop, each safe to repeat.

One process is one run directory: what must run, how it goes, its log, and a lock that its supervisor holds
for life. Knows nothing of what runs there.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infctl_local.identity import Identity, alive, boot_id, end, identify, send, wait_gone
from infctl_local.logs import follow, tail
from infctl_local.record import (
    LOCK,
    LOG,
    SPEC,
    STATUS,
    Restart,
    Spec,
    State,
    Status,
    read_spec,
    read_status,
    write_spec,
    write_status,
)
from infctl_local.supervisor import READY, TAKEN

__all__ = [
    "LOG",
    "Identity",
    "Restart",
    "Run",
    "SpawnError",
    "Spec",
    "State",
    "Status",
    "alive",
    "boot_id",
    "discard",
    "follow",
    "free_port",
    "identify",
    "list_run_dirs",
    "read_run",
    "read_status",
    "spawn",
    "stop",
    "tail",
]

# What a child needs to find programs, libraries and a home. Not the rest: a CLI's environment has secrets.
INHERITED = ("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
UP = frozenset({State.STARTING, State.RUNNING})
SPAWN_TIMEOUT_S = 60.0
POLL_S = 0.02


class SpawnError(Exception):
    """A supervisor did not start; the text says why."""


@dataclass(frozen=True, slots=True)
class Run:
    """What runs, or ran, in one directory. `running`: its supervisor is this boot's and alive. `problem`
    says why `spec` or `status` could not be read.
    """

    path: Path
    spec: Spec | None
    status: Status | None
    running: bool
    problem: str = ""

    @property
    def gone(self) -> bool:
        """It should be there and is not: the machine was restarted, or its supervisor was killed."""
        return not self.running and self.status is not None and self.status.state in UP


def spawn(
    run_dir: Path, spec: Spec, secrets: Mapping[str, str] | None = None, hidden: tuple[str, ...] = ()
) -> Identity:
    """Start a supervisor for `spec` and return who it is, once its status is on disk.

    A directory whose supervisor lives keeps it, whatever `spec` says: run it twice, or twice at once, and
    one process results. `secrets` are environment variables that are never written to disk; what
    the child prints of them, and of the values in `hidden`, is left out of its log. Raises SpawnError, OSError.
    """
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + SPAWN_TIMEOUT_S
    while time.monotonic() < deadline:
        status = read_status(run_dir)
        if status and status.state in UP and alive(status.supervisor):
            return status.supervisor
        if not _is_locked(run_dir):
            write_spec(run_dir, spec)
            _start_supervisor(run_dir, {"secrets": dict(secrets or {}), "hidden": hidden})
        else:
            time.sleep(POLL_S)  # another one is just starting here, or on its way out
    raise SpawnError(f"{run_dir} is held by a supervisor that neither runs nor ends")


def read_run(run_dir: Path) -> Run:
    """Return what runs or ran there."""
    try:
        spec, status = read_spec(run_dir), read_status(run_dir)
    except (OSError, ValueError) as error:
        return Run(run_dir, None, None, running=False, problem=str(error))
    return Run(run_dir, spec, status, running=status is not None and alive(status.supervisor))


def list_run_dirs(root: Path) -> tuple[Run, ...]:
    """Return everything that runs or ran under `root`, by name. One scan, no process table walk."""
    if not root.exists():
        return ()
    with os.scandir(root) as entries:
        paths = sorted(Path(entry.path) for entry in entries if entry.is_dir())
    return tuple(read_run(path) for path in paths if (path / SPEC).exists())


def stop(run_dir: Path, grace_s: float) -> None:
    """End what runs there: SIGTERM, after `grace_s` seconds SIGKILL; returns once supervisor and child are gone.

    Takes a child that lost its supervisor too. Safe to repeat, and where nothing runs.
    """
    while (status := _settled_status(run_dir)) is not None:
        _stop_supervisor(status.supervisor, grace_s)
        with _lock(run_dir) as ours:
            if ours:
                _end_orphan(run_dir, grace_s)
                return


def discard(run_dir: Path, grace_s: float) -> None:
    """Stop what runs there and remove the directory with its log. Safe to repeat."""
    if run_dir.exists():
        stop(run_dir, grace_s)
        shutil.rmtree(run_dir)


def free_port(bind: str) -> int:
    """Return a TCP port that nobody listens on at this address now; somebody may a moment later."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((bind, 0))
        return int(probe.getsockname()[1])


def _start_supervisor(run_dir: Path, given: Mapping[str, Any]) -> None:
    argv = (sys.executable, "-P", "-m", "infctl_local.supervisor", str(run_dir))
    env = {name: os.environ[name] for name in os.environ if name in INHERITED or name.startswith("LC_")}
    process = subprocess.Popen(
        argv,
        env=env,
        cwd=run_dir,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    said, complained = process.communicate(json.dumps(given))
    if said not in {READY, TAKEN}:
        reason = complained.strip().splitlines() or [f"exit code {process.returncode}"]
        raise SpawnError(f"the supervisor of {run_dir} did not start: {reason[-1]}")


def _stop_supervisor(supervisor: Identity, grace_s: float) -> None:
    """A second SIGTERM tells it to kill its child at once; SIGKILL is for one that does not listen."""
    for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        if not alive(supervisor):
            return
        send(supervisor, number)
        wait_gone(supervisor, patience_s)


def _end_orphan(run_dir: Path, grace_s: float) -> None:
    status = read_status(run_dir)
    if status is None or status.state in {State.FAILED, State.STOPPED}:
        return
    if status.child:
        end(status.child, grace_s)
    write_status(run_dir, replace(status, child=None, state=State.STOPPED, since=time.time()))


def _settled_status(run_dir: Path) -> Status | None:
    """Return the status, once a supervisor that holds the lock is the one that the status names."""
    deadline = time.monotonic() + SPAWN_TIMEOUT_S
    while time.monotonic() < deadline:
        status = read_status(run_dir) if run_dir.exists() else None
        if (status and alive(status.supervisor)) or not _is_locked(run_dir):
            return status
        time.sleep(POLL_S)
    raise SpawnError(f"{run_dir} is locked by a process that is not the supervisor in its {STATUS}")


def _is_locked(run_dir: Path) -> bool:
    if not (run_dir / LOCK).exists():
        return False
    with _lock(run_dir) as ours:
        return not ours


@contextmanager
def _lock(run_dir: Path) -> Iterator[bool]:
    """Hold the directory's lock if nobody else does, and say whether that is so."""
    lock = os.open(run_dir / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(lock)
