"""Owns what a run directory holds: what must run (spec.json) and how it goes (status.json).

Read by the command line, written by it and by the supervisor. Knows nothing of processes; plain stdlib,
since every supervisor carries it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from infctl_local.identity import Identity

SPEC, STATUS, LOCK, LOG, SUPERVISOR_LOG = "spec.json", "status.json", "lock", "log", "supervisor.log"
LIFELINE = "INFCTL_LIFELINE_FD"  # the environment variable that names a child's lifeline
# Exit codes after which starting it again cannot help: EX_CONFIG of sysexits.h, and what a shell says of a
# program that is not there.
CONFIG_ERROR, CANNOT_START = 78, 127


@dataclass(frozen=True, slots=True)
class Restart:
    """When a child that ended is started again: after `first_s` seconds, then twice as long each time up
    to `cap_s`. A child that lived `healthy_s` clears the count; `give_up_after` quick ends in a row are
    the last, and so is an exit code in `permanent`.
    """

    first_s: float = 0.5
    cap_s: float = 30.0
    give_up_after: int = 5
    healthy_s: float = 60.0
    permanent: tuple[int, ...] = (CONFIG_ERROR, CANNOT_START)

    def delay(self, quick_ends: int) -> float:
        """Seconds to wait after the given number of quick ends in a row (0: it had been healthy)."""
        return min(self.cap_s, self.first_s * 2.0 ** (quick_ends - 1)) if quick_ends else 0.0


@dataclass(frozen=True, slots=True)
class Spec:
    """What a supervisor keeps running. `env` is added to a small inherited one and is on disk (0600):
    secrets go through `spawn(secrets=...)` instead. `labels` are the caller's; nobody here reads them.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    grace_s: float = 30.0  # between SIGTERM and SIGKILL
    restart: Restart = field(default_factory=Restart)
    log_bytes: int = 10_000_000  # of one log file, before it is rotated
    log_files: int = 3
    cwd: str = ""  # where the child starts; the run directory when empty


class State(StrEnum):
    STARTING = "starting"  # no child: before the first, or waiting before the next
    RUNNING = "running"  # a child is up; whether it is ready only a request can tell
    STOPPING = "stopping"  # told to end; the child has its grace
    FAILED = "failed"  # given up; the supervisor is gone
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Status:
    """How it goes. `exit_code` is of the last child that ended (negative: minus the signal that killed
    it); `since` is when `state` began, in seconds since the epoch.
    """

    supervisor: Identity
    child: Identity | None
    restarts: int
    state: State
    exit_code: int | None
    since: float


def write_private(path: Path, text: str) -> None:
    """Replace the file atomically; 0600, durable. Raises OSError (a full disk leaves the old one)."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_spec(run_dir: Path, spec: Spec) -> None:
    write_private(run_dir / SPEC, json.dumps(asdict(spec)))


def read_spec(run_dir: Path) -> Spec:
    """Return what must run there. Raises FileNotFoundError, ValueError when it is no spec of ours."""
    values = _read_object(run_dir / SPEC)
    try:
        restart = Restart(**{**values["restart"], "permanent": tuple(values["restart"]["permanent"])})
        return Spec(**{**values, "argv": tuple(values["argv"]), "restart": restart})
    except (KeyError, TypeError) as error:
        raise ValueError(f"{run_dir / SPEC} is no spec of a supervisor: {error!r}") from error


def write_status(run_dir: Path, status: Status) -> None:
    write_private(run_dir / STATUS, json.dumps(asdict(status)))


def read_status(run_dir: Path) -> Status | None:
    """Return the last status written there, None before the first. Raises ValueError when it is not ours."""
    try:
        values = _read_object(run_dir / STATUS)
    except FileNotFoundError:
        return None
    try:
        child = values["child"] and Identity(**values["child"])
        supervisor = Identity(**values["supervisor"])
        return Status(**{**values, "child": child, "supervisor": supervisor, "state": State(values["state"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"{run_dir / STATUS} is no status of a supervisor: {error!r}") from error


def _read_object(path: Path) -> dict[str, Any]:
    values = json.loads(path.read_text("utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"{path} does not hold a JSON object")  # noqa: TRY004  -- the file is wrong, not a type
    return values
