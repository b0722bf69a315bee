"""Owns who is told what during plan and apply: a person on a terminal, a program reading JSON lines, or both."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from infctl.cli.terminal import Terminal
from infctl.secrets import redact
from infctl.views.style import Style, bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from infctl.apply.events import Event
    from infctl.diagnostics import Diagnostic
    from infctl.ops.plan import Planned
    from infctl.ops.reading import Hear, Heard, Placing
    from infctl.state.store import LockInfo
    from infctl.views.live import LiveRun
    from infctl.views.waits import Waits

FIRST_SIGN = 0.8  # seconds until a long phase says that it goes on
NEXT_SIGN = 10.0
LIVE_STEPS = 200  # of longer runs each step is a plain line: rich takes a millisecond for one


class Voice(Protocol):
    """What plan and apply tell while they work."""

    def hear(self, event: Heard) -> None: ...
    def report(self, path: Path, done: int, total: int) -> None: ...
    def waiting(self, info: LockInfo, waited: float) -> None: ...
    def planned(self, planned: Planned) -> None: ...
    def emit(self, event: Event) -> None: ...
    def complain(self, diagnostics: Iterable[Diagnostic]) -> None: ...
    def outputs(self, outputs: dict[str, Any]) -> None: ...
    def close(self) -> None: ...


class Human:
    """Tells a person: readings, the plan, each step as it goes, on a terminal with what is under way below."""

    def __init__(self, terminal: Terminal, *, concise: bool = False) -> None:
        self._terminal, self._concise = terminal, concise
        self.style = Style(terminal.width, terminal.color)
        self._reading: dict[str, float] = {}
        self._looking: dict[tuple[str, str], str] = {}  # by target and place
        self._width = 0
        self._sign: threading.Timer | None = None
        self._reported = 0.0
        self._placed = 0.0
        self._waited = -NEXT_SIGN
        self._answered: set[str] = set()
        self._live: LiveRun | None = None
        self._waits: Waits | None = None

    def hear(self, event: Heard) -> None:
        from infctl.ops.reading import Looking, Placing, ReadingStarted
        from infctl.views.reading import show_reading

        if isinstance(event, Placing):
            self._placing(event)
            return
        if isinstance(event, Looking):
            self._looking[event.target, event.place] = event.phase
            return
        if isinstance(event, ReadingStarted):
            self._reading[event.target] = time.monotonic()
            self._width = max(self._width, len(event.target))
            if self._sign is None:
                self._watch(FIRST_SIGN)
            return
        self._reading.pop(event.target, None)
        if not self._concise:
            self._terminal.say(show_reading(event, self._width, self.style))
        if not self._reading and self._sign is not None:
            self._sign.cancel()

    def _placing(self, event: Placing) -> None:
        now = time.monotonic()
        self._placed = self._placed or now - NEXT_SIGN + FIRST_SIGN
        if now - self._placed >= NEXT_SIGN:
            self._placed = now
            self._terminal.say(f"placing… {event.done} of {event.total} replicas")

    def _watch(self, seconds: float) -> None:
        self._sign = threading.Timer(seconds, self._still_reading)
        self._sign.daemon = True
        self._sign.start()

    def _still_reading(self) -> None:
        from infctl.views.reading import show_waiting

        now, looking = time.monotonic(), tuple(self._looking.items())
        for target, began in tuple(self._reading.items()):
            places = {place: phase for (where, place), phase in looking if where == target}
            self._terminal.say(self.style.cut(show_waiting(target.ljust(self._width), places, now - began)))
        if self._reading:
            self._watch(NEXT_SIGN)

    def report(self, path: Path, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._reported >= NEXT_SIGN or (self._terminal.live and now - self._reported >= 1):
            self._reported = now
            self._terminal.say(f"{path.name}  reading… {bytes_text(done)} of {bytes_text(total)}")

    def waiting(self, info: LockInfo, waited: float) -> None:
        if waited - self._waited >= NEXT_SIGN:
            self._waited = waited
            self._terminal.say(f"Waiting for the lock: {info.who} runs {info.operation} ({waited:.0f}s)")

    def planned(self, planned: Planned) -> None:
        from infctl.views.plan import show_plan
        from infctl.views.plan_json import plan_view

        lines = show_plan(plan_view(planned.plan), self.style)
        if planned.pinned:
            names = sorted({change.model for change in planned.pinned})
            shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004
            lines = [f"inference.lock.yaml now pins {shown}: commit it.", "", *lines]
        self._terminal.say_lines(["", *lines] if self._reading_was_shown else lines)

    @property
    def _reading_was_shown(self) -> bool:
        return not self._concise and self._sign is not None

    def emit(self, event: Event) -> None:
        from infctl.apply.events import (
            GateFailed,
            GatePassed,
            GateWaiting,
            RunFinished,
            RunStarted,
            StepDone,
            StepEvent,
            StepFailed,
            StepProgress,
            StillRunning,
        )
        from infctl.views.live import LiveRun
        from infctl.views.progress import fitted, show_event
        from infctl.views.waits import Waits

        if isinstance(event, RunFinished):
            self._stop_live()
            return
        if isinstance(event, RunStarted) and self._terminal.live and event.steps <= LIVE_STEPS:
            self._live = LiveRun(self.style)
        told = isinstance(event, (StepDone, StepFailed)) and event.step in self._answered
        if isinstance(event, (GatePassed, GateFailed)):
            self._answered.add(event.step)
        if isinstance(event, StepEvent):
            self.style = fitted(self.style, event)
        if self._live is None and isinstance(event, (GateWaiting, StepProgress, StillRunning)):
            self._waits = self._waits or Waits()
            self._terminal.say_lines(self._waits.show(event, self.style))
            return
        lines = [] if told else show_event(event, self.style)
        if self._live is None:
            self._terminal.say_lines(lines)
            return
        if isinstance(event, StepEvent):
            self._live.see(event)
            if event.step in self._live.under_way:
                return
        self._live.print(lines)

    def _stop_live(self) -> None:
        if self._live is not None:
            self._live.close()
            self._live = None

    def complain(self, diagnostics: Iterable[Diagnostic]) -> None:
        from infctl.cli.failure import complain

        self._stop_live()
        complain(diagnostics, self._terminal)

    def outputs(self, outputs: dict[str, Any]) -> None:
        """Told by the last lines of the command."""

    def close(self) -> None:
        self._stop_live()
        if self._sign is not None:
            self._sign.cancel()


class JsonLines:
    """Tells a program: one object a line, through `write`."""

    def __init__(self, write: Callable[[str], object], close: Callable[[], None] = lambda: None) -> None:
        from infctl.views.event_json import version_line

        self._write, self._close = write, close
        self.say(version_line())

    def say(self, line: str) -> None:
        self._write(f"{line}\n")

    def hear(self, event: Heard) -> None:
        from infctl.ops.reading import Looking, Placing, ReadingDone
        from infctl.views.event_json import line

        if isinstance(event, Placing):
            more: dict[str, Any] = {"done": event.done, "total": event.total}
            self.say(line("placement_progress", f"placing: {event.done} of {event.total} replicas", infctl=more))
        elif isinstance(event, ReadingDone):
            more = {"target": event.target, "objects": event.objects, "seconds": round(event.seconds, 3)}
            self.say(line("refresh_complete", f"{event.target}: read, {event.objects} objects", infctl=more))
        elif isinstance(event, Looking):
            more = {"target": event.target, "place": event.place, "phase": event.phase or "done"}
            self.say(line("refresh_progress", f"{event.target}: {more['phase']} {event.place}", infctl=more))
        else:
            self.say(line("refresh_start", f"{event.target}: reading", infctl={"target": event.target}))

    def report(self, path: Path, done: int, total: int) -> None:
        from infctl.views.event_json import line

        more = {"file": str(path), "done": done, "total": total}
        self.say(line("checksum_progress", f"{path.name}: {bytes_text(done)} of {bytes_text(total)}", infctl=more))

    def waiting(self, info: LockInfo, waited: float) -> None:
        from infctl.views.event_json import line

        more = {"who": info.who, "operation": info.operation, "lock_id": info.id, "waited": round(waited, 1)}
        self.say(line("lock_wait", f"Waiting for the lock: {info.who} runs {info.operation}", infctl=more))

    def planned(self, planned: Planned) -> None:
        from infctl.views.event_json import plan_lines

        for text in plan_lines(planned.plan):
            self.say(text)

    def emit(self, event: Event) -> None:
        from infctl.views.event_json import event_line

        self.say(event_line(event))

    def complain(self, diagnostics: Iterable[Diagnostic]) -> None:
        from infctl.views.event_json import diagnostic_lines

        for text in diagnostic_lines(diagnostics):
            self.say(text)

    def outputs(self, outputs: dict[str, Any]) -> None:
        from infctl.views.event_json import outputs_line

        self.say(outputs_line(outputs))

    def close(self) -> None:
        self._close()


class Chorus:
    """Tells several."""

    def __init__(self, *voices: Voice) -> None:
        self._voices = voices

    def __getattr__(self, name: str) -> Any:
        def tell(*words: Any) -> None:
            for voice in self._voices:
                getattr(voice, name)(*words)

        return tell


def signs_of_life(terminal: Terminal, *, json: bool) -> Hear:
    """Return what a command that only looks tells its readings: a person hears of them when they take long."""
    return (lambda _event: None) if json else Human(terminal, concise=True).hear


def voice_of(terminal: Terminal, *, json: bool, json_into: str, concise: bool) -> Voice:
    """Return the voice that the flags, and INFCTL_LOG, ask for.

    Raises OSError where the file of -json-into cannot be written.
    """
    voices: list[Voice] = [JsonLines(terminal.write) if json else Human(terminal, concise=concise)]
    if json_into:
        descriptor = os.open(json_into, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        file = os.fdopen(descriptor, "w", encoding="utf-8")
        voices.append(JsonLines(lambda text: file.write(redact(text)), file.close))
    if os.environ.get("INFCTL_LOG", "off") not in {"", "off"}:
        voices.append(JsonLines(terminal.log))
    chorus: Any = Chorus(*voices)
    voice: Voice = chorus if len(voices) > 1 else voices[0]
    return voice
