"""Owns what is said when something is wrong: an error or warning as a value that points.

Every layer makes these values; only `views` turns them into text. Knows nothing of files being read,
of terminals, or of which command is running.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import ClassVar

from infctl.frozen import dataclass


class Code(str):
    """The stable name of one kind of problem, with what it means and what to do about it.

    Made once, at import, by the module that reports it; the error-code reference is generated from
    `Code.registry`. Raises ValueError when two modules claim one name.
    """

    __slots__ = ("meaning", "remedy")
    registry: ClassVar[dict[str, Code]] = {}
    meaning: str
    remedy: str

    def __new__(cls, name: str, meaning: str, remedy: str) -> Code:
        if name in cls.registry:
            msg = f"diagnostic code {name!r} is declared twice"
            raise ValueError(msg)
        made = super().__new__(cls, name)
        made.meaning = meaning
        made.remedy = remedy
        cls.registry[name] = made
        return made


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a file. `line` and `column` count from 1; `length` is in characters on that line."""

    file: str
    line: int
    column: int
    length: int = 1
    text: str = ""  # the source line, without its newline

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem: what is wrong (`summary`), about what (`span`, `path`, `address`), and the way on (`hint`).

    `detail` is what was found or expected; with a span it stands beside the caret, so it is a short phrase.
    `path` is the place in the configuration language, as `models.chat.replicas`.
    """

    severity: Severity
    code: Code
    summary: str
    detail: str = ""
    hint: str = ""
    span: Span | None = None
    path: str = ""
    address: str = ""

    def at(self, span: Span | None) -> Diagnostic:
        return replace(self, span=span)


def error(
    code: Code,
    summary: str,
    detail: str = "",
    *,
    hint: str = "",
    span: Span | None = None,
    path: str = "",
    address: str = "",
) -> Diagnostic:
    """Return an error about one place."""
    return Diagnostic(Severity.ERROR, code, summary, detail, hint, span, path, address)


def warning(
    code: Code,
    summary: str,
    detail: str = "",
    *,
    hint: str = "",
    span: Span | None = None,
    path: str = "",
    address: str = "",
) -> Diagnostic:
    """Return a warning about one place."""
    return Diagnostic(Severity.WARNING, code, summary, detail, hint, span, path, address)


class InfctlError(Exception):
    """Carries diagnostics up to the command line; the only exception a user's mistake may raise."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("; ".join(f"{d.code}: {d.summary}" for d in diagnostics))
        self.diagnostics = diagnostics


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean "X"?` for the nearest known word, or an empty string."""
    import difflib  # noqa: PLC0415  -- few runs have anything to say

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else ""
