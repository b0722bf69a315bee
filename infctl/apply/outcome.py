"""Owns the end of a run as a value. Knows nothing of how it came about."""

from __future__ import annotations

from infctl.diagnostics import Diagnostic
from infctl.frozen import dataclass
from infctl.state.model import State


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did. `state` is what is true now, committed unless `failures` says that it could not be.

    `added`, `changed`, `destroyed` are net counts of objects. `interrupted` is the reason for stopping early,
    "" otherwise. `undone` names the models taken back; `skipped` the steps never started; `in_flight` the steps
    begun whose end nobody saw. `elapsed` in seconds.
    """

    state: State
    added: int = 0
    changed: int = 0
    destroyed: int = 0
    failures: tuple[Diagnostic, ...] = ()
    interrupted: str = ""
    undone: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    in_flight: tuple[str, ...] = ()
    elapsed: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the whole plan is true now."""
        return not (self.failures or self.interrupted)
