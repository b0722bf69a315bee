"""Owns what a run says of models and outputs: what a completed rollout puts into state, what a failed one leaves.

Knows nothing of threads, nor of when it is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from infctl.apply.failures import in_short
from infctl.apply.ledger import Ledger
from infctl.apply.rollouts import Rollout
from infctl.diagnostics import Diagnostic
from infctl.plan.diff import resolve
from infctl.plan.model import Plan, Step
from infctl.provider.values import Do, leaves
from infctl.secrets import UNKNOWN
from infctl.state.model import Failure, ModelState, State
from infctl.state.moves import rename_model


@dataclass(slots=True)
class Tally:
    """Which objects a run made, changed and removed, net of what it took back."""

    added: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    destroyed: set[str] = field(default_factory=set)

    def _kind(self, step: Step) -> set[str]:
        if step.do is Do.CREATE:
            return self.added
        if step.do is Do.DELETE:
            return self.destroyed
        return self.changed if step.do in {Do.UPDATE, Do.SWITCH} and step.object not in self.added else set()

    def did(self, step: Step) -> None:
        self._kind(step).add(step.object)

    def undid(self, step: Step) -> None:
        self._kind(step).discard(step.object)


def rename(plan: Plan, state: State) -> State:
    """Return `state` with the plan's renames made, where they are not already; the same object when nothing moves."""
    for old, new in plan.moved:
        if old in state.models or any(thing.model == old for thing in state.resources.values()):
            state = rename_model(state, old, new)
    return state


def note_what_needs_no_step(plan: Plan, ledger: Ledger, busy: Collection[str]) -> None:
    """Note objects that are gone, accepted drift, and models of which no object changes (not in `busy`)."""
    for thing in plan.refreshed:
        ledger.note("refreshed", "done", put=thing)
    for ident in plan.forget:
        if ident in ledger.resources:
            ledger.note("gone", "done", drop=ident)
    for model in plan.model_states:
        if model.name not in busy:
            ledger.note("models", "done", model=_dated(model, ledger.now()))


def note_model(plan: Plan, ledger: Ledger, rollout: Rollout) -> int:
    """Note what state says of a model whose rollout is complete; return its revision (0: the model is gone)."""
    planned = next((model for model in plan.model_states if model.name == rollout.name), None)
    if planned is not None:
        ledger.note(next(reversed(rollout.steps)), "done", model=_dated(planned, ledger.now()))
    return 0 if rollout.name in plan.forgotten_models else serving(ledger, rollout)


def note_failure(plan: Plan, ledger: Ledger, rollout: Rollout, *, undone: bool) -> tuple[Diagnostic, ...]:
    """Note a failed rollout: once `undone` its number is used up; a revision whose gate failed is remembered as such.

    Returns why it failed, each with what serves now when it was undone.
    """
    planned = next((model for model in plan.model_states if model.name == rollout.name), None)
    known = ledger.models.get(rollout.name, ModelState(rollout.name))
    if planned is not None:
        after = known
        standing = any(r.model == rollout.name and r.revision >= planned.revision for r in ledger.resources.values())
        if undone and not standing:  # else the next run goes on with what stands
            after = replace(known, next_revision=max(known.next_revision, planned.next_revision))
        if rollout.failed_gate is not None and planned.revision != known.revision:
            spec_hash = next((r.spec_hash for r in planned.revisions if r.number == planned.revision), "")
            reason = in_short(rollout.causes[0])
            after = replace(after, failure=Failure(planned.revision, spec_hash, reason, ledger.now()))
        if after != known:
            ledger.note(next(iter(rollout.steps)), "failed", model=after)
    if not undone:
        return tuple(rollout.causes)
    answers = any(
        r.model == rollout.name and r.spec_hash and r.ready and not r.pending for r in ledger.resources.values()
    )
    back = f"r{known.revision} serves as before" if known.revision and answers else "nothing of it is left running"
    return tuple(replace(cause, detail=f"{cause.detail}\nTaken back: {back}.".lstrip()) for cause in rollout.causes)


def serving(ledger: Ledger, rollout: Rollout) -> int:
    """Return the revision that state says serves (0: none)."""
    known = ledger.models.get(rollout.name)
    return known.revision if known else 0


def outputs(plan: Plan, ledger: Ledger, before: Mapping[str, Any], unfinished: Collection[str]) -> dict[str, Any]:
    """Return the stack's outputs: planned ones, resolved; those of a model that did not get there stay as before."""
    ids = {thing.address: thing.id for thing in ledger.resources.values() if not thing.deposed}
    found = {name: value for name, value in before.items() if _model(name) in ledger.models}
    for name, planned in plan.outputs.items():
        value = resolve(planned, ledger.outputs, ids)
        if _model(name) not in unfinished and UNKNOWN not in leaves(value):
            found[name] = value
    return found


def _model(output: str) -> str:
    return output.partition(".")[0]


def _dated(model: ModelState, now: str) -> ModelState:
    """Return `model` with `now` wherever the plan, which has no clock, left the time open."""
    revisions = tuple(past if past.at else replace(past, at=now) for past in model.revisions)
    hold = replace(model.hold, at=now) if model.hold and not model.hold.at else model.hold
    return replace(model, revisions=revisions, hold=hold)
