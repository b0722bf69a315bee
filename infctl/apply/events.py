"""Owns what apply says while it works: frozen values that views render, each with what it is about.

Knows nothing of how they are shown. `plain` turns one into JSON values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar

from infctl.address import Address
from infctl.diagnostics import Diagnostic
from infctl.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """`type` is the stable name in `-json`; `elapsed` is seconds since the run began, on a monotonic clock."""

    type: ClassVar[str] = ""
    elapsed: float


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    type: ClassVar[str] = "run_start"
    steps: int


@dataclass(frozen=True, slots=True)
class StepEvent(Event):
    """About one step. `do` is what it does, `object` the infctl.id, `seconds` how long the step has run so far;
    `place` is where its object is among several places of the target (a host), where the core chose that.

    A step that takes another back is named after it: "undo-s3".
    """

    step: str
    address: Address
    model: str
    target: str
    place: str
    revision: int
    do: str
    object: str
    seconds: float


@dataclass(frozen=True, slots=True)
class StepStarted(StepEvent):
    """`resuming`: an earlier run began this step and did not see its end."""

    type: ClassVar[str] = "step_start"
    resuming: bool = False


@dataclass(frozen=True, slots=True)
class StepProgress(StepEvent):
    """A word of the provider from a long step: see `infctl.provider.values.Progress`."""

    type: ClassVar[str] = "step_progress"
    phase: str
    detail: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class StepRetried(StepEvent):
    """The place failed in a way that may pass; the same call is made again."""

    type: ClassVar[str] = "step_retry"
    reason: str


@dataclass(frozen=True, slots=True)
class StepDone(StepEvent):
    type: ClassVar[str] = "step_complete"


@dataclass(frozen=True, slots=True)
class StepFailed(StepEvent):
    type: ClassVar[str] = "step_errored"
    reason: str


@dataclass(frozen=True, slots=True)
class StepSkipped(StepEvent):
    """Not started, because a step that it needs failed, or its model is being taken back."""

    type: ClassVar[str] = "step_skipped"


@dataclass(frozen=True, slots=True)
class StepLeft(StepEvent):
    """Begun and not waited for: the run is stopping, or the model is being taken back."""

    type: ClassVar[str] = "step_left"


@dataclass(frozen=True, slots=True)
class StillRunning(StepEvent):
    """At least every ten seconds per running step. `phase` is the last one known: "pull", "fetch", "load" ..."""

    type: ClassVar[str] = "step_running"
    phase: str


@dataclass(frozen=True, slots=True)
class GateWaiting(StepEvent):
    """Sent when the wait begins and whenever what the object says changes. `timeout` in seconds."""

    type: ClassVar[str] = "gate_wait"
    timeout: float
    detail: str
    phase: str = "load"


@dataclass(frozen=True, slots=True)
class GatePassed(StepEvent):
    type: ClassVar[str] = "gate_pass"
    detail: str
    phase: str = "ready"


@dataclass(frozen=True, slots=True)
class GateFailed(StepEvent):
    """`log` holds the object's last lines, oldest first."""

    type: ClassVar[str] = "gate_fail"
    detail: str
    log: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UndoStarted(Event):
    """A model's rollout is taken back: `steps` of its steps, from revision `revision` to `back_to` (0: nothing)."""

    type: ClassVar[str] = "undo_start"
    model: str
    revision: int
    back_to: int
    steps: int


@dataclass(frozen=True, slots=True)
class UndoDone(Event):
    """`failures` is empty when every place is as it was before the rollout."""

    type: ClassVar[str] = "undo_complete"
    model: str
    revision: int
    back_to: int
    failures: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class ModelDone(Event):
    """All steps of a model are done; `revision` serves (0: it is gone)."""

    type: ClassVar[str] = "model_complete"
    model: str
    revision: int


@dataclass(frozen=True, slots=True)
class Interrupted(Event):
    """Nothing new is started from here on; waits in progress end within `grace` seconds."""

    type: ClassVar[str] = "interrupted"
    reason: str
    grace: float


@dataclass(frozen=True, slots=True)
class RunFinished(Event):
    """The last event of every run. Counts are net: what was undone is not in them."""

    type: ClassVar[str] = "run_complete"
    added: int
    changed: int
    destroyed: int
    serial: int
    ok: bool


Listener = Callable[[Event], None]


def plain(event: Event) -> dict[str, Any]:
    """Return the event as JSON values, `type` first; addresses as text, diagnostics by code and words."""
    return {"type": event.type} | {entry.name: _plain(getattr(event, entry.name)) for entry in fields(event)}


def _plain(value: Any) -> Any:
    if isinstance(value, Address):
        return str(value)
    if isinstance(value, Diagnostic):
        return {"code": value.code, "summary": value.summary, "detail": value.detail, "hint": value.hint}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return round(value, 3) if isinstance(value, float) else value
