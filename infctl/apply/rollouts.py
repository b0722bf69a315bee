"""Owns how far each model has got: which of its steps are open, begun, done; whether it must be taken back.

Knows nothing of threads or journals.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from infctl.apply.failures import is_removal
from infctl.diagnostics import Diagnostic
from infctl.plan.model import Step


@dataclass(slots=True, eq=False)
class Rollout:
    """One model's steps, or a single step that belongs to no model (`name` is "").

    `open` are the steps that have not ended, begun or not; `making` counts those of them that make or change
    something. `doomed` means that it cannot be completed: what was begun is taken back (`undoing`), by the steps in
    `undoes` (undo's id -> step taken back). `settled` means that nothing more happens to it in this run.
    `abandon` ends its waits; `failed_gate` is the step whose gate failed.
    """

    name: str
    steps: dict[str, Step] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)
    making: int = 0
    causes: list[Diagnostic] = field(default_factory=list)
    failed_gate: Step | None = None
    abandon: threading.Event = field(default_factory=threading.Event)
    doomed: bool = False
    undoing: bool = False
    undoes: dict[str, Step] = field(default_factory=dict)
    undo_causes: list[Diagnostic] = field(default_factory=list)
    settled: bool = False

    def add(self, step: Step) -> None:
        self.steps[step.id] = step
        self.open.add(step.id)
        self.making += not is_removal(step.do)

    def finish(self, step: Step) -> None:
        """Take note that `step` is done."""
        self.open.discard(step.id)
        self.making -= not is_removal(step.do)

    @property
    def only_cleanup_left(self) -> bool:
        """Whether all that makes or changes something is done: then failing to clean up is no reason to go back."""
        return not self.making

    @property
    def in_order(self) -> list[Step]:
        """The begun steps in the plan's order."""
        return [step for ident, step in self.steps.items() if ident in self.begun]

    @property
    def revision(self) -> int:
        """The revision it leads to; for a removal the one that leaves."""
        steps = [step for step in self.steps.values() if not is_removal(step.do)] or list(self.steps.values())
        return max(step.revision for step in steps)


def by_model(steps: Iterable[Step]) -> dict[str, Rollout]:
    """Return each step's rollout, by step id."""
    rollouts: dict[str, Rollout] = {}
    found: dict[str, Rollout] = {}
    for step in steps:
        rollout = rollouts.setdefault(step.model or f"/{step.id}", Rollout(step.model))
        rollout.add(step)
        found[step.id] = rollout
    return found
