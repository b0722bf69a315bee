"""Owns what is true so far in one run: state in a mutable form, and the journal records that make it durable.

What memory holds is always what a replay of the journal would give: both go through `fold`. One thread only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from infctl.plan.model import Plan, Step
from infctl.provider.values import Do, Known, Observed, Values
from infctl.state.journal import Record, What, fold
from infctl.state.model import ModelState, Resource, State
from infctl.state.store import Lease


class Ledger:
    """The state of a run. `note` changes memory at once; `flush` makes everything noted durable, in one write."""

    def __init__(self, plan: Plan, state: State, lease: Lease, utc: Callable[[], str]) -> None:
        self.resources = dict(state.resources)
        self.models = dict(state.models)
        self.outputs: dict[str, Values] = {ident: thing.outputs for ident, thing in self.resources.items()}
        self.before: dict[str, Resource | None] = {}  # by step: its object as it was when the step began
        self.changed = False
        self._at_start = state
        self._first_at = {thing.address: thing for thing in state.resources.values() if not thing.deposed}
        self._reach = {t.name: {"type": t.type, "config": t.config} for t in plan.targets}
        self._lease = lease
        self._utc = utc
        self._unwritten: list[Record] = []

    def note(
        self, step: str, what: What, *, put: Resource | None = None, drop: str = "", model: ModelState | None = None
    ) -> None:
        record = Record(step=step, what=what, put=put, drop=drop, model=model, at=self._utc())
        fold(record, self.resources, self.models)
        if put is not None:
            self.outputs[put.id] = put.outputs
        if drop:
            self.outputs.pop(drop, None)
        self._unwritten.append(record)
        self.changed = True

    def now(self) -> str:
        return self._utc()

    def flush(self) -> None:
        """Make all that was noted durable. Raises InfctlError when the store cannot."""
        if self._unwritten:
            self._lease.append(tuple(self._unwritten))
            self._unwritten.clear()

    def predecessor(self, step: Step) -> Known | None:
        """Return the object as state knows it; for a create the one it follows at its address."""
        if step.do is not Do.CREATE:
            have = self.resources.get(step.object)
            return have.known if have else None
        old = self._at_start.resources.get(step.replaces) or self._first_at.get(step.address)
        return old.known if old else None

    # ------------------------------------------------------------ the records of one step

    def begin(self, step: Step, undoes: Step | None) -> Resource:
        """Note the intent and return the object as it is meant to be. `undoes` is the step taken back, if any."""
        have = self.resources.get(step.object)
        if undoes is None:
            self.before[step.id] = have
            old = self.resources.get(step.replaces)
            if old is not None and not old.deposed:
                self.note(step.id, "begin", put=replace(old, deposed=True))
        elif have is None:  # it was removed: what it was says whether something else stands at its address
            have = self.before[undoes.id]
        meant = replace(have, pending=_intent(have, step)) if have else self._new(step)
        if step.do is Do.CREATE:
            meant = replace(_described(meant, step), values=step.set or {}, ready=False, fence=self._lease.fence)
        self.note(step.id, "begin" if undoes is None else "undo-begin", put=meant)
        return meant

    def stands(self, step: Step, seen: Observed, kept: Values, *, undo: bool) -> None:
        """Note that the place did it; the gate is still to come, so the step stays pending."""
        thing = replace(self.resources[step.object], values=kept, outputs=seen.outputs)
        self.note(step.id, "undo-begin" if undo else "begin", put=thing)

    def done(self, step: Step, seen: Observed | None, kept: Values | None) -> None:
        """Note a step's end."""
        if step.do is Do.DELETE:
            self.note(step.id, "done", drop=step.object)
            return
        thing = replace(self.resources[step.object], pending="")
        if seen is not None:
            thing = replace(thing, outputs=seen.outputs)
        if step.do is Do.STOP:
            thing = replace(thing, ready=False)
        elif kept is not None:
            thing = replace(_described(thing, step), values=kept, ready=True)
        self.note(step.id, "done", put=thing)

    def undone(self, step: Step, undo: Step, seen: Observed | None) -> None:
        """Note that `undo` took `step` back: its object is what it was before the step began."""
        before = self.before[step.id]
        if undo.do is Do.DELETE:
            self.note(undo.id, "undo-done", drop=undo.object)
            old = self.resources.get(step.replaces)
            if old is not None:
                self.note(undo.id, "undo-done", put=replace(old, deposed=False))
        elif before is not None:
            outputs = before.outputs if seen is None else seen.outputs
            self.note(undo.id, "undo-done", put=replace(before, outputs=outputs, pending="", ready=True))

    def settled(self, step: Step) -> None:
        """Note that a step without an undo is over: what it waited for is no longer wanted."""
        have, before = self.resources.get(step.object), self.before[step.id]
        if have is not None and before is not None and step.do is Do.DRAIN:
            self.note(step.id, "undo-done", put=replace(have, pending=before.pending))

    def _new(self, step: Step) -> Resource:
        return Resource(
            step.address, step.object, step.name, step.target, step.model, step.revision, step.spec_hash,
            reach=self._reach.get(step.target, {}), lowering=step.lowering, inputs=step.inputs,
            fence=self._lease.fence, pending=str(step.do), ready=False,
        )  # fmt: skip


def _intent(have: Resource, step: Step) -> str:
    """Return what is under way: what was begun stays a creation until it has answered, however often it is resumed."""
    return have.pending if have.pending == Do.CREATE and step.do is Do.UPDATE else str(step.do)


def _described(thing: Resource, step: Step) -> Resource:
    return replace(
        thing,
        revision=step.revision or thing.revision,
        spec_hash=step.spec_hash or thing.spec_hash,
        inputs=step.inputs or thing.inputs,
        lowering=step.lowering,
    )
