"""Owns how a run looks while it goes on: one line of text per event that a person wants to read."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from infctl.apply.events import (
    Event,
    GateFailed,
    GatePassed,
    GateWaiting,
    Interrupted,
    ModelDone,
    StepDone,
    StepEvent,
    StepFailed,
    StepLeft,
    StepProgress,
    StepRetried,
    StepSkipped,
    StepStarted,
    StillRunning,
    UndoDone,
    UndoStarted,
)
from infctl.views.style import Style, bytes_text, count, seconds_text

_BEGUN: Final = {
    "create": "starting", "update": "updating", "switch": "switching over", "drain": "draining",
    "stop": "stopping", "delete": "removing",
}  # fmt: skip
_DONE: Final = {
    "create": "created", "update": "updated", "switch": "switched over", "drain": "drained", "stop": "stopped",
    "delete": "removed",
}  # fmt: skip
_REMOVALS: Final = frozenset({"drain", "stop", "delete"})
_WIDEST: Final = 5  # a name gets no more than this part of the line: longer ones push the rest


def show_event(event: Event, style: Style) -> list[str]:
    """Return the lines of `event`; none for one that says nothing new."""
    if isinstance(event, StepEvent):
        return _show_step(event, style)
    if isinstance(event, ModelDone):
        words = f"{event.model} r{event.revision} serves" if event.revision else f"{event.model} is gone"
        return [style.paint(words, "green")]
    if isinstance(event, UndoStarted):
        back = f"to r{event.back_to}" if event.back_to else "to nothing"
        return [
            style.paint(f"{event.model} r{event.revision}: going back {back}, {count(event.steps, 'step')}", "yellow")
        ]
    if isinstance(event, UndoDone):
        if event.failures:
            return [style.paint(f"{event.model}: going back failed in {count(len(event.failures), 'place')}", "red")]
        serves = f"r{event.back_to} serves" if event.back_to else "nothing of it runs"
        return [style.paint(f"{event.model}: back, {serves}", "yellow")]
    if isinstance(event, Interrupted):
        return [style.paint(f"Stopping ({event.reason}): nothing new is started, waits end within {event.grace:.0f}s. "
                            "Once more to stop at once; nothing is lost either way.", "yellow")]  # fmt: skip
    return []


def _show_step(event: StepEvent, style: Style) -> list[str]:
    if isinstance(event, StepSkipped) and event.do in _REMOVALS:
        return []  # what was to go stands as before, as the model's last line says
    words = said(event)
    return show_words(event, words, style) if words else []


def show_words(event: StepEvent, words: str, style: Style) -> list[str]:
    """Return `words` as the line of an event: whose step it is before them, how long it has run behind."""
    time = f"  {style.paint(seconds_text(event.seconds), 'dim')}" if event.seconds >= 1 else ""
    text = style.cut(f"{label(event, style)}{words}", 8)
    if isinstance(event, (StepFailed, GateFailed)):
        text = style.paint(text, "red")
    return [f"{text}{time}"]


def label(event: StepEvent, style: Style) -> str:
    """Return whose step it is: `hello r1     local/0       `."""
    who, where = _names(event)
    if not where:
        return f"  {who.ljust(sum(style.names))} "
    return f"  {who.ljust(style.names[0])} {where.ljust(style.names[1] - 1)} "


def fitted(style: Style, event: StepEvent) -> Style:
    """Return `style` with room for whose step it is, so that the lines of a run stand below each other."""
    who, where = _names(event)
    widest = style.width // _WIDEST
    names = (
        max(style.names[0], min(len(who), widest) if where else 0),
        max(style.names[1], min(len(where), widest) + 1 if where else 0),
    )
    return style if names == style.names else replace(style, names=names)


def _names(event: StepEvent) -> tuple[str, str]:
    """Return the model and where its object is; of what belongs to no model the address, and ""."""
    if not event.model:
        return str(event.address), ""
    key = event.address.key
    if "/" not in key:
        return event.model, event.address.kind
    if key.rpartition("/")[2].isdigit():
        where = f"{key} {event.place}" if event.place else key
        return f"{event.model} r{event.revision}" if event.revision else event.model, where
    return f"{event.model} {event.address.kind.rpartition('_')[2]}", key


def said(event: StepEvent) -> str:  # noqa: C901, PLR0911  # one sentence per kind of event
    """Return what an event says, without whose step it is."""
    undo = "taking back: " if event.step.startswith("undo-") else ""
    if isinstance(event, StepStarted):
        again = " (an earlier run began it)" if event.resuming else ""
        return f"{undo}{_begun(event)}{again}"
    if isinstance(event, StepProgress):
        return f"{event.phase}{_amount(event)}{f': {event.detail}' if event.detail else ''}"
    if isinstance(event, GateWaiting):
        return f"load: {event.detail or 'waiting for an answer'}"
    if isinstance(event, GatePassed):
        return f"{undo}answers{f': {event.detail}' if event.detail else ''}"
    if isinstance(event, GateFailed):
        return f"never answered: {event.detail}"
    if isinstance(event, StepDone):
        return f"{undo}{_DONE.get(event.do, event.do)}"
    if isinstance(event, StepFailed):
        return f"failed: {event.reason}"
    if isinstance(event, StepRetried):
        return f"again: {event.reason}"
    if isinstance(event, StillRunning):
        return "load: still waiting for an answer" if event.phase == "load" else f"still {_begun(event)}"
    if isinstance(event, StepSkipped):
        begins = event.do == "create" and event.address.key.rpartition("/")[2].isdigit()
        return "not started" if begins else f"not {_DONE.get(event.do, event.do)}"
    return "not waited for" if isinstance(event, StepLeft) else ""


def _begun(event: StepEvent) -> str:
    is_replica = event.address.key.rpartition("/")[2].isdigit()
    return "creating" if event.do == "create" and not is_replica else _BEGUN.get(event.do, event.do)


def _amount(event: StepProgress) -> str:
    if not event.total:
        return ""
    if event.unit == "bytes":
        return f" {bytes_text(event.done)} of {bytes_text(event.total)}"
    return f" {event.done:,} of {event.total:,} {event.unit}".rstrip()
