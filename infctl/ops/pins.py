"""Owns settling what each model is pinned to: what the file asks for now beside what inference.lock.yaml holds.

Reads model files, writes nothing: `plan`, `apply` and `lock` each decide what becomes of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infctl.state.workspaces import FOLDER

if TYPE_CHECKING:
    from infctl.desired.decide import Decisions
    from infctl.desired.settle import Settled
    from infctl.engines.pin import Key, Pin
    from infctl.spec.stack import Stack

CACHE = "cache"  # ROOT/.infctl/cache: what is known of model files
Report = Callable[[Path, int, int], None]  # a model file being read: path, bytes done, bytes in all


@dataclass(frozen=True, slots=True)
class Pins:
    """`path` is the lock file, `locked` what it holds, `settled` what it should hold."""

    path: Path
    locked: Mapping[Key, Pin]
    decisions: Decisions
    settled: Settled


def settle_pins(stack: Stack, report: Report, *, only: Collection[str] | None = None, upgrade: bool = False) -> Pins:
    """Return what `stack` pins now. With `only`, other models keep what they have; with `upgrade` the newest engine.

    Raises InfctlError: all that is wrong with models, model files and the lock file.
    """
    from infctl.desired.decide import decide
    from infctl.desired.facts import gather
    from infctl.desired.lockfile import LOCK_FILE, read_lock
    from infctl.desired.settle import settle

    path = stack.root / LOCK_FILE
    decisions = decide(stack, gather(stack, stack.root / FOLDER / CACHE, report))
    locked = read_lock(path)
    renamed = {move.to: move.from_ for move in stack.moved}
    settled = settle(locked, decisions.pins, renamed=renamed, only=only, upgrade=upgrade)
    return Pins(path, locked, decisions, settled)
