"""Owns what starts where: which engine, at which version, takes which format of weights on which GPUs, and how.

A table with sources (`data/support.yaml`), and looking things up in it. Knows no model and no host: what follows for
one of them is said by `sizing.startable`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Final

from infctl.catalog.files import read_rows
from infctl.catalog.gpus import Gpu
from infctl.frozen import dataclass

_VERSION: Final = re.compile(r"v?b?\d+(\.\d+)*")
_NEWEST: Final = (1 << 30,)


class Way(StrEnum):
    """How weights of a format run: multiplied in it, kept in it but computed in 16 bits, or not at all."""

    NATIVE = "native"
    WEIGHT_ONLY = "weight-only"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Row:
    """What an engine does with some formats over a span of versions; places as the file writes them.

    `ready` is whether the checkpoint must be in the format already, `gone` why later versions lack it.
    """

    names: tuple[str, ...]
    native: tuple[str, ...] = ()
    weight_only: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    flag: str = ""
    ready: bool = False
    cpu: bool = False
    gone: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Support:
    """The answer for one engine, version, format and GPU. `rows` are those of the format at whatever version."""

    way: Way
    row: Row | None
    rows: tuple[Row, ...] = ()

    @property
    def flag(self) -> str:
        """What is said to the engine for it; "" where it sees that by itself."""
        return self.row.flag if self.row else ""


@dataclass(frozen=True, slots=True)
class Runs:
    """Which GPUs an engine is built for over a span of versions."""

    where: tuple[str, ...]
    since: str = ""
    until: str = ""
    cpu: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine. `state` is "" while it is developed, else archived or dead: `why`, and `successor` is what to take.

    `classes` maps a model class, as config.json names it, to the first version that knows it ("": all do); what
    becomes of others is `unknown_classes`, "" where nobody knows. `unknown_here` are classes that it is known not to
    have, from version `since` on.
    """

    name: str
    state: str = ""
    successor: str = ""
    why: str = ""
    runs_on: tuple[Runs, ...] = ()
    tasks: tuple[str, ...] = ()
    classes: Mapping[str, str] | None = None
    unknown_classes: str = ""
    unknown_here: tuple[str, ...] = ()
    since: str = ""
    methods: tuple[Row, ...] = ()
    kv: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """A file format: served by `engines`; by none where it is one of `edge` devices."""

    name: str
    engines: tuple[str, ...] = ()
    edge: str = ""
    instead: str = ""


@dataclass(frozen=True, slots=True)
class Supports:
    """The table. A version that is "", or none, stands for any: what only some versions take is then taken."""

    engines: Mapping[str, Engine]
    forms: Mapping[str, Form]
    as_of: str

    def find(self, engine: str, version: str, method: str, gpu: Gpu | None) -> Support:
        """Return how weights of `method` run (`gguf` for all of its kinds); `gpu` None is a CPU.

        An engine that is not in the table takes everything natively, for nothing is known of it.
        """
        known = self.engines.get(engine)
        return Support(Way.NATIVE, None) if known is None else _best(known.methods, version, _plain(method), gpu)

    def find_kv(self, engine: str, version: str, name: str, gpu: Gpu | None) -> Support:
        """Return the same for a format of the KV cache; 16 bits always run, and so does what has no rows."""
        rows = known.kv if (known := self.engines.get(engine)) else ()
        asked = any(name in row.names for row in rows)
        return _best(rows, version, name, gpu) if asked else Support(Way.NATIVE, None)

    def methods(self, engine: str, version: str, gpu: Gpu | None) -> tuple[tuple[str, Support], ...]:
        """Return all formats that start there, in the table's order."""
        known = self.engines.get(engine)
        names = dict.fromkeys(name for row in known.methods for name in row.names) if known else {}
        found = ((name, self.find(engine, version, name, gpu)) for name in names)
        return tuple((name, support) for name, support in found if support.way is not Way.NO)

    def runs(self, engine: str, version: str) -> tuple[Runs, ...]:
        """Return what an engine is built for at a version; nothing where that is not known."""
        known = self.engines.get(engine)
        return tuple(row for row in known.runs_on if holds(row.since, row.until, version)) if known else ()


def holds(since: str, until: str, version: str) -> bool:
    """Return whether a span of versions has `version` in it; one that is no number is in all of them, and one that
    leaves its last parts open ("1.0" of "1.0.0rc6") has reached what began within it.
    """
    at = order(version)
    return at is None or ((order(since) or ())[: len(at)] <= at <= (order(until) or _NEWEST))


def order(version: str) -> tuple[int, ...] | None:
    """Return what versions are compared by; None where `version` says no number ("", "Dec 2023", "NIM 1.8")."""
    found = _VERSION.match(version)
    return tuple(int(each) for each in re.findall(r"\d+", found[0])) if found else None


def fits(places: Iterable[str], gpu: Gpu | None) -> bool:
    """Return whether one of `places` ("8.9+", "8.0-9.0", "gfx942", "any") is the GPU's."""
    return gpu is not None and any(_is_place(each, gpu) for each in places)


def _is_place(place: str, gpu: Gpu) -> bool:
    if place in {"any", gpu.compute}:
        return True
    if not gpu.sm or place.startswith("gfx"):
        return False
    first, _, last = place.removesuffix("+").partition("-")
    most = _sm(last) if last else 1 << 30 if place.endswith("+") else _sm(first)
    return _sm(first) <= gpu.sm <= most


def _sm(compute: str) -> int:
    major, _, minor = compute.partition(".")
    return int(major) * 10 + int(minor or 0)


def _plain(method: str) -> str:
    return "gguf" if method.startswith("gguf") else method


def _best(rows: Iterable[Row], version: str, name: str, gpu: Gpu | None) -> Support:
    asked = tuple(row for row in rows if name in row.names)
    now = [row for row in asked if holds(row.since, row.until, version)]
    for way in (Way.NATIVE, Way.WEIGHT_ONLY):
        for row in now:
            places = row.native if way is Way.NATIVE else row.weight_only
            if fits(places, gpu) or (gpu is None and row.cpu and places):
                return Support(way, row, asked)
    return Support(Way.NO, now[0] if now else None, asked)


@cache
def supports(own: str = "") -> Supports:
    """Return the table, with the engines and formats of a user's own file in their place.

    Raises InfctlError (bad-catalog).
    """
    files = read_rows("support", own)
    engines = {name: row for file in files for name, row in file.get("engines", {}).items()}
    forms = {name: row for file in files for name, row in file.get("formats", {}).items()}
    return Supports(
        {name: _engine(name, row) for name, row in engines.items()},
        {name: Form(name, **{**row, "engines": tuple(row.get("engines", ()))}) for name, row in forms.items()},
        str(files[0]["as_of"]),
    )


def _engine(name: str, row: Mapping[str, Any]) -> Engine:
    known = {key: row[key] for key in ("state", "successor", "why", "unknown_classes", "since") if key in row}
    return Engine(
        name,
        classes={**dict.fromkeys(row.get("also", ()), ""), **row["classes"]} if "classes" in row else None,
        runs_on=tuple(Runs(**_tuples(each)) for each in row.get("runs_on", ())),
        tasks=tuple(row.get("tasks", ())),
        unknown_here=tuple(row.get("unknown_here", ())),
        methods=tuple(Row(**_tuples(each)) for each in row.get("methods", ())),
        kv=tuple(Row(**_tuples(each)) for each in row.get("kv", ())),
        **known,
    )


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
