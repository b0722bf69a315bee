"""Owns quantities with units: durations, bytes, rates, shares. Pure.

A bare number is refused where a unit matters: nobody should have to guess whether `30` is seconds.
"""

from __future__ import annotations

import re
from typing import Any

_NUMBER = r"(\d+(?:\.\d+)?)"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(rf"(?:{_NUMBER}(ms|s|m|h|d))+")
_PART = re.compile(rf"{_NUMBER}(ms|s|m|h|d)")
_BYTES: dict[str, int] = {"B": 1}
for _power, _prefix in enumerate("KMGTP", start=1):
    _BYTES |= {f"{_prefix}B": 1000**_power, f"{_prefix}iB": 1024**_power}
_SIZE = re.compile(rf"{_NUMBER}\s*([A-Za-z]+)")
_RATE = re.compile(rf"{_NUMBER}\s*/\s*(s|m|h)")
_PERCENT = re.compile(rf"{_NUMBER}\s*%")
_LONGEST = 40  # characters


class UnitError(ValueError):
    """A quantity cannot be read; `hint` is how to write one."""

    def __init__(self, expected: str, hint: str) -> None:
        super().__init__(expected)
        self.hint = hint


def seconds(value: Any) -> float:
    """Return seconds of a duration as `500ms`, `30s`, `5m`, `2h`, `1h30m`. Raises UnitError."""
    if not isinstance(value, str) or len(value) > _LONGEST or not _DURATION.fullmatch(value):
        hint = f'write "{value:g}s" for seconds' if _is_number(value) else "write 500ms, 30s, 5m, 2h or 1d"
        raise UnitError("expected a duration with its unit", hint)
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value))


def size(value: Any) -> int:
    """Return bytes of a size as `512MB` (1000²) or `16GiB` (1024³). Raises UnitError."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) and len(value) <= _LONGEST else None
    if found and found[2] in _BYTES:
        return round(float(found[1]) * _BYTES[found[2]])
    hint = f"write {value}B for bytes, or {value}GB" if _is_number(value) else "write 512MB, 16GB or 16GiB"
    raise UnitError("expected a size with its unit", hint)


def rate(value: Any) -> float:
    """Return events per second of a rate as `6/s`, `20/m`, `1000/h`. Raises UnitError."""
    found = _RATE.fullmatch(value) if isinstance(value, str) and len(value) <= _LONGEST else None
    if found:
        return float(found[1]) / _SECONDS[found[2]]
    hint = f'write "{value:g}/s" for each second' if _is_number(value) else "write 6/s, 20/m or 1000/h"
    raise UnitError("expected a rate with its unit", hint)


def fraction(value: Any) -> float:
    """Return a share between 0 and 1, from `90%` or `0.9`. Raises UnitError."""
    found = _PERCENT.fullmatch(value) if isinstance(value, str) and len(value) <= _LONGEST else None
    share = float(found[1]) / 100 if found else value
    if not _is_number(share):
        raise UnitError("expected a share", "write 90% or 0.9")
    if not 0 <= share <= 1:
        raise UnitError("expected a share of at most 100%", "write 90% or 0.9")
    return float(share)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
