"""Owns `requires`: which versions of infctl may touch a stack. Terraform's operators; versions are numbers and dots."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

Version = tuple[int, ...]
_COMPARE: dict[str, Callable[[Version, Version], bool]] = {
    "": operator.eq, "=": operator.eq, "==": operator.eq, "!=": operator.ne,
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
_CONSTRAINT = re.compile(r"\s*(~>|[<>!=]=|[<>=]|)\s*v?(\d{1,6}(?:\.\d{1,6}){0,3})\s*")


def allows(constraint: str, version: str) -> bool:
    """Return whether `version` meets every part of a constraint such as `>=0.1, <1.0` or `~> 0.1`.

    `~> 1.2` is `>= 1.2, < 2`. A pre-release counts as its release. Raises ValueError for what is no constraint.
    """
    here = _padded(re.split(r"[^\d.]", version, maxsplit=1)[0].strip("."))
    met = True
    for part in constraint.split(","):
        found = _CONSTRAINT.fullmatch(part)
        if not found:
            raise ValueError(f"{part.strip()!r} is not a version constraint")
        sign, wanted = found[1], _padded(found[2])
        if sign == "~>":
            fixed = max(1, found[2].count("."))
            met = met and here >= wanted and here[:fixed] == wanted[:fixed]
        else:
            met = met and _COMPARE[sign](here, wanted)
    return met


def _padded(text: str) -> Version:
    numbers = tuple(int(number) for number in text.split("."))
    return numbers + (0,) * (4 - len(numbers))
