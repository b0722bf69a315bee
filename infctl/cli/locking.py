"""Owns the flags and the words of commands that take the lock of state."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import click

from infctl.cli.command import option
from infctl.cli.terminal import Terminal

Decorated = TypeVar("Decorated", bound=Callable[..., object])
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Seconds(click.ParamType[float]):
    """A duration as Terraform writes it: 30s, 5m, 1h, 500ms; a bare number is seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", str(value))
        if not found:
            self.fail(f"{value!r} is not a duration: write 30s, 5m or 1h", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


def lock_timeout(decorated: Decorated) -> Decorated:
    """Add `-lock-timeout`."""
    help_text = "Wait so long for another run to end: 30s, 5m."
    return option("lock-timeout", "TIME", help_text, type=Seconds(), default=0.0)(decorated)


def tell_waiting(terminal: Terminal) -> Callable[..., None]:
    """Return what a lock calls while it waits: who holds it is said once, and then every ten seconds."""
    said = [-10.0]

    def tell(info: object, waited: float) -> None:
        if waited - said[0] >= 10.0:  # noqa: PLR2004  # DESIGN: without a terminal a line at least every 10 s
            said[0] = waited
            who, operation = getattr(info, "who", "?"), getattr(info, "operation", "?")
            terminal.complain(f"Waiting for the lock: {who} runs {operation} ({waited:.0f}s)")

    return tell
