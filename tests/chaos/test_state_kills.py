"""SIGKILL at every point where a run touches its state: readable each time, and the next run completes it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infctl.state.local import LocalStore
from tests.chaos.state_run import OBJECTS, run

ROOT = Path(__file__).resolve().parents[2]


def start(root: Path, fault: str) -> subprocess.CompletedProcess[str]:
    root.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.chaos.state_run", str(root)]
    env = {**os.environ, "INFCTL_FAULT": fault}
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)


def stands(root: Path) -> int:
    """Return how many objects are whole, after making sure that what is read makes sense."""
    state = LocalStore(root).load().current
    if state is None:
        return 0
    whole = [thing for thing in state.resources.values() if not thing.pending]
    assert not state.outputs or len(whole) == OBJECTS
    return len(whole)


def test_a_run_killed_at_any_point_is_readable_and_completed_by_the_next(tmp_path: Path) -> None:
    listed = start(tmp_path / "whole", "list").stderr
    points = re.findall(r"^fault (\d+) (.+)$", listed, re.MULTILINE)
    assert [int(number) for number, _ in points] == list(range(1, len(points) + 1))
    names = {name for _, name in points}
    assert names >= {
        "lock: before acquire", "lock: acquired", "lock: before release", "lock: released",
        "journal: before write", "journal: torn", "journal: written", "journal: synced",
        "snapshot: before write", "snapshot: torn", "snapshot: written", "snapshot: synced",
        "snapshot: before rename", "snapshot: renamed", "snapshot: folder synced", "snapshot: journal dropped",
        "fence: before rename", "fence: renamed",  # the first; later ones are written in place
    }  # fmt: skip
    progress = []
    for number, name in points:
        root = tmp_path / number
        killed = start(root, f"kill:{number}")
        assert killed.returncode == -signal.SIGKILL, f"{number} {name}: {killed.stderr}"
        progress.append(stands(root))
        run(root)
        assert stands(root) == OBJECTS, f"{number} {name}"
        assert LocalStore(root).lock_info() is None
        assert not list((root / ".infctl" / "default").glob(".staged*")), f"{number} {name} leaves a staged file"
    assert progress == sorted(progress), "a later point never has less than an earlier one"
    assert {0, OBJECTS // 2, OBJECTS} == set(progress) - set(range(1, OBJECTS // 2)) - set(range(6, OBJECTS))


@pytest.mark.parametrize("fault", ["kill", "kill:0", "list:1", "stop"])
def test_a_fault_that_is_none_is_refused_at_the_first_point(tmp_path: Path, fault: str) -> None:
    done = start(tmp_path, fault)
    assert "bad-fault" in done.stderr
    assert LocalStore(tmp_path).load().state is None
