"""A new infctl alone plans no change: what every released version left behind is planned with today's code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.released.keep import HERE, KEPT, infctl

VERSIONS = sorted(path.name for path in HERE.iterdir() if (path / "state.json").is_file())


def test_there_is_something_to_plan() -> None:
    assert VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_release_left_behind_needs_no_change(version: str, tmp_path: Path) -> None:
    for name, place in KEPT.items():
        to = tmp_path / place
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(HERE / version / name, to)
    done = infctl(tmp_path, "plan", "-detailed-exitcode", "-input=false")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No changes." in done.stdout
