"""Owns a world of pretend objects that outlives its makers: a log in a file, or nothing but memory.

A line is an object as it is now, or the id of one that is gone; each is one write, so a killed writer leaves no
half of one. Knows nothing of providers.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Thing = dict[str, Any]  # JSON values


@dataclass
class World:
    """All objects by id. Several worlds over one `path`, in several processes, see the same objects."""

    path: Path | None = None
    down: set[str] = field(default_factory=set)  # places that cannot be read
    _things: dict[str, Thing] = field(default_factory=dict)
    _read: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def things(self) -> tuple[Thing, ...]:
        with self._lock:
            self._catch_up()
            return tuple(self._things.values())

    def get(self, ident: str) -> Thing | None:
        with self._lock:
            self._catch_up()
            return self._things.get(ident)

    def put(self, thing: Thing) -> None:
        self._write({"put": thing})

    def drop(self, ident: str) -> None:
        self._write({"drop": ident})

    def _write(self, line: dict[str, Any]) -> None:
        with self._lock:
            if self.path is None:
                self._hear(line)
                return
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, json.dumps(line, separators=(",", ":")).encode() + b"\n")
            finally:
                os.close(handle)

    def _catch_up(self) -> None:
        if self.path is None or not self.path.exists() or self.path.stat().st_size == self._read:
            return
        with self.path.open("rb") as log:
            log.seek(self._read)
            text = log.read()
        self._read += len(text)
        for line in text.splitlines():
            self._hear(json.loads(line))

    def _hear(self, line: dict[str, Any]) -> None:
        if "put" in line:
            self._things[line["put"]["id"]] = line["put"]
        else:
            self._things.pop(line["drop"], None)
