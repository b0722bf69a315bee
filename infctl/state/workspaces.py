"""Owns which workspace is meant: INFCTL_WORKSPACE, else the one selected in ROOT/.infctl/workspace, else "default".

Works over any store; only the choice itself is a local file. Knows no particular store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from infctl.address import NAME_PATTERN
from infctl.diagnostics import Code, InfctlError, did_you_mean, error
from infctl.state import disk
from infctl.state.store import DEFAULT_WORKSPACE, NO_WORKSPACES, Store

FOLDER = ".infctl"
SELECTED = "workspace"  # the file's name
BAD_WORKSPACE = Code(
    "bad-workspace",
    "A workspace's name is not one.",
    "Use lower-case letters, digits and dashes, 40 at most, a letter first; 'cache' and 'workspace' are taken.",
)
NO_SUCH_WORKSPACE = Code(
    "no-such-workspace",
    "The workspace is not there.",
    "`infctl workspace list` shows them; `infctl workspace new NAME` makes one.",
)
WORKSPACE_EXISTS = Code(
    "workspace-exists",
    "A workspace of this name is there already.",
    "`infctl workspace select NAME` changes to it.",
)
WORKSPACE_IN_USE = Code(
    "workspace-in-use",
    "The workspace cannot be deleted, or left, as things are.",
    "Destroy what it holds and select another workspace first; `-force` forgets what it holds and leaves it running.",
)


def selected(root: Path, env: Mapping[str, str]) -> str:
    """Return the workspace that commands in `root` mean, made or not.

    Raises InfctlError (bad-workspace, state-unreadable).
    """
    asked = env.get("INFCTL_WORKSPACE")
    if asked:
        return _checked(asked)
    path = root / FOLDER / SELECTED
    text = disk.read(path)
    if text is None:
        return DEFAULT_WORKSPACE
    name = text.decode(errors="replace").removesuffix("\n")
    if not text.endswith(b"\n") or not _is_name(name):
        hint = "infctl workspace select NAME writes it anew"
        raise InfctlError(error(BAD_WORKSPACE, f"{path} names no workspace", f"it holds {name!r}", hint=hint))
    return name


def require(store: Store) -> None:
    """Refuse a workspace that was never made: a slip in its name must not look like an empty state.

    Raises InfctlError (no-such-workspace).
    """
    name = store.workspace
    if name == DEFAULT_WORKSPACE:  # always there, and asking may take a request
        return
    known = store.workspaces()
    if name not in known:
        hint = did_you_mean(name, known) or f"infctl workspace new {name} makes it"
        raise InfctlError(error(NO_SUCH_WORKSPACE, f"There is no workspace {name}", hint=hint))


def select(store: Store, root: Path, env: Mapping[str, str]) -> None:
    """Make `store`'s workspace the selected one. Raises InfctlError (no-such-workspace, workspace-in-use)."""
    name = _checked(store.workspace)
    require(store)
    overriding = env.get("INFCTL_WORKSPACE", name)
    if overriding != name:
        raise InfctlError(
            error(
                WORKSPACE_IN_USE,
                f"INFCTL_WORKSPACE={overriding} decides which workspace is used",
                hint=f"unset INFCTL_WORKSPACE, then infctl workspace select {name}",
            )
        )
    disk.make_folder(root / FOLDER)
    disk.replace(root / FOLDER / SELECTED, f"{name}\n".encode(), "workspace")


def new(store: Store, root: Path, env: Mapping[str, str]) -> None:
    """Make `store`'s workspace and select it. Raises InfctlError (bad-workspace, workspace-exists)."""
    name = _checked(store.workspace)
    if name in store.workspaces():
        hint = f"infctl workspace select {name} changes to it"
        raise InfctlError(error(WORKSPACE_EXISTS, f"There is a workspace {name} already", hint=hint))
    store.create()
    select(store, root, env)


def delete(store: Store, root: Path, env: Mapping[str, str], *, force: bool = False) -> None:
    """Delete `store`'s workspace with its state. Raises InfctlError (no-such-workspace, workspace-in-use).

    One that still holds objects, or whose state cannot be read, is deleted with `force` only: they go on running.
    """
    name = _checked(store.workspace)
    require(store)
    if name == DEFAULT_WORKSPACE:
        raise _in_use(name, "the default workspace always stays", "infctl destroy empties it")
    if name == selected(root, env):
        raise _in_use(name, "it is the selected one", f"infctl workspace select {DEFAULT_WORKSPACE}, then delete it")
    if not force:
        state = store.load().current
        if state is not None and state.resources:
            hint = f"select it and infctl destroy, or infctl workspace delete -force {name} to leave them running"
            raise _in_use(name, f"it holds {len(state.resources)} objects", hint)
    store.delete()


def _in_use(name: str, why: str, hint: str) -> InfctlError:
    return InfctlError(error(WORKSPACE_IN_USE, f"Workspace {name} cannot be deleted", why, hint=hint))


def _checked(name: str) -> str:
    if not _is_name(name):
        raise InfctlError(error(BAD_WORKSPACE, f"{name!r} cannot name a workspace", hint=BAD_WORKSPACE.remedy))
    return name


def _is_name(name: str) -> bool:
    return re.fullmatch(NAME_PATTERN, name) is not None and name not in NO_WORKSPACES
