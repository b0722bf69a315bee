"""Directories for background processes, of which nothing is left when the test is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infctl_local.process import list_run_dirs, stop


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "run"
    root.mkdir(mode=0o700)
    yield root
    for run in list_run_dirs(root):
        stop(run.path, 0.5)
