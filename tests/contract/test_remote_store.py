"""What all shared stores have in common passes the conformance kit over a place that files make."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.state.remote.seal import Seal
from infctl.state.remote.store import RemoteStore
from infctl.state.testkit import CHECKS, Check
from tests.fakes.folder_place import FolderPlace


@pytest.mark.parametrize("seal", [Seal(), Seal(b"k" * 32)], ids=["plain", "sealed"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: str(check.__name__))
def test_remote_store(check: Check, seal: Seal, tmp_path: Path) -> None:
    def open_store(workspace: str = "default", lease: float = 60.0) -> RemoteStore:
        return RemoteStore(FolderPlace(tmp_path, workspace), workspace, seal, lease=lease)

    check(open_store)
