"""Owns copying a stack's state from one store to another: from where it was to where the file says, or to a folder.

Interrupted, it is run again: nothing is taken from the source, and what is there already is the same lineage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from infctl.diagnostics import Code, InfctlError, error
from infctl.frozen import dataclass
from infctl.ops.stores import asked_config, last_config, make_store, open_store, remember, who
from infctl.spec.stack import StateConfig
from infctl.state.model import State
from infctl.state.moves import migrate
from infctl.state.store import Store

NOTHING_TO_MIGRATE = Code(
    "nothing-to-migrate",
    "The state is already kept where the file says, or there is none.",
    "Say the new place under `state:` in the file first; then `infctl state migrate` copies the state there.",
)


@dataclass(frozen=True, slots=True)
class Copied:
    """One workspace's state as it was stored at `location`."""

    state: State
    location: str


@dataclass(frozen=True, slots=True)
class Moving:
    """What is to be copied where: pairs of stores, source first. Once all are, `config` is where state is kept."""

    pairs: tuple[tuple[Store, Store], ...]
    root: Path
    config: StateConfig | None = None

    def run(self, *, timeout: float, force: bool) -> Iterator[Copied]:
        """Copy each in turn. Times in seconds. Raises InfctlError (state-conflict, state-locked ...)."""
        for source, destination in self.pairs:
            state = migrate(source, destination, who(), timeout=timeout, force=force)
            yield Copied(state, destination.location)
        if self.config is not None:
            remember(self.root, self.config)

    @property
    def afterwards(self) -> str:
        """What to know once it is done."""
        return f"The copy at {self.pairs[0][0].location} stays as it is; nothing reads it any more."


def copies(root: Path, env: Mapping[str, str]) -> Moving:
    """Return what is to be copied from where the state of the stack in `root` was to where its file says now.

    Raises InfctlError (nothing-to-migrate).
    """
    before, asked = last_config(root), asked_config(root)
    if before == asked:
        where = make_store(root, "default", env, asked).location
        raise _nothing(f"The state is kept at {where} already")
    first = make_store(root, "default", env, before)
    pairs = []
    for name in first.workspaces():
        source = make_store(root, name, env, before)
        if source.load().state is not None:
            pairs.append((source, make_store(root, name, env, asked)))
    if not pairs:
        raise _nothing(f"{first.location} holds no state")
    return Moving(tuple(pairs), root, asked)


def copy_to_folder(root: Path, folder: Path, env: Mapping[str, str]) -> Moving:
    """Return the copy of the selected workspace's state to where the stack in `folder` keeps its own."""
    source = open_store(root, env)
    return Moving(((source, open_store(folder, env, workspace=source.workspace)),), root)


def _nothing(summary: str) -> InfctlError:
    return InfctlError(error(NOTHING_TO_MIGRATE, summary, hint=NOTHING_TO_MIGRATE.remedy))
