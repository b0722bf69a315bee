"""Owns durable writing of small files: whole or not at all, 0600, on the platter before it counts.

Every failure of the operating system becomes error[state-unwritable] or error[state-unreadable] with a way on.
Knows nothing of what is written.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infctl.diagnostics import InfctlError, error
from infctl.provider import faults
from infctl.state.problems import STATE_UNREADABLE, STATE_UNWRITABLE

_STAGED = ".staged-"
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError into error[state-unwritable] about `path`."""
    try:
        yield
    except OSError as failure:
        raise InfctlError(
            error(
                STATE_UNWRITABLE,
                f"{path} cannot be written",
                failure.strerror or str(failure),
                hint=f"{_way_on(failure, path)}; what was stored before is intact",
            )
        ) from failure


def _way_on(failure: OSError, path: Path) -> str:
    folder = path.parent
    if failure.errno in _FULL:
        return f"make room on the disk that holds {folder} and run the same command again"
    if failure.errno == errno.EROFS:
        return f"the filesystem of {folder} is read-only: mount it writable, or work on a copy elsewhere"
    if failure.errno in _FORBIDDEN:
        return f"run as the owner of {folder}, or let this user write there"
    return f"see what stands at {path}, and run the same command again"


def read(path: Path) -> bytes | None:
    """Return what `path` holds, None where there is no such file. Raises InfctlError (state-unreadable)."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as failure:
        raise InfctlError(
            error(
                STATE_UNREADABLE,
                f"{path} cannot be read",
                failure.strerror or str(failure),
                hint=f"run as the owner of {path}, or let this user read it"
                if failure.errno in _FORBIDDEN
                else f"see what stands at {path}: it should be a file of infctl's",
            )
        ) from failure


def make_folder(path: Path) -> None:
    """Make `path` and its parent, 0700 each, where they are missing."""
    with writing(path):
        for folder in (path.parent, path):
            folder.mkdir(mode=0o700, exist_ok=True)


def sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def stage(path: Path, text: bytes, what: str) -> Path:
    """Return a synced temporary file beside `path` that holds `text`. Raises InfctlError (state-unwritable)."""
    staged = _staged(path)
    faults.point(f"{what}: before write")
    with writing(path):
        try:
            handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                write_at(handle, text, 0, what)
            finally:
                os.close(handle)
        except OSError:
            staged.unlink(missing_ok=True)
            raise
    return staged


def publish(staged: Path, path: Path, what: str) -> None:
    """Put `staged` in the place of `path`, for good. Raises OSError."""
    faults.point(f"{what}: before rename")
    staged.replace(path)
    faults.point(f"{what}: renamed")
    sync_folder(path.parent)
    faults.point(f"{what}: folder synced")


def replace(path: Path, text: bytes, what: str) -> None:
    """Make `path` hold `text`: a reader finds the old text or the new. Raises InfctlError (state-unwritable)."""
    staged = stage(path, text, what)
    with writing(path):
        publish(staged, path, what)


def put(path: Path, text: bytes) -> None:
    """Make `path` hold `text` for as long as the machine stays up: whole or not at all, but not synced."""
    staged = _staged(path)
    with writing(path):
        try:
            handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.write(handle, text)
            finally:
                os.close(handle)
            staged.replace(path)
        except OSError:
            staged.unlink(missing_ok=True)
            raise


def sweep(folder: Path) -> None:
    """Remove what runs that were killed had staged in `folder` and never published."""
    with writing(folder / _STAGED):
        for leftover in folder.glob(f"{_STAGED}*"):
            leftover.unlink(missing_ok=True)


def _staged(path: Path) -> Path:
    return path.with_name(f"{_STAGED}{path.name}.{os.getpid()}-{os.urandom(4).hex()}")


def overwrite(path: Path, text: bytes, what: str) -> None:
    """Make `path`, which holds as many bytes already, hold `text`, for good: one sync and no change of the folder.

    For text within one disk sector (512 bytes), which no power cut tears. Raises InfctlError (state-unwritable).
    """
    with writing(path):
        handle = os.open(path, os.O_WRONLY)
        try:
            write_at(handle, text, 0, what)
        finally:
            os.close(handle)


def write_at(handle: int, text: bytes, offset: int, what: str) -> None:
    """Write `text` at `offset` and sync it. Raises OSError. Under a fault it is written in two halves."""
    halves = (text[: len(text) // 2], text[len(text) // 2 :]) if faults.active() else (text,)
    for number, part in enumerate(halves):
        if number:
            faults.point(f"{what}: torn")
        rest = memoryview(part)
        while rest:
            written = os.pwrite(handle, rest, offset)
            offset += written
            rest = rest[written:]
    faults.point(f"{what}: written")
    os.fsync(handle)
    faults.point(f"{what}: synced")


def keep_as(path: Path, copy: Path) -> None:
    """Let `copy` hold what `path` holds now, at no cost where the filesystem has hard links. Raises OSError.

    Files here are only ever replaced, never written into: two names may share one.
    """
    staged = _staged(copy)
    try:
        os.link(path, staged)
    except OSError:
        import shutil  # noqa: PLC0415  -- loads compressors, and filesystems without links are few

        shutil.copyfile(path, staged)
        staged.chmod(0o600)
    staged.replace(copy)
    staged.unlink(missing_ok=True)  # replacing a name by another of the same file does nothing
