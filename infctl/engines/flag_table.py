"""Owns which flags an engine takes at which version: the tables under `flags/`, and what is wrong with an argument.

A table is a JSON file: `source`, where its facts were read; `versions`, oldest first; `flags`, which maps a name (the
engine's own, with underscores) to rows, one for each span of versions in which it took the same: `type`, `choices`,
bounds, and `since`/`until` where the span does not reach the oldest or newest version. Types are bool (`--x` and
`--no-x`), flag (`--x` only), int, float, str, list (several values), append (the flag once for each value), json, and
any (what the engine does with it was not told from its source). `scripts/engine_flags.py` and `llama_flags.py` make
the large ones. Loaded only for models in containers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from infctl.diagnostics import Severity, did_you_mean
from infctl.engines.arguments import BAD_ENGINE_ARG
from infctl.spec.problems import Problem, problem

FOLDER = Path(__file__).parent / "flags"
UNCHECKED = "engine_args_unchecked"
MOST_LISTED = 10  # choices that a message names
Row = Mapping[str, Any]
_WORDS = {
    "bool": "true or false", "flag": "true or false", "int": "a whole number", "float": "a number", "str": "a text",
    "list": "a value or a list", "append": "a value or a list", "json": "a mapping, or JSON as a text",
}  # fmt: skip
_BOUNDS = (("least", "at least"), ("above", "more than"), ("most", "at most"), ("below", "less than"))


def order(version: str) -> tuple[int, ...]:
    """Return what versions are compared by: their numbers. 0.10.1 comes after 0.9.2, b10059 after b9760."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


@dataclass(frozen=True, slots=True, eq=False)
class FlagTable:
    """One engine's flags over its versions, as the module says."""

    engine: str
    source: str
    versions: tuple[str, ...]
    flags: Mapping[str, tuple[Row, ...]]

    def nearest(self, version: str) -> str:
        """Return the known version to judge by: the newest that is no newer; the newest for one that nobody knows."""
        return _nearest(self, version)

    def row(self, name: str, version: str) -> Row | None:
        """Return what flag `name` takes at a known version, None where there is no such flag."""
        return _rows(self, version).get(name)

    def names(self, version: str) -> tuple[str, ...]:
        return tuple(_rows(self, version))

    def fate(self, name: str, version: str) -> str:
        """Return when a flag came or went that is not there at `version`; "" where it never was."""
        rows, at = self.flags.get(name, ()), order(version)
        later = [row["since"] for row in rows if order(row.get("since", "")) > at]
        if later:
            return f"it came with {later[0]}"
        return f"{rows[-1]['until']} was the last to have it" if rows else ""


@lru_cache(maxsize=64)
def _nearest(table: FlagTable, version: str) -> str:
    if not order(version):
        return table.versions[-1]
    older = [known for known in table.versions if order(known) <= order(version)]
    return older[-1] if older else table.versions[0]


@lru_cache(maxsize=64)
def _rows(table: FlagTable, version: str) -> Mapping[str, Row]:
    """Return every flag that there is at a version, made once for all models."""
    at, found = order(version), {}
    for name, rows in table.flags.items():
        for row in rows:
            until = row.get("until")
            if order(row.get("since", "")) <= at and (until is None or at <= order(until)):
                found[name] = row
    return found


@cache
def flag_table(name: str) -> FlagTable:
    """Return the table of an engine. It is part of this package: a missing one is a defect."""
    found = json.loads((FOLDER / f"{name}.json").read_bytes())
    flags = {flag: tuple(rows) for flag, rows in found["flags"].items()}
    return FlagTable(found["engine"], found["source"], tuple(found["versions"]), flags)


