"""Owns reading a user's own catalogue file: checked like the configuration, laid over the rows that ship.

A row of a known name changes only what it says; a new one has to say all that its kind needs. Knows no reader of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

from infctl.catalog.files import BAD_CATALOG, read_shipped
from infctl.diagnostics import InfctlError, error
from infctl.spec.loader import MOST_BYTES, load_bytes
from infctl.spec.problems import Problem, near, problem
from infctl.spec.sourcemap import Source

_INSTANCE: Final = ("cloud", "gpu", "count", "vcpus", "memory")


@cache
def read_own(path: str) -> Mapping[str, Any]:
    """Return the rows of a user's file, whole: every kind is there, and every row says all that its kind needs.

    Raises InfctlError with all that is wrong, each with its line.
    """
    source = _read(path)
    from infctl.catalog.forms import OwnFile  # noqa: PLC0415  -- builds models that only such a file needs
    from infctl.spec.shape import check  # noqa: PLC0415  -- imports pydantic

    found = check(OwnFile, source.value)[1]
    if not found:
        found = [*_unfinished(source.value), *_unknown_gpus(source.value, path)]
    if found:
        raise InfctlError(*(each.diagnostic.at(source.locate(each.loc, at_key=each.at_key)) for each in found))
    return _laid_over(source.value)


def _read(path: str) -> Source:
    here = Path.cwd()
    shown = str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as failure:
        detail = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
        raise InfctlError(error(BAD_CATALOG, f"{shown} cannot be read", detail, hint=BAD_CATALOG.remedy)) from failure
    source, told = load_bytes(data, shown)
    if told or source is None:
        raise InfctlError(*told)
    return source


# ---------------------------------------------------------------- what the form alone does not see


def _unfinished(value: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what new rows leave out; rows of known names take it from there."""
    from infctl.catalog.architecture import Architecture  # noqa: PLC0415  -- these import `files`, which imports this
    from infctl.catalog.gpus import Gpu  # noqa: PLC0415

    known = {row["name"] for row in read_shipped("gpus")["gpus"]}
    for index, row in enumerate(value.get("gpus", ())):
        if row["name"] not in known:
            yield from _missing(("gpus", index), row, _needed(Gpu), f"{row['name']} is a new GPU")
    for name, row in value.get("models", {}).items():
        if name not in read_shipped("models")["models"]:
            yield from _missing(("models", name), row, _needed(Architecture), f"{name} is a new model")
    rented = set(read_shipped("instances")["instances"])
    fetched = (value.get("fetched") or {}).get("instances", {})
    for at, rows in ((("fetched", "instances"), fetched), (("instances",), value.get("instances", {}))):
        for name, row in rows.items():
            if name not in rented:
                yield from _missing((*at, name), row, _INSTANCE, f"{name} is a new instance")
        rented |= set(rows)


def _needed(made: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(made) if each.default is MISSING and each.default_factory is MISSING)


def _missing(
    loc: tuple[str | int, ...], row: Mapping[str, Any], needed: tuple[str, ...], what: str
) -> Iterator[Problem]:
    if left := [name for name in needed if name not in row and name != "name"]:
        detail = f"{what}, which needs {', '.join(left)}"
        yield problem(BAD_CATALOG, "A row is not whole", detail, loc=loc, hint=BAD_CATALOG.remedy, at_key=True)


def _unknown_gpus(value: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """Yield instances whose GPU no catalogue has."""
    from infctl.catalog.names import plain_gpu  # noqa: PLC0415

    rows = (*read_shipped("gpus")["gpus"], *value.get("gpus", ()))
    known = {plain_gpu(name): row["name"] for row in rows for name in (row["name"], *row.get("aliases", ()))}
    for name, row in value.get("instances", {}).items():
        gpu = row.get("gpu")
        if gpu is not None and plain_gpu(gpu) not in known:
            hint = near(gpu, tuple(dict.fromkeys(known.values()))) or f"add it to gpus: of {path}"
            yield problem(
                BAD_CATALOG,
                f"There is no GPU {gpu} in the catalogue",
                "not a GPU",
                loc=("instances", name, "gpu"),
                hint=hint,
            )


# ---------------------------------------------------------------- laid over what ships


def _laid_over(value: Mapping[str, Any]) -> Mapping[str, Any]:
    empty: dict[str, Any] = {"gpus": [], "ambiguous": {}, "models": {}, "engines": {}, "formats": {}, "instances": {}}
    gpus = {row["name"]: row for row in read_shipped("gpus")["gpus"]}
    shapes, engines = read_shipped("models")["models"], read_shipped("support")["engines"]
    return {
        **empty,
        **value,
        "gpus": [_over(gpus.get(row["name"], {}), row) for row in value.get("gpus", ())],
        "models": {name: _over(shapes.get(name, {}), row) for name, row in value.get("models", {}).items()},
        "engines": {name: _over_engine(engines.get(name, {}), row) for name, row in value.get("engines", {}).items()},
    }


def _over(known: Mapping[str, Any], row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row over another: its fields beat the other's, its aliases come besides."""
    aliases = [*known.get("aliases", ()), *row.get("aliases", ())]
    return {**known, **row, **({"aliases": aliases} if aliases else {})}


def _over_engine(known: Mapping[str, Any], row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an engine over another: what it says of a format stands in place of all that the other says of it."""
    made = {**known, **row, "classes": {**known.get("classes", {}), **row.get("classes", {})}}
    made["also"] = [*known.get("also", ()), *row.get("also", ())]
    for kind in ("methods", "kv"):
        mine = row.get(kind, [])
        said = {name for each in mine for name in each["names"]}
        others = (
            {**each, "names": [name for name in each["names"] if name not in said]} for each in known.get(kind, ())
        )
        made[kind] = [*mine, *(each for each in others if each["names"])]
    return made if known.get("classes") or row.get("classes") else {k: v for k, v in made.items() if k != "classes"}
