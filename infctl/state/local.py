"""Owns the local store: files under ROOT/.infctl/WORKSPACE/, safe against kills, full disks and other runs.

    state.json  state.json.backup  history/SERIAL.json    the snapshot, the one before, the last ten before
    journal.jsonl                                         what was done since the snapshot
    lock.json  fence  guard                               who may write; the last fence given; the flock
    digest.key                                            the lineage's key for secret digests
    state.kept.json                                       a large snapshot in a form that is read sooner (`kept`)

A folder on a network filesystem is fine where flock reaches the other machines (NFS on Linux does): leases hold
across machines, and a dead holder's lock is taken at once only where host, boot and pid namespace are the same.
Knows nothing of plans.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from infctl.address import NAME_PATTERN
from infctl.provider import faults
from infctl.state import disk, lease
from infctl.state.files import StateFiles
from infctl.state.guard import Guard
from infctl.state.problems import damaged
from infctl.state.store import DEFAULT_WORKSPACE, LEASE_SECONDS, NO_WORKSPACES, Loaded, LockInfo, Salvaged, Waiting
from infctl.state.workspaces import FOLDER
from infctl.state.writer import LocalLease

PATIENCE = 10.0  # seconds that a write of another process may take before this one says so
_KEY_BYTES = 32


class LocalStore:
    """The state of the stack in `root`, in one workspace. `lease` in seconds. Nothing is made before it is needed."""

    def __init__(self, root: Path, workspace: str = DEFAULT_WORKSPACE, *, lease: float = LEASE_SECONDS) -> None:
        self.workspace = workspace
        self._folder = root / FOLDER
        self._lease = lease
        self._files = StateFiles(self._folder / workspace)
        self._cell = FileCell(self._files)

    @property
    def location(self) -> str:
        return str(self._files.state)

    def load(self) -> Loaded:
        return self._files.load()

    def salvage(self) -> Salvaged:
        return self._files.salvage()

    def lock(self, who: str, operation: str, *, timeout: float = 0.0, waiting: Waiting | None = None) -> LocalLease:
        self.create()
        faults.point("lock: before acquire")
        heart = lease.acquire(
            self._cell, self._lease, who, operation, timeout=timeout, waiting=waiting, location=self.location
        )
        faults.point("lock: acquired")
        return LocalLease(self._files, self._cell.guard, heart)

    def lock_info(self) -> LockInfo | None:
        return lease.holder_of(self._cell)

    def force_unlock(self, ident: str) -> LockInfo:
        return lease.open_by_force(self._cell, ident)

    def digest_key(self, initial: bytes = b"") -> bytes:
        path = self._files.key
        text = disk.read(path)
        if text is None:
            self.create()
            with self._cell.guard.held():
                text = disk.read(path)
                if text is None:
                    text = (initial or os.urandom(_KEY_BYTES)).hex().encode() + b"\n"
                    disk.replace(path, text, "digest key")
        if not re.fullmatch(rb"[0-9a-f]{64}\n?", text):
            hint = f"put it back from a copy, or remove {path}: each secret is then delivered once more"
            raise damaged(str(path), "it is not a key of 64 hex digits", hint=hint)
        return bytes.fromhex(text.decode())

    def workspaces(self) -> tuple[str, ...]:
        try:
            found = {path.name for path in self._folder.iterdir() if path.is_dir()} - NO_WORKSPACES
        except OSError:
            found = set()
        return tuple(sorted({DEFAULT_WORKSPACE} | {name for name in found if re.fullmatch(NAME_PATTERN, name)}))

    def create(self) -> None:
        disk.make_folder(self._files.folder)

    def delete(self) -> None:
        folder = self._files.folder
        if not folder.exists():
            return
        with self._cell.guard.held(), disk.writing(folder):
            held = self._cell.read()
            if held is not None and not lease.is_abandoned(held):
                raise lease.locked(lease.info_of(held), 0.0, self.location)
            doomed = folder.rename(folder.with_name(f".deleted-{os.urandom(4).hex()}"))
        import shutil  # noqa: PLC0415  -- loads compressors, and few runs remove a workspace

        shutil.rmtree(doomed)


class FileCell:
    """The lock as a file: a `Cell` whose compare-and-swap is guarded by flock."""

    def __init__(self, files: StateFiles) -> None:
        self._files = files
        self.guard = Guard(files.guard, PATIENCE)

    def read(self) -> bytes | None:
        return disk.read(self._files.lock)

    def take(self, old: bytes | None, mine: lease.Held) -> lease.Held | None:
        with self.guard.held():
            if self.read() != old:
                return None
            disk.sweep(self._files.folder)
            fence = self._files.last_fence() + 1
            self._files.write_fence(fence)
            held = replace(mine, fence=fence)
            disk.put(self._files.lock, lease.encode(held))
            return held

    def swap(self, old: bytes, new: bytes | None) -> bool:
        with self.guard.held():
            if self.read() != old:
                return False
            if new is None:
                with disk.writing(self._files.lock):
                    self._files.lock.unlink()
            else:
                disk.put(self._files.lock, new)
            return True


def open_local(root: Path, workspace: str, env: Mapping[str, str]) -> LocalStore:
    """Return the local store of the stack in `root`; INFCTL_LEASE sets the lease. Raises InfctlError (bad-lease)."""
    return LocalStore(root, workspace, lease=lease.seconds_from(env))
