"""Owns reading the files of a configuration and putting them together.

Files merge by top-level key: names of one section may come from many files, each name from one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infctl.diagnostics import Code, Diagnostic, error
from infctl.frozen import dataclass
from infctl.spec.loader import load
from infctl.spec.paths import Loc, show
from infctl.spec.sourcemap import Source
from infctl.spec.which import find

DUPLICATE_NAME = Code(
    "duplicate-name",
    "Two files of one configuration give the same name.",
    "Keep one of the two, or rename one.",
)
_MAY_REPEAT = "apiVersion"  # every file may say it


@dataclass(frozen=True, slots=True)
class Read:
    """What the files say, and what is wrong with them as YAML. `whole` is whether every file could be read."""

    sources: list[Source]
    problems: list[Diagnostic]
    whole: bool


def read(root: Path, files: Sequence[Path]) -> Read:
    """Return all files that make up the configuration in the folder `root`."""
    sources: list[Source] = []
    found, problems = find(root, files)
    whole = not problems
    for each in found:
        source, wrong = load(root / each, str(each))
        sources += [source] if source else []
        problems += wrong
        whole = whole and source is not None
    return Read(sources, problems, whole)


def merge(sources: Sequence[Source]) -> tuple[dict[str, Any], list[Diagnostic]]:
    """Return the configuration that the files are together, and which names are given twice."""
    if len(sources) == 1:
        return sources[0].value, []
    merged: dict[str, Any] = {}
    home: dict[Loc, Source] = {}
    problems: list[Diagnostic] = []
    for source in sources:
        for key, value in source.value.items():
            there = merged.get(key)
            if there is None:
                merged[key] = dict(value) if isinstance(value, dict) else value
                home[key,] = source
                home |= {(key, name): source for name in _names(value)}
            elif isinstance(there, dict) and isinstance(value, dict):
                twice = [(key, name) for name in value if name in there]
                problems += [_twice(loc, home[loc], source) for loc in twice]
                home |= {(key, name): source for name in value if name not in there}
                there |= {name: inner for name, inner in value.items() if name not in there}
            elif isinstance(there, list) and isinstance(value, list):
                merged[key] = [*there, *value]
            elif value is not None and (key != _MAY_REPEAT or value != there):
                problems.append(_twice((key,), home[key,], source))
    return merged, problems


def _names(value: Any) -> list[str]:
    return list(value) if isinstance(value, dict) else []


def _twice(loc: Loc, first: Source, second: Source) -> Diagnostic:
    there, here = first.locate(loc, at_key=True), second.locate(loc, at_key=True)
    summary = f"{show(loc)} is given in two files"
    return error(DUPLICATE_NAME, summary, f"first in {there}", hint=DUPLICATE_NAME.remedy, span=here, path=show(loc))
