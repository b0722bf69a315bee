"""Owns taking a rollout back: which steps undo those that were begun, and in which order. Pure.

Knows nothing of threads, journals or providers' insides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from infctl.apply.failures import is_removal
from infctl.plan.model import Gate, Step
from infctl.state.model import Resource

LEAST_GATE = 600.0  # seconds; an old object that comes back is not judged by the new one's limit, and nothing is better


def undo_steps(
    begun: Sequence[Step], before: Mapping[str, Resource | None], is_gated: Callable[[Step], bool]
) -> dict[str, Step]:
    """Return, by the id of the step it takes back, each undo as a step of its own.

    `begun` are one model's steps in the plan's order, `before` what their objects were. The edges are those of
    the plan turned round, so that what came last goes first and what never depended on each other goes together.
    """
    timeout = max((step.gate.timeout for step in begun if step.gate), default=LEAST_GATE)
    timeout = max(timeout, LEAST_GATE)
    users: dict[str, list[Step]] = {}
    after: dict[str, frozenset[str]] = {}  # by step: the undos that come before whatever undoes it
    undos: dict[str, Step] = {}
    for step in reversed(begun):
        waits = frozenset[str]().union(*(after[user.id] for user in users.get(step.id, ())))
        if step.undo is not None:
            undo = _inverse(step, before.get(step.id), tuple(sorted(waits)))
            gate = Gate(timeout) if is_gated(undo) and not is_removal(undo.do) else None
            undos[step.id] = replace(undo, gate=gate)
            waits = frozenset({undo.id})
        after[step.id] = waits
        for need in step.needs:
            users.setdefault(need, []).append(step)
    return undos


def _inverse(step: Step, before: Resource | None, needs: tuple[str, ...]) -> Step:
    undo = step.undo
    if undo is None:
        raise ValueError(f"step {step.id} has no undo")
    back = Step(
        f"undo-{step.id}", step.address, step.target, step.model, undo.do, undo.id, step.name,
        set=undo.set, needs=needs, timeout=step.timeout, revision=step.revision, spec_hash=step.spec_hash,
    )  # fmt: skip
    if before is None or is_removal(undo.do):
        return back
    return replace(
        back,
        name=before.name,
        set=before.values,  # as the step found it: the plan's own undo names what stood before the whole run
        revision=before.revision,
        spec_hash=before.spec_hash,
        lowering=before.lowering,
        inputs=before.inputs,
    )
