"""Problems as lines, for tests."""

from __future__ import annotations

from collections.abc import Iterable

from infctl.spec.problems import Problem


def lines(problems: Iterable[Problem]) -> list[str]:
    found = [each.diagnostic for each in problems]
    return [f"{each.severity.value} {each.path}: {each.detail} | {each.hint}" for each in found]
