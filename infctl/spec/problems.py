"""Owns a problem on its way to its place: a diagnostic that knows a path but no line yet.

Lines are looked up at the end, all at once, and only when there is something to say (see `sourcemap`).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from infctl.diagnostics import Code, Diagnostic, Severity, did_you_mean
from infctl.frozen import dataclass
from infctl.spec.paths import Loc, printable, show

MOST_TOLD = 1_000  # problems of one reading; then it ends, for nobody reads more
_MOST_COMPARED = 200  # names; some 2 ms
_LONGEST_COMPARED = 100  # characters
_OWNERS = {"models": "model", "targets": "target"}


@dataclass(frozen=True, slots=True)
class Problem:
    """`at_key` points at the key, not at the value."""

    diagnostic: Diagnostic
    loc: Loc
    at_key: bool = False


@lru_cache(maxsize=1024)
def _near(word: str, known: tuple[str, ...]) -> str:
    return did_you_mean(word, known)


def near(word: str, known: Collection[str]) -> str:
    """Return `did you mean "X"?`, or nothing: also where there is too much to compare for ten thousand mistakes."""
    return _near(word, tuple(known)) if len(known) <= _MOST_COMPARED and len(word) <= _LONGEST_COMPARED else ""


def problem(
    code: Code,
    summary: str,
    detail: str = "",
    *,
    loc: Loc,
    hint: str = "",
    at_key: bool = False,
    severity: Severity = Severity.ERROR,
) -> Problem:
    """Return a problem with what stands at `loc`."""
    owner = _OWNERS.get(str(loc[0]), "") if len(loc) > 1 else ""
    address = f"{owner}.{loc[1]}" if owner else ""
    said = (printable(summary), printable(detail), printable(hint))  # they may repeat the user's words
    return Problem(Diagnostic(severity, code, *said, None, show(loc), printable(address)), loc, at_key)
