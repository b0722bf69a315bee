"""Owns the journal's records: what a run meant to do and what came of it, one line each.

Pure: files and their durability are the store's. Knows nothing of plans; a step is just its id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from infctl.state.model import ModelState, Resource, State

What = Literal["begin", "done", "failed", "undo-begin", "undo-done"]


@dataclass(frozen=True, slots=True)
class Record:
    """One event of one step. `put` is what state says of an object from now on, `drop` an id that leaves state.

    The "begin" of a create puts the resource with pending="create", of a delete with pending="delete"; "done" puts
    the final one or drops it. `at` is UTC, ISO 8601, informative only.
    """

    step: str
    what: What
    put: Resource | None = None
    drop: str = ""
    model: ModelState | None = None
    at: str = ""


def replay(state: State, records: Iterable[Record]) -> State:
    """Return `state` with the puts, drops and models of `records` applied in order. Linear in both."""
    resources = dict(state.resources)
    models = dict(state.models)
    for record in records:
        if record.put is not None:
            resources[record.put.id] = record.put
        if record.drop:
            resources.pop(record.drop, None)
        if record.model is not None:
            models[record.model.name] = record.model
    return replace(state, resources=resources, models=models)
