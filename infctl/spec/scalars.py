"""Owns what a plain YAML scalar means: the core schema of YAML 1.2.2, chapter 10.3.

There is no `yes`, no `on`, no date and no sexagesimal number: such words are text. Numbers that JSON cannot hold
are refused, for state and plans are JSON. Knows nothing of where a scalar stands.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Final

_WORDS: Final = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_NUMBER_STARTS = frozenset("0123456789+-.")
_INT = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MOST_DIGITS = 18  # such a number fits 64 bits, in every base

Scalar = str | int | float | bool | None


class NoNumberError(ValueError):
    """A plain scalar has the form of a number that infctl does not take; says why."""


def resolve(text: str) -> Scalar:
    """Return the value of a plain scalar. Raises NoNumberError for a number that is infinite or too long."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if _INT.fullmatch(text):
        return int(_bounded(text))
    if _OTHER_BASE.fullmatch(text):
        return int(_bounded(text), 0)
    if _NOT_FINITE.fullmatch(text):
        raise NoNumberError("only finite numbers have a meaning here")
    if _FLOAT.fullmatch(text):
        value = float(text)
        if not isfinite(value):
            raise NoNumberError("the number is too large")
        return value
    return text


def _bounded(text: str) -> str:
    if len(text) > _MOST_DIGITS:
        raise NoNumberError(f"a whole number may have {_MOST_DIGITS} digits at most")
    return text
