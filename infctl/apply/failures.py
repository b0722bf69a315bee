"""Owns the words for what goes wrong during apply: each failure as a diagnostic that says what runs now.

Knows nothing of how failures are noticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from infctl.diagnostics import Code, Diagnostic, error
from infctl.plan.model import Step
from infctl.provider.values import Do, Health
from infctl.state.model import Resource

GATE_FAILED = Code(
    "gate-failed",
    "A new replica never became ready, so its model was taken back to what served before.",
    "Read the log lines in the message; `infctl logs MODEL -revision N` shows the whole log.",
)
UNDO_FAILED = Code(
    "undo-failed",
    "A rollout failed, and a place could not be brought back to what it was before.",
    "The message says what runs where. Mend the place, then run `infctl apply`: it goes on from there.",
)
STEP_CRASHED = Code(
    "step-crashed",
    "A provider failed in a way that it should not: a defect of the provider.",
    "State is safe. Report the detail to the provider's authors, then run `infctl apply` again.",
)
UNRESOLVED = Code(
    "unresolved-reference",
    "A step needs a value of another object, and that object did not give it.",
    "Run `infctl apply` again; if it stays, the provider of the other object gives too few outputs.",
)
_SAYS_WHY = re.compile(
    r"^\s*(\w+: )?(\w+\.)*(\w*Error|\w*Exception|error|fatal|panic)\b: |out of memory|panicked at", re.IGNORECASE
)
LOG_SAYS = "its log says: "
LOG_LINES = 20  # of a failed gate in a diagnostic; the whole log is one command away


def gate_failed(step: Step, health: Health, timeout: float, waited: float) -> Diagnostic:
    """Return the failure of a gate after `waited` of `timeout` seconds."""
    what = f"r{step.revision}" if step.revision else "object"
    ended = "ended before it was ready" if health.dead else f"was not ready after {waited:.0f}s (limit {timeout:.0f}s)"
    detail = f"{what} {ended} at {step.address}" + (f": {health.detail}" if health.detail else "")
    if health.log:
        detail += "\n" + "\n".join(_last_words(health.log[-LOG_LINES:]))
    return error(
        GATE_FAILED,
        f"Rollout of model.{step.model} stopped at a gate" if step.model else f"{step.address} never became ready",
        detail,
        hint=f"`infctl logs {step.model} -revision {step.revision}` shows the whole log" if step.model else "",
        address=str(step.address),
    )


def in_short(failure: Diagnostic) -> str:
    """Return what is remembered of a failed gate: what happened, and the line of the log that says why."""
    what, *more = failure.detail.splitlines() or [failure.summary]
    return "; ".join([what, *(line for line in more if line.startswith(LOG_SAYS))])


def _last_words(log: Sequence[str]) -> Iterator[str]:
    """Yield the line of a log that says why, where there is one that says so, then the others."""
    why = next((index for index in reversed(range(len(log))) if _SAYS_WHY.search(log[index])), None)
    if why is not None:
        yield f"{LOG_SAYS}{log[why]}"
    others = [line for index, line in enumerate(log) if index != why]
    if others:
        yield "last lines of its log:"
        yield from (f"  {line}" for line in others)


def crashed(step: Step, failure: BaseException) -> Diagnostic:
    """Return the failure of a provider that raised something other than an InfctlError."""
    return error(
        STEP_CRASHED,
        f"The provider of target {step.target!r} failed unexpectedly in {step.do} of {step.address}",
        f"{type(failure).__name__}: {failure}",
        hint=STEP_CRASHED.remedy,
        address=str(step.address),
    )


def gave_nothing(step: Step) -> Diagnostic:
    return error(
        STEP_CRASHED,
        f"The provider of target {step.target!r} did not say what stands after {step.do} of {step.address}",
        hint=STEP_CRASHED.remedy,
        address=str(step.address),
    )


def unresolved(step: Step, missing: Iterable[str]) -> Diagnostic:
    return error(
        UNRESOLVED,
        f"{step.address} needs values that are not known",
        ", ".join(sorted(missing)),
        hint=UNRESOLVED.remedy,
        address=str(step.address),
    )


def undo_failed(model: str, revision: int, causes: tuple[Diagnostic, ...], standing: Iterable[Resource]) -> Diagnostic:
    """Return what could not be taken back, why, and exactly which object of the model runs which revision."""
    lines = [f"{cause.summary}" + (f": {cause.detail}" if cause.detail else "") for cause in causes]
    lines += [_standing(thing) for thing in sorted(standing, key=lambda r: (r.address, r.revision))]
    return error(
        UNDO_FAILED,
        f"model.{model} could not be taken back from r{revision} everywhere",
        "\n".join(lines),
        hint="mend what is named above, then `infctl apply` goes on; `infctl status` shows what answers",
        address=f"model.{model}",
    )


def undo_interrupted(model: str, revision: int, standing: Iterable[Resource]) -> Diagnostic:
    """Return that the run was stopped before a failed rollout was taken back, and what runs meanwhile."""
    lines = [_standing(thing) for thing in sorted(standing, key=lambda r: (r.address, r.revision))]
    return error(
        UNDO_FAILED,
        f"The run was stopped before model.{model} was taken back from r{revision}",
        "\n".join(lines),
        hint="`infctl apply` goes on from here",
        address=f"model.{model}",
    )


def _standing(thing: Resource) -> str:
    doubt = f", {thing.pending} not finished" if thing.pending else "" if thing.ready else ", not ready"
    return f"r{thing.revision} at {thing.address} ({thing.name} on {thing.target}{doubt})"


def is_removal(do: Do) -> bool:
    return do in {Do.DRAIN, Do.STOP, Do.DELETE}
