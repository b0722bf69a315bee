"""Owns the log of one child: bounded on disk, read from the end, followed across rotation.

The newest lines are in `log`, older ones in `log.1`, `log.2`. Knows nothing of processes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

BLOCK = 65_536
POLL_S = 0.1
OLDEST = 100  # more generations than any spec asks for


class RotatingLog:
    """Appends bytes; at most `files` files of about `limit` bytes each, all 0600. One writer only.

    A full disk loses output, not the child: once there is room again a line says how much and why.
    """

    def __init__(self, path: Path, limit: int, files: int) -> None:
        self._path = path
        self._limit = limit
        self._files = files
        self._lost = 0
        self._cause = ""
        self._fd = self._open()
        self._size = os.fstat(self._fd).st_size

    def write(self, data: bytes) -> None:
        try:
            if self._size and self._size + len(data) > self._limit:
                line_end = data.find(b"\n") + 1  # a line that has begun ends in the file where it began
                self._append(data[:line_end])
                data = data[line_end:]
                self._rotate()
            if self._lost:
                self._append(f"infctl: {self._lost} bytes of output are missing here: {self._cause}\n".encode())
                self._lost = 0
            self._append(data)
        except OSError as error:
            self._lost += len(data)
            self._cause = error.strerror or str(error)

    def close(self) -> None:
        os.close(self._fd)

    def _append(self, data: bytes) -> None:
        while data:
            written = os.write(self._fd, data)
            self._size += written
            data = data[written:]

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _rotate(self) -> None:
        names = generations(self._path, self._files)
        for older, newer in zip(reversed(names), list(reversed(names))[1:], strict=False):
            if newer.exists():
                newer.replace(older)
        full, self._fd, self._size = self._fd, self._open(), 0
        os.close(full)


def generations(path: Path, files: int) -> tuple[Path, ...]:
    """Return the names of a log's files, newest first."""
    return (path, *(path.with_name(f"{path.name}.{age}") for age in range(1, files)))


def tail(path: Path, lines: int) -> tuple[str, ...]:
    """Return the last lines of a log, older files included; empty when there is no log."""
    return _tail(path, lines, None)


def follow(path: Path, lines: int, going: Callable[[], bool]) -> Iterator[str]:
    """Yield the last `lines` lines, then each new one, until `going()` is false and all is read."""
    file = _open(path)
    held = b""
    try:
        if file:
            file.seek(_end_of_last_line(file))
            yield from _tail(path, lines, file.tell())
        while True:
            last = not going()
            file = file or _open(path)
            *whole, held = (held + (file.read() if file else b"")).split(b"\n")
            for line in whole:
                yield line.decode("utf-8", "replace")
            if file and (newer := _newer(file, path)):
                file.close()
                file = newer
            elif last:
                break
            elif not whole:
                time.sleep(POLL_S)
        if held:
            yield held.decode("utf-8", "replace")
    finally:
        if file:
            file.close()


def _tail(path: Path, lines: int, end: int | None) -> tuple[str, ...]:
    """`end`: where the newest file is taken to end, in bytes; None for its real end."""
    found: list[str] = []
    for file in generations(path, OLDEST):
        if len(found) >= lines or not file.exists():
            break
        found = [*_tail_of_file(file, lines - len(found), end if file == path else None), *found]
    return tuple(found)


def _tail_of_file(path: Path, lines: int, end: int | None) -> list[str]:
    with path.open("rb") as file:
        at = file.seek(0, os.SEEK_END) if end is None else end
        held = b""
        while at > 0 and held.count(b"\n") <= lines:
            step = min(BLOCK, at)
            at -= step
            file.seek(at)
            held = file.read(step) + held
    return held.decode("utf-8", "replace").splitlines()[-lines:]


def _end_of_last_line(file: IO[bytes]) -> int:
    """Return the offset after the last newline, so that a line is not cut in two; the end if that is far."""
    end = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, end - BLOCK))
    newline = file.read(end - start).rfind(b"\n")
    return end if newline < 0 else start + newline + 1


def _newer(file: IO[bytes], path: Path) -> IO[bytes] | None:
    """Return the file that was written after this one, once this one is read; None when it is the newest."""
    here = os.fstat(file.fileno())
    while file.tell() >= here.st_size:
        names = generations(path, OLDEST)
        age = next((age for age, name in enumerate(names) if _inode(name) == here.st_ino), None)
        if age == 0 or (age is None and _inode(path) is None):
            return None
        if age is None:  # dropped meanwhile: what is left begins with the oldest
            return _open(next(name for name in reversed(names) if name.exists()))
        newer = _open(names[age - 1])
        if newer is None:
            return None
        if _inode(names[age]) == here.st_ino and os.fstat(file.fileno()).st_size <= file.tell():
            return newer
        newer.close()  # rotated again while we looked, or written to before it was
        here = os.fstat(file.fileno())
    return None


def _open(path: Path) -> IO[bytes] | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
