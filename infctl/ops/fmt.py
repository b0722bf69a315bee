"""Owns formatting files: which ones are meant, and writing those that change. How a file is laid out is `spec`'s.

A folder stands for its *.yaml files, as it does for -file; the lock file is infctl's own and left alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from infctl.diagnostics import Diagnostic, InfctlError, error
from infctl.frozen import dataclass
from infctl.spec.format import format_text
from infctl.spec.which import DEFAULT, FILE_UNREADABLE, NO_PARTS


@dataclass(frozen=True, slots=True)
class Formatted:
    """One file: what it holds, and what it should hold."""

    file: str
    before: bytes
    after: bytes

    @property
    def changes(self) -> bool:
        return self.before != self.after


def format_bytes(data: bytes, file: str) -> Formatted:
    """Return `data` well laid out. Raises InfctlError where it is not YAML, or cannot be laid out safely."""
    return Formatted(file, data, format_text(data, file).encode())


def format_files(
    paths: Iterable[Path], *, recursive: bool, write: bool
) -> tuple[tuple[Formatted, ...], tuple[Diagnostic, ...]]:
    """Return every file meant, and what is wrong with those that are not among them; with `write`, changes are written.

    With `recursive`, the folders below that hold an inference.yaml are meant too.
    """
    done: list[Formatted] = []
    problems: list[Diagnostic] = []
    for path in dict.fromkeys(each for given in paths for each in _expand(given, recursive=recursive)):
        try:
            made = format_bytes(path.read_bytes(), str(path))
            if write and made.changes:
                _replace(path.resolve(), made.after)
            done.append(made)
        except InfctlError as failure:
            problems += failure.diagnostics
        except OSError as failure:
            problems.append(
                error(FILE_UNREADABLE, f"{path}: {failure.strerror or failure}", hint=FILE_UNREADABLE.remedy)
            )
    return tuple(done), tuple(problems)


def _expand(path: Path, *, recursive: bool) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    folders = {path}
    if recursive:
        found = (each.parent for each in path.rglob(DEFAULT))
        folders |= {each for each in found if not any(part.startswith(".") for part in each.relative_to(path).parts)}
    for folder in sorted(folders):
        yield from sorted(each for each in folder.glob("*.yaml") if each.name not in NO_PARTS and each.is_file())


def _replace(path: Path, text: bytes) -> None:
    """Write `text`, whole or not at all; the file's mode stays. Raises OSError."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        staged.touch(mode=0o600)
        staged.write_bytes(text)
        staged.chmod(path.stat().st_mode & 0o7777)
        staged.replace(path)
    except OSError:
        with suppress(OSError):  # the first failure is the one to tell
            staged.unlink()
        raise
