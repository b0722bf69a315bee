"""Owns the checksums of model files, and the cache that spares reading a file again that has not changed.

An entry holds for one path, size, modification time and inode; the cache is a convenience: a lost or damaged one
costs time, nothing else. What else was read out of a file may be kept beside its checksum, as plain JSON.
Knows nothing of models or formats.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

CACHE_FILE = "model-files.json"
CACHE_VERSION = 1  # raised whenever something else is read out of a file
QUIET = 1.0  # seconds of hashing before anything is reported
EVERY = 0.5  # seconds between two reports
_CHUNK = 1 << 22  # bytes
_RACY = 2_000_000_000  # ns: a file written so shortly before may be written again within one tick of its clock

Report = Callable[[Path, int, int], None]  # path, bytes done, bytes in all


class FileChangedError(OSError):
    """The file was written to while it was read."""


def sha256_of(path: Path, report: Report, *, quiet: float = QUIET, every: float = EVERY) -> str:
    """Return the SHA-256 of the file in hex; reports progress after `quiet` seconds, then every `every` seconds.

    Raises OSError, FileChangedError among them.
    """
    total = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        done, due = 0, time.monotonic() + quiet
        while done < before.st_size and (chunk := file.read(_CHUNK)):
            total.update(chunk)
            done += len(chunk)
            if time.monotonic() >= due:
                report(path, done, before.st_size)
                due = time.monotonic() + every
        if stamp(os.fstat(file.fileno())) != stamp(before):
            raise FileChangedError(0, "it is being written to")
    return total.hexdigest()


def stamp(found: os.stat_result) -> list[int]:
    """Return what is equal as long as a file is the same: size, modification time, inode, device."""
    return [found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev]


class Cache:
    """What is known of files, kept in `folder` (made 0700; the file is 0600). Load, ask, put, save."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CACHE_FILE
        self._entries = _load(self._path)
        self._changed = False

    def get(self, name: str, found: os.stat_result) -> dict[str, Any] | None:
        """Return what was put for this file, None where it is not known or not the same any more."""
        entry = self._entries.get(name)
        return entry["facts"] if entry and entry["stamp"] == stamp(found) else None

    def put(self, name: str, found: os.stat_result, facts: dict[str, Any]) -> None:
        """Keep `facts` for this file, unless it was written just now: then it may be written again unseen."""
        if time.time_ns() - found.st_mtime_ns > _RACY:
            self._entries[name] = {"stamp": stamp(found), "facts": facts}
            self._changed = True

    def save(self) -> None:
        """Write the cache if it changed; where it cannot be written the next run is slower, and that is all."""
        if not self._changed:
            return
        text = json.dumps({"version": CACHE_VERSION, "files": self._entries}, indent=0)
        staged = self._path.with_name(f".{CACHE_FILE}.{os.getpid()}")
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            staged.replace(self._path)
            self._changed = False


def _load(path: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict) or found.get("version") != CACHE_VERSION:
        return {}
    files = found.get("files")
    if not isinstance(files, dict):
        return {}
    return {
        name: entry for name, entry in files.items() if isinstance(entry, dict) and {"stamp", "facts"} <= entry.keys()
    }
