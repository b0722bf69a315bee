"""The local store passes the conformance kit that every store passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.state.local import LocalStore
from infctl.state.testkit import CHECKS, Check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: str(check.__name__))
def test_local_store(check: Check, tmp_path: Path) -> None:
    def open_store(workspace: str = "default", lease: float = 60.0) -> LocalStore:
        return LocalStore(tmp_path, workspace, lease=lease)

    check(open_store)
