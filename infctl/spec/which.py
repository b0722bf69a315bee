"""Owns which files a configuration is made of. Reads none of them.

Without `-file` it is `inference.yaml`; a folder stands for its *.yaml files, without those that say other things: the
lock file, and rows of a catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from infctl.diagnostics import Code, Diagnostic, error

FILE_UNREADABLE = Code(
    "file-unreadable",
    "A file of the configuration cannot be read.",
    "Check the name and the rights; `infctl init` writes a first inference.yaml.",
)
NO_CONFIGURATION = Code(
    "no-configuration",
    "There is no configuration where infctl looks for one.",
    "Run `infctl init` for a first inference.yaml, or name a file or folder with -file.",
)
DEFAULT = "inference.yaml"
LOCK_FILE = "inference.lock.yaml"
CATALOG_FILE = "inference.catalog.yaml"
NO_PARTS = frozenset({LOCK_FILE, CATALOG_FILE})  # files beside a configuration that are none of it


def find(root: Path, files: Sequence[Path]) -> tuple[list[Path], list[Diagnostic]]:
    """Return the files that make up the configuration in the folder `root`, and what is wrong with the asking."""
    found: list[Path] = []
    problems: list[Diagnostic] = []
    for path in dict.fromkeys(files or (Path(DEFAULT),)):
        inside, missing = _expand(root, path)
        found += inside
        problems += missing
    return found, problems


def _expand(root: Path, path: Path) -> tuple[list[Path], list[Diagnostic]]:
    """Return the files that `path` stands for."""
    try:
        if (root / path).is_dir():
            inside = sorted((root / path).glob("*.yaml"))
            found = [path / each.name for each in inside if each.name not in NO_PARTS and each.is_file()]
            if found:
                return found, []
            detail = "no *.yaml file is in there"
            return [], [error(NO_CONFIGURATION, f"{path} holds no configuration", detail, hint=NO_CONFIGURATION.remedy)]
        if path == Path(DEFAULT) and not (root / path).exists():
            other = root / "inference.yml"
            hint = f"rename {other.name} to {DEFAULT}" if other.exists() else NO_CONFIGURATION.remedy
            return [], [error(NO_CONFIGURATION, f"There is no {DEFAULT} here", str(root), hint=hint)]
    except (OSError, ValueError) as failure:
        return [], [error(FILE_UNREADABLE, "A file cannot be looked at", str(failure), hint=FILE_UNREADABLE.remedy)]
    return [path], []
