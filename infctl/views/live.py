"""Owns the moving part of a run on a terminal: a line for each step under way, with its phase and its time.

The only view that needs rich, which is imported when the first step starts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from infctl.apply.events import GateWaiting, StepEvent, StepProgress, StepStarted, StillRunning
from infctl.secrets import redact
from infctl.views.progress import fitted, label, said
from infctl.views.style import Style, seconds_text

if TYPE_CHECKING:
    from rich.live import Live

_MOVING = (StepStarted, StepProgress, GateWaiting, StillRunning)
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
REDRAWS = 8  # a second
_MOST = 12  # steps shown at once; more are counted


class LiveRun:
    """Shows what is under way below what is done. One thread redraws; `see` and `print` may come from any.

    Whoever writes holds the lock: rich erases as many lines as it last drew, and two at once would count the same ones.
    """

    def __init__(self, style: Style) -> None:
        self._style = style
        self._steps: dict[str, tuple[StepEvent, str, float]] = {}
        self._live: Live | None = None
        self._lock = threading.RLock()
        self._over = threading.Event()

    def see(self, event: StepEvent) -> None:
        """Take in an event: a step begins, goes on, or is over."""
        self._style = fitted(self._style, event)
        if not isinstance(event, _MOVING):
            self._steps.pop(event.step, None)
        elif not isinstance(event, StillRunning):
            self._steps[event.step] = (event, said(event), time.monotonic() - event.seconds)

    @property
    def under_way(self) -> frozenset[str]:
        """The ids of the steps that are shown as moving."""
        return frozenset(self._steps)

    def print(self, lines: Iterable[str]) -> None:
        """Print finished lines above what moves."""
        from rich.text import Text

        with self._lock:
            live = self._started()
            live.refresh()  # what is printed comes above what moves now, not above what moved before
            for line in lines:
                live.console.print(Text.from_ansi(redact(line)), soft_wrap=True)

    def close(self) -> None:
        self._over.set()
        with self._lock:
            if self._live is not None:
                self._steps.clear()
                self._live.stop()
                self._live = None

    def _redraw(self) -> None:
        while not self._over.wait(1 / REDRAWS):
            with self._lock:
                if self._live is not None:
                    self._live.refresh()

    def _started(self) -> Live:
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            console = Console(width=self._style.width, no_color=not self._style.color, highlight=False)
            self._live = Live(get_renderable=self._render, console=console, auto_refresh=False, transient=True)
            self._live.start()
            threading.Thread(target=self._redraw, daemon=True).start()
        return self._live

    def _render(self) -> Any:
        from rich.text import Text

        now = time.monotonic()
        frame = _FRAMES[int(now * REDRAWS) % len(_FRAMES)]
        steps = list(self._steps.values())
        lines = []
        for event, words, began in steps[:_MOST]:
            text = self._style.cut(f"{frame} {label(event, self._style).lstrip()}{words}", 10)
            lines.append(f"{text}  {seconds_text(now - began)}")
        if len(steps) > _MOST:
            lines.append(f"  and {len(steps) - _MOST} more")
        return Text(redact("\n".join(lines)))