def check_flags(
    args: Mapping[str, Any],
    table: FlagTable,
    version: str,
    set_elsewhere: Mapping[str, str],
    *,
    unchecked: bool = False,
) -> Iterator[Problem]:
    """Yield what is wrong with `args` for `version` of the table's engine; places begin at `engine_args`.

    `set_elsewhere` maps flags that infctl decides to what to do instead. With `unchecked` what the engine does not
    know is a warning: whoever says so knows better, but not what infctl decides.
    """
    at = table.nearest(version)
    severity = Severity.WARNING if unchecked else Severity.ERROR
    for name, value in args.items():
        loc = ("engine_args", name)
        if name in set_elsewhere:
            summary, hint = f"{name} is set elsewhere", set_elsewhere[name]
            yield problem(BAD_ENGINE_ARG, summary, "infctl decides it", loc=loc, hint=hint, at_key=True)
        elif (row := table.row(name, at)) is None:
            detail = f"{table.engine} {at} has no such argument"
            detail += f": {fate}" if (fate := table.fate(name, at)) else ""
            summary, hint = "Unknown engine argument", _near(name, table, at) or _ways_on(unchecked=unchecked)
            yield problem(BAD_ENGINE_ARG, summary, detail, loc=loc, hint=hint, at_key=True, severity=severity)
        elif wrong := wrong_value(row, value):
            hint = did_you_mean(str(value), map(str, row.get("choices", ()))) or f"as {table.engine} {at} takes it"
            yield problem(BAD_ENGINE_ARG, f"{name} has a wrong value", wrong, loc=loc, hint=hint, severity=severity)


def _near(name: str, table: FlagTable, version: str) -> str:
    names = table.names(version)
    plain = name.lstrip("-").replace("-", "_")
    if plain in names:
        return f'did you mean "{plain}"? names have underscores'
    positive = plain.removeprefix("no_")
    if positive in names:
        return f"write {positive}: false"
    return did_you_mean(plain, names)


def _ways_on(*, unchecked: bool) -> str:
    return "it is passed on as it is" if unchecked else f"{UNCHECKED}: true lets through what infctl does not know"


def wrong_value(row: Row, value: Any) -> str:
    """Return what is wrong with a value by its row, as a short phrase; empty when it is right."""
    kind, choices = row["type"], row.get("choices")
    if value is None or not _fits(kind, value):
        return f"must be {_WORDS.get(kind, 'a value')}"
    if choices and any(each not in choices for each in (value if isinstance(value, list) else [value])):
        more = f" and {len(choices) - MOST_LISTED} more" if len(choices) > MOST_LISTED else ""
        return f"must be one of {', '.join(map(str, choices[:MOST_LISTED]))}{more}"
    for key, words in _BOUNDS:
        if key in row and not _holds(key, value, row[key]):
            return f"must be {words} {row[key]:g}"
    return ""


def _fits(kind: str, value: Any) -> bool:
    if kind in {"bool", "flag"}:
        return isinstance(value, bool)
    if kind == "int":
        return type(value) is int
    if kind == "float":
        return type(value) is int or (type(value) is float and math.isfinite(value))
    if kind == "str":
        return isinstance(value, str)
    return (
        not isinstance(value, dict) if kind in {"list", "append"} else kind != "json" or isinstance(value, (dict, str))
    )


def _holds(key: str, value: float, bound: float) -> bool:
    return {"least": value >= bound, "above": value > bound, "most": value <= bound, "below": value < bound}[key]


def argv_of(
    args: Mapping[str, Any], table: FlagTable, version: str, *, joint: str = "-", glued: bool = True
) -> tuple[str, ...]:
    """Return `args` as a command line. `joint` stands between the words of a flag; with `glued` the engine's parser
    takes `--flag=value`, which keeps a value that begins with a dash from being read as another flag.
    """
    at, found = table.nearest(version), []
    for name, value in args.items():
        kind = (table.row(name, at) or {"type": "any"})["type"]
        flag = f"--{name.replace('_', joint)}"
        if isinstance(value, bool):
            found += [flag] if value else [f"--no{joint}{flag[2:]}"] if kind == "bool" else []
        elif isinstance(value, (list, tuple)) and kind != "json":
            texts = [_text(each) for each in value]
            found += [part for text in texts for part in (flag, text)] if kind == "append" else [flag, *texts]
        elif glued and _text(value).startswith("-"):
            found.append(f"{flag}={_text(value)}")
        else:
            found += [flag, _text(value)]
    return tuple(found)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
