"""Owns the folder of objects: one directory each, described by itself, found by one scan; and the kept logs.

A directory is ours from the moment its description is in it, and that is before anything runs there.
Knows nothing of what the objects do.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infctl.provider.values import Change, Labels, Unreadable, Values, without_secrets
from infctl_local.facts import Record, parse_record
from infctl_local.process import Run, read_run
from infctl_local.record import LOG, SPEC, write_private

RECORD = "object.json"
SECRETS = "secrets"
KEPT_LOGS = 10  # removed replicas whose log can still be read
READ_AS_OWNER = "run infctl as the user that started this stack"


@dataclass(frozen=True, slots=True)
class Found:
    """An object's directory and its description."""

    path: Path
    record: Record


class Objects:
    """The objects of one stack and workspace on this machine.

    `changing` is held from the choice of a port until it is written down, and while logs are kept; only one run
    of infctl changes a stack at a time, so a lock between its threads is enough.
    """

    def __init__(self, data: Path) -> None:
        self.live = data / "run"
        self.kept = data / "kept"
        self.changing = threading.Lock()
        self._doing: dict[str, threading.Lock] = {}

    def alone(self, ident: str) -> threading.Lock:
        """Return the lock of one object: what is asked of it twice at once is done one after the other."""
        with self.changing:
            return self._doing.setdefault(ident, threading.Lock())

    def path(self, name: str, ident: str) -> Path:
        return self.live / f"{name}.{ident}"

    def find(self, name: str, ident: str) -> Found | None:
        """Return the object, or None when it is not there. Raises OSError, ValueError for a broken description."""
        path = self.path(name, ident)
        try:
            return Found(path, parse_record((path / RECORD).read_text("utf-8")))
        except FileNotFoundError:
            return None

    def scan(self) -> tuple[tuple[Found, ...], tuple[Unreadable, ...]]:
        """Return every object by name, and what could not be read. Where nothing was started yet is no object."""
        found, broken = [], []
        try:
            paths = _directories(self.live)
        except OSError as failure:
            return (), (Unreadable(str(self.live), failure.strerror or str(failure), READ_AS_OWNER),)
        for path in paths:
            try:
                found.append(Found(path, parse_record((path / RECORD).read_text("utf-8"))))
            except (OSError, ValueError) as failure:
                if _is_half_made(path):
                    continue
                hint = f"if nothing runs there any more, remove {path}"
                broken.append(Unreadable(str(path / RECORD), str(failure), hint))
        return tuple(found), tuple(broken)

    def write(self, record: Record) -> Found:
        """Write the object's description, atomically; its directory is made when it is not there."""
        path = self.path(record.name, record.labels.id)
        _make_private(self.live)
        path.mkdir(mode=0o700, exist_ok=True)
        write_private(path / RECORD, record.to_json())
        return Found(path, record)

    def sweep(self) -> None:
        """Remove directories that a killed run left before it described them: nothing ever ran there."""
        for path in _directories(self.live):
            if _is_half_made(path):
                shutil.rmtree(path)

    def remove(self, found: Found) -> None:
        """Remove an object of which nothing runs: in one rename, so that it is never half there. Its log is kept."""
        for entry in tuple(found.path.iterdir()):
            if entry.name not in {RECORD, LOG}:
                _remove(entry)
        with self.changing:  # two at once would prune the same old log
            self._keep_log(found)

    def _keep_log(self, found: Found) -> None:
        _make_private(self.kept)
        place = self.kept / found.path.name
        _remove(place)
        found.path.rename(place)
        if not found.record.labels.model or not (place / LOG).exists():
            _remove(place)  # what a relay or a route says interests nobody once it is gone
        for old in sorted(_directories(self.kept), key=lambda path: path.stat().st_mtime)[:-KEPT_LOGS]:
            _remove(old)

    def kept_log(self, labels: Labels) -> Path | None:
        """Return the newest log kept of this object, or of this model's revision when the object has none."""
        mine: list[tuple[bool, float, Path]] = []
        for path in _directories(self.kept):
            try:
                past = parse_record((path / RECORD).read_text("utf-8")).labels
            except (OSError, ValueError):
                continue  # a kept log that cannot be read helps nobody, and nothing depends on it
            if past.id == labels.id or (past.model, past.revision) == (labels.model, labels.revision):
                mine.append((past.id == labels.id, path.stat().st_mtime, path / LOG))
        return max(mine)[2] if mine else None

    def seed(self, ident: str) -> str:
        """Return a text that no other object on this machine has, in whichever stack's folder it is."""
        return f"{self.live}/{ident}"

    def ports(self, besides: str) -> frozenset[int]:
        """Return the ports that objects of this stack hold, running or not, but for the object `besides`."""
        found, _ = self.scan()
        return frozenset(
            port
            for one in found
            if one.record.labels.id != besides and isinstance(port := one.record.outputs.get("port"), int)
        )


def run_in(path: Path) -> Run:
    """Return what runs, or ran, in an object's directory; nothing did where a killed run only described it."""
    return read_run(path) if (path / SPEC).exists() else Run(path, None, None, running=False)


def describe(change: Change, after: Values, outputs: Mapping[str, Any], found: Found | None) -> Record:
    """Return how the changed object describes itself; its labels are those it was made with."""
    labels = found.record.labels if found else change.labels
    return Record(change.name, change.target, labels, without_secrets(after), outputs)


def _is_half_made(path: Path) -> bool:
    """Tell whether a killed run left this directory before it described it, and so before anything ran there."""
    return not (path / RECORD).exists() and not (path / SPEC).exists()


def _directories(root: Path) -> tuple[Path, ...]:
    try:
        return tuple(sorted(path for path in root.iterdir() if path.is_dir()))
    except FileNotFoundError:
        return ()  # nothing was ever made here; any other error means that it cannot be read


def _make_private(folder: Path) -> None:
    for path in (folder.parent, folder):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
