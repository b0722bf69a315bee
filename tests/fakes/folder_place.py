"""A shared place made of files: what a bucket promises, kept by flock. Processes that fork share it.

`mishap` is called before and after every write with what is done: it may raise, as a network does.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infctl.state.remote.place import Version


def _nothing(_what: str) -> None:
    pass


class FolderPlace:
    holds_parts = True

    def __init__(self, root: Path, workspace: str, mishap: Callable[[str], None] = _nothing) -> None:
        self.location = f"folder://{workspace}"
        self.parts = root / "parts" / workspace
        self.head = root / "heads" / workspace
        self.head.parent.mkdir(parents=True, exist_ok=True)
        self._guard = root / "guard"
        self._mishap = mishap

    def read(self) -> Version | None:
        self._mishap("read")
        with self._alone():
            if not self.head.exists():
                return None
            text = self.head.read_bytes()
            return Version(text, hashlib.md5(text).hexdigest())  # noqa: S324  -- a tag, as S3 gives

    def write(self, text: bytes, seen: str) -> str:
        self._mishap("before write")
        with self._alone():
            if self._tag() != seen:
                return ""
            staged = self.head.with_name(f".{self.head.name}")
            staged.write_bytes(text)
            staged.replace(self.head)
            tag = self._tag()
        self._mishap("after write")
        return tag

    def erase(self, seen: str) -> bool:
        with self._alone():
            if self._tag() != seen:
                return False
            self.head.unlink()
            return True

    def put(self, name: str, data: bytes) -> None:
        self._mishap(f"put {name}")
        path = self.parts / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def get(self, name: str) -> bytes | None:
        path = self.parts / name
        return path.read_bytes() if path.exists() else None

    def drop(self, name: str) -> None:
        (self.parts / name).unlink(missing_ok=True)

    def names(self) -> tuple[str, ...]:
        return tuple(str(path.relative_to(self.parts)) for path in self.parts.rglob("*") if path.is_file())

    def workspaces(self) -> tuple[str, ...]:
        return tuple(path.name for path in self.head.parent.iterdir() if not path.name.startswith("."))

    def enter(self, ident: str, dead: str) -> bool:  # noqa: ARG002  -- a folder knows no locks
        return True

    def leave(self) -> None:
        pass

    def _tag(self) -> str:
        return hashlib.md5(self.head.read_bytes()).hexdigest() if self.head.exists() else ""  # noqa: S324

    @contextmanager
    def _alone(self) -> Iterator[None]:
        handle = os.open(self._guard, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
