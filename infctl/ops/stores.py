"""Owns finding a stack's state: which store, which workspace, who is asking, how long to wait for the lock."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from infctl.state.local import open_local
from infctl.state.store import Store
from infctl.state.workspaces import require, selected


def open_store(root: Path, env: Mapping[str, str], *, workspace: str = "") -> Store:
    """Return the store of the stack in `root`, in `workspace` or the selected one.

    Raises InfctlError (bad-workspace, no-such-workspace, bad-lease).
    """
    store = open_local(root, workspace or selected(root, env), env)
    if not workspace:
        require(store)
    return store


def who() -> str:
    """Return USER@HOST, as locks and holds name a person."""
    import getpass

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        user = "unknown"
    return f"{user}@{os.uname().nodename}"
