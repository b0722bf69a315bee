"""Owns what is installed beside infctl: versions and entry points, read where installers write them down.

importlib.metadata says the same, but loads e-mail, archives and sockets for it, a tenth of a plan of 1,000 resources.
Sources: packaging.python.org, "Recording installed projects" (NAME-VERSION.dist-info, METADATA) and "Entry points
specification" (entry_points.txt). Knows folders only, as installers make them; what stands first on `sys.path` counts.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

_SEPARATORS = re.compile(r"[-_.]+")  # alike in names of projects


class EntryPoint(NamedTuple):
    """An object that a project offers: `module`, and the path of names in it."""

    module: str
    path: str

    def load(self) -> Any:
        """Return the object. Raises ImportError, AttributeError."""
        found: Any = import_module(self.module)
        for name in self.path.split(".") if self.path else ():
            found = getattr(found, name)
        return found


def entry_points(group: str) -> Mapping[str, EntryPoint]:
    """Return what installed projects offer in `group`, by name."""
    found: dict[str, EntryPoint] = {}
    for folder in _projects(tuple(sys.path)).values():
        section = ""
        for line in _lines(folder, "entry_points.txt"):
            if line.startswith("["):
                section = line.strip("[]")
            elif section == group and "=" in line:
                name, _, rest = line.partition("=")
                module, _, path = rest.partition("[")[0].partition(":")  # extras say what it needs, not what it is
                found.setdefault(name.strip(), EntryPoint(module.strip(), path.strip()))
    return found


def version(project: str) -> str | None:
    """Return the version of an installed project, None where it is not installed."""
    folder = _projects(tuple(sys.path)).get(_normalised(project))
    lines = _lines(folder, "METADATA") if folder else ()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Version:")), None)


@cache
def _projects(path: tuple[str, ...]) -> Mapping[str, str]:
    """Return the folder in which each project that is installed on `path` is described, by its normalised name."""
    found: dict[str, str] = {}
    for place in path:
        try:
            with os.scandir(place or ".") as inside:
                folders = sorted((each.name, each.path) for each in inside if each.name.endswith(".dist-info"))
        except OSError:  # an archive, or a folder that is not there
            continue
        for name, folder in folders:
            found.setdefault(_normalised(name.partition("-")[0]), folder)
    return found


def _normalised(project: str) -> str:
    return _SEPARATORS.sub("-", project).lower()


def _lines(folder: str, name: str) -> Iterator[str]:
    """Yield the lines of a file of `folder` that may not be there, without comments and blanks."""
    try:
        lines = Path(folder, name).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    yield from (line for line in map(str.strip, lines) if line and not line.startswith("#"))
