"""Waiting for what background processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from infctl_local.process import State, Status, read_status

PATIENCE_S = 20.0


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def status_of(run_dir: Path) -> Status:
    status = read_status(run_dir)
    assert status is not None
    return status


def until_state(run_dir: Path, state: State, restarts: int = 0) -> Status:
    until(lambda: status_of(run_dir).state is state and status_of(run_dir).restarts >= restarts)
    return status_of(run_dir)
