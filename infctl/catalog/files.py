"""Owns reading the catalogue's files: those that ship, and then a user's own, which adds rows or puts others in place.

Knows no kind of row: what a row means is said by the module of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from infctl.diagnostics import Code
from infctl.spec.which import CATALOG_FILE

BAD_CATALOG = Code(
    "bad-catalog",
    "A file of your own with catalogue rows cannot be read, or a row in it does not say enough.",
    "`infctl catalog show NAME` prints a row as the catalogue has it: write yours the same way.",
)
DATA = Path(__file__).parent / "data"
# The shipped file of a kind, and the parts of a user's file that are about it.
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "gpus": ("gpus", "ambiguous"),
    "models": ("models",),
    "support": ("engines", "formats"),
    "quality": ("losses", "effects", "opt_in", "default_most", "as_good_as"),
    "instances": ("instances", "price_as_of", "fetched"),
}


def find_own(folder: Path, named: str = "") -> str:
    """Return the user's catalogue file: the one that is `named`, else the one beside the configuration in `folder`,
    "" where there is none. An absolute path, for what was read is kept by it.
    """
    beside = folder.absolute() / CATALOG_FILE
    if named:
        return str(Path(named).absolute())
    return str(beside) if beside.is_file() else ""


def read_rows(kind: str, own: str = "") -> tuple[Mapping[str, Any], ...]:
    """Return the shipped file of `kind`, and after it the user's where `own` names one that has rows of this kind.

    Raises InfctlError (bad-catalog, and what is wrong with the file's YAML and its values).
    """
    shipped = read_shipped(kind)
    if not own:
        return (shipped,)
    from infctl.catalog.own import read_own  # noqa: PLC0415  -- imports what checks files, which plans without one spare

    mine = read_own(own)
    return (shipped, mine) if any(mine.get(part) for part in PARTS[kind]) else (shipped,)


@cache
def read_shipped(kind: str) -> Mapping[str, Any]:
    """Return the shipped file of a kind. It is part of this package: a missing or wrong one is a defect."""
    found: Mapping[str, Any] = yaml.load((DATA / f"{kind}.yaml").read_bytes(), _LOADER)  # noqa: S506  # both are safe
    return found


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
