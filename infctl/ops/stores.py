"""Owns finding a stack's state: which store, which workspace, who is asking.

The file says where state is kept. What was used last is remembered beside the stack, so that state is found where the
file is broken or gone, and a place that was changed is not taken for an empty one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from infctl.diagnostics import Code, InfctlError, error
from infctl.ops.where import CONFIG
from infctl.spec.stack import StateConfig
from infctl.spec.which import find
from infctl.state import disk
from infctl.state.lease import seconds_from
from infctl.state.local import LocalStore
from infctl.state.store import Store
from infctl.state.workspaces import FOLDER, require, selected

STATE_MOVED = Code(
    "state-moved",
    "The file says that state is kept elsewhere than it was the last time, and nothing of it is there.",
    "`infctl state migrate` copies it; `infctl init -reconfigure` takes the new place as it is.",
)
REMEMBERED = "backend.json"  # beside the workspaces: what the last command used, where it was not this folder
LOCAL = StateConfig()
_SAYS = re.compile(rb"""\bstate["']?\s*:""")


def open_store(
    root: Path,
    env: Mapping[str, str],
    *,
    workspace: str = "",
    config: StateConfig | None = None,
    files: Sequence[Path] = (),
) -> Store:
    """Return the store of the stack in `root`, in `workspace` or the selected one.

    It is the one that `config` describes, else the files of the stack. Raises InfctlError (bad-workspace,
    no-such-workspace, bad-lease, state-moved; what is wrong with the file's `state`).
    """
    name = workspace or selected(root, env)
    asked = config or asked_config(root, files)
    store = make_store(root, name, env, asked)
    before = last_config(root)
    if asked != before:
        _refuse_left_behind(root, env, before, store)
        with suppress(InfctlError):  # whoever reads or locks it says why; nothing is kept where nobody ever came
            store.lock_info()
            remember(root, asked)
    if not workspace:
        require(store)
    return store


def make_store(root: Path, workspace: str, env: Mapping[str, str], config: StateConfig) -> Store:
    """Return the store that `config` describes. Raises InfctlError (bad-lease; what opening its place needs)."""
    if config.backend == LOCAL.backend and not config.encryption:
        return LocalStore(root, workspace, lease=seconds_from(env))
    from infctl.state.remote.open import open_remote

    return open_remote(config, workspace, root, env, seconds_from(env))


def asked_config(root: Path, files: Sequence[Path] = ()) -> StateConfig:
    """Return where the files of the stack in `root` say that state is kept; where they say nothing that can be read,
    where it was the last time. Raises InfctlError where neither can be told.
    """
    if not files and not (root / CONFIG).exists():
        return last_config(root)
    if not _may_say(root, files):
        return LOCAL
    from infctl.spec.state_section import read_state

    try:
        return read_state(root, files)
    except InfctlError:
        if not (root / FOLDER / REMEMBERED).exists():
            raise
        return last_config(root)


def _may_say(root: Path, files: Sequence[Path]) -> bool:
    """Return whether any file may have a section of state: most have none, and need not be parsed for it."""
    found, missing = find(root, files)
    try:
        return bool(missing) or any(_SAYS.search((root / path).read_bytes()) for path in found)
    except OSError:  # whoever reads it says why
        return True


# ---------------------------------------------------------------- what was used last


def last_config(root: Path) -> StateConfig:
    """Return where state was kept the last time: in this folder, where nothing is remembered."""
    text = disk.read(root / FOLDER / REMEMBERED)
    if text is None:
        return LOCAL
    try:
        plain = json.loads(text)
        return StateConfig(plain["backend"], plain["options"], plain["encryption"], plain["secrets"])
    except (ValueError, KeyError, TypeError):  # the file of the stack says it again
        return LOCAL


def remember(root: Path, config: StateConfig) -> None:
    """Note where state is kept; where that cannot be written, the file of the stack has to be there next time."""
    path = root / FOLDER / REMEMBERED
    with suppress(InfctlError, FileNotFoundError):
        if config == LOCAL:
            path.unlink()
            return
        plain = {name: getattr(config, name) for name in ("backend", "options", "encryption", "secrets")}
        disk.make_folder(path.parent)
        disk.replace(path, f"{json.dumps(plain, indent=2)}\n".encode(), "backend")


def _refuse_left_behind(root: Path, env: Mapping[str, str], before: StateConfig, store: Store) -> None:
    """Raise InfctlError (state-moved) where a state stayed at the place before, and another or none is in the new."""
    old = make_store(root, store.workspace, env, before)
    if old.location == store.location:
        return
    try:
        left = old.load().state
    except InfctlError as failure:
        raise _moved(old, store, f"{failure.diagnostics[0].summary}: {failure.diagnostics[0].detail}") from failure
    if left is None:
        return
    there = store.load().state
    if there is None or there.lineage != left.lineage:
        raise _moved(old, store, f"{len(left.resources)} objects, serial {left.serial}, are remembered there")


def _moved(old: Store, new: Store, detail: str) -> InfctlError:
    return InfctlError(
        error(
            STATE_MOVED,
            f"State was kept at {old.location}, and the file says {new.location}",
            detail,
            hint=STATE_MOVED.remedy,
            path="state",
        )
    )


def who() -> str:
    """Return USER@HOST, as locks and holds name a person."""
    import getpass

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        user = "unknown"
    return f"{user}@{os.uname().nodename}"
