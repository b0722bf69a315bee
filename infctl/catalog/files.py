"""Owns reading the catalogue's files: those that ship, and then a user's own, which adds rows or puts others in place.

Knows no kind of row: what a row means is said by the module of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infctl.diagnostics import Code, InfctlError, error

BAD_CATALOG = Code(
    "bad-catalog",
    "A file of your own with catalogue rows cannot be read.",
    "`infctl catalog show NAME` prints a row as the catalogue has it: write yours the same way.",
)
DATA = Path(__file__).parent / "data"


def read_rows(kind: str, own: str = "") -> tuple[Mapping[str, Any], ...]:
    """Return the shipped file of `kind`, and after it the user's where `own` names one that has rows of this kind.

    Raises InfctlError (bad-catalog).
    """
    shipped = _parse((DATA / f"{kind}.yaml").read_bytes())
    if not own:
        return (shipped,)
    try:
        mine = _parse(Path(own).read_bytes())
    except (OSError, ValueError) as failure:
        detail = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
        raise InfctlError(error(BAD_CATALOG, f"{own} cannot be read", detail, hint=BAD_CATALOG.remedy)) from failure
    return (shipped, mine) if kind in mine else (shipped,)


def _parse(text: bytes) -> Mapping[str, Any]:
    """Return a file's mapping. Raises ValueError."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = yaml.load(text, loader)  # noqa: S506  # a safe loader, in C where there is one
    except yaml.YAMLError as failure:
        raise ValueError(str(failure)) from failure
    if not isinstance(found, dict):
        raise ValueError("the file must be a mapping")  # noqa: TRY004  # what is wrong is the file, not a type in the code
    return found
