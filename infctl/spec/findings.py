"""Owns what was found wrong so far in one reading, and that no mistake is told twice.

A place with a mistake is spoiled: what later steps think of it is not the user's word, and is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infctl.diagnostics import Code, Diagnostic, InfctlError, Severity, Span, error
from infctl.spec import shape
from infctl.spec.paths import Loc
from infctl.spec.problems import MOST_TOLD, Problem
from infctl.spec.sourcemap import Sources

TOO_MANY_PROBLEMS = Code(
    "too-many-problems",
    "More is wrong than anyone wants to read at once.",
    "Mend what is shown, and run the command again.",
)
_MOST_ROUNDS = 8  # of taking out what is wrong; each goes at least one level up


class Findings:
    """Grows while a configuration is read. `sources` may be replaced by ones that know more."""

    def __init__(self, sources: Sources, told: Iterable[Diagnostic]) -> None:
        self.sources = sources
        self._told = list(told)
        self._problems: list[Problem] = []
        self._spoiled: set[Loc] = set()
        self._above: set[Loc] = set()  # every place around a spoiled one

    def add(self, found: Iterable[Problem]) -> None:
        """Keep problems, but for those about spoiled places. Raises InfctlError when there are too many."""
        for each in found:
            if not self._is_told(each):
                self._problems.append(each)
                if len(self._problems) > MOST_TOLD:
                    raise self.failure()

    def add_told(self, found: Iterable[Diagnostic]) -> None:
        """Keep diagnostics that have their place already, or have none."""
        self._told += found

    def spoil(self, locs: Iterable[Loc]) -> None:
        for loc in locs:
            self._spoiled.add(loc)
            self._above.update(loc[:depth] for depth in range(1, len(loc) + 1))

    @property
    def has_errors(self) -> bool:
        every = (*self._told, *(each.diagnostic for each in self._problems))
        return any(each.severity is Severity.ERROR for each in every)

    def is_spoiled(self, loc: Loc) -> bool:
        """Return whether something is wrong at `loc`, or inside of it."""
        return loc in self._above

    def check(self, form: Any, value: Any, at: Loc = (), required: Mapping[str, Any] | None = None) -> Any:
        """Return `value` in its typed form, without what is wrong in it; `required` stands in for what is missing."""
        for _ in range(_MOST_ROUNDS):
            typed, found = shape.check(form, value, at)
            if not found:
                return typed
            self.add(found)
            self.spoil(each.loc for each in found)
            value = _without(value, [each.loc[len(at) :] for each in found])
            value = {**(required or {}), **(value if isinstance(value, dict) else {})}
        return shape.check(form, dict(required or {}), at)[0]

    def pointed(self) -> list[Diagnostic]:
        """Return everything found, each with its place, in the order of the files. What is inherited is told once."""
        locate = self.sources.locate
        told: dict[tuple[Any, ...], Diagnostic] = {}
        for each in (*self._told, *(one.diagnostic.at(locate(one.loc, at_key=one.at_key)) for one in self._problems)):
            told.setdefault((each.code, each.span or each.path or each.summary, each.detail), each)
        order = {source.file: index for index, source in enumerate(self.sources.files)}
        found = sorted(told.values(), key=lambda each: _rank(each.span, order))
        if len(self._problems) <= MOST_TOLD:
            return found
        return [*found, error(TOO_MANY_PROBLEMS, "There is more, which is not shown", hint=TOO_MANY_PROBLEMS.remedy)]

    def failure(self) -> InfctlError:
        return InfctlError(*self.pointed())

    def _is_told(self, found: Problem) -> bool:
        loc = found.loc
        if not self._spoiled or found.diagnostic.severity is Severity.WARNING:
            return False
        if found.diagnostic.code == shape.MISSING_FIELD and loc in self._above:
            return True
        return any(loc[:depth] in self._spoiled for depth in range(1, len(loc) + 1))


def _without(value: Any, locs: list[Loc]) -> Any:
    """Return `value` without what stands at `locs`; a list ends before it, so that the others keep their numbers.

    What stands nowhere is missing: then the mapping that misses it goes.
    """
    inside: dict[str | int, list[Loc]] = {}
    for loc in locs:
        if not loc:
            return None
        inside.setdefault(loc[0], []).append(loc[1:])
    if isinstance(value, list):
        return value[: min(step for step in inside if isinstance(step, int))]
    if not isinstance(value, dict) or any(step not in value for step in inside):
        return None
    left = {key: _without(item, inside[key]) if key in inside else item for key, item in value.items()}
    return {key: item for key, item in left.items() if key not in inside or item is not None}


def _rank(span: Span | None, order: Mapping[str, int]) -> tuple[int, str, int, int]:
    return (-1, "", 0, 0) if span is None else (order.get(span.file, len(order)), span.file, span.line, span.column)
