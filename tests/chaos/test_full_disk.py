"""A full disk, a read-only one, a folder that belongs to another: the message says what to do, nothing is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from infctl.diagnostics import InfctlError
from infctl.state.journal import Record
from infctl.state.local import LocalStore
from infctl.state.testkit import sample
from tests.needs import need, need_root

BIG = tuple(Record(f"s{number}", "begin", at="x" * 1000) for number in range(40))
NOBODY = 65534


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of its own, 128 KiB small."""
    need_root()
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "infctl-test", place], check=False)
    need(mounted.returncode == 0, "the right to mount a tmpfs")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as handle:
        try:
            while True:
                handle.write(b"x" * 1024)
        except OSError:
            return filler


def refusal(act: Callable[[], object]) -> tuple[str, str, str]:
    """Return code, detail and hint of the one error that `act` gives; it names a path."""
    with pytest.raises(InfctlError) as failure:
        act()
    (problem,) = failure.value.diagnostics
    assert ".infctl/default" in problem.summary
    return str(problem.code), problem.detail, problem.hint


def test_a_full_disk_loses_nothing_and_the_same_run_goes_on_once_there_is_room(disk: Path) -> None:
    store = LocalStore(disk)
    with store.lock("ops", "apply") as lease:
        lease.commit(sample())
        lease.append(BIG[:1])
        filler = fill(disk)
        for act in (lambda: lease.append(BIG), lambda: lease.commit(sample(1))):
            code, detail, hint = refusal(act)
            assert (code, detail) == ("state-unwritable", "No space left on device")
            assert f"make room on the disk that holds {disk}" in hint
            assert store.load().journal == BIG[:1]
        filler.unlink()
        lease.append(BIG[1:])
        assert store.load().journal == BIG
        lease.commit(sample(1))
    state = LocalStore(disk).load().state
    assert state is not None
    assert replace(state, infctl_version="") == sample(1)


def test_a_lock_cannot_be_taken_on_a_full_disk_but_what_is_there_is_read(disk: Path) -> None:
    store = LocalStore(disk)
    with store.lock("ops", "apply") as lease:
        lease.commit(sample())
    fill(disk)
    assert refusal(lambda: store.lock("ops", "apply"))[0] == "state-unwritable"
    assert store.lock_info() is None
    assert store.load().state is not None


def test_a_read_only_disk_is_read_and_not_written(disk: Path) -> None:
    store = LocalStore(disk)
    with store.lock("ops", "apply") as lease:
        lease.commit(sample())
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert store.load().state is not None
    code, detail, hint = refusal(lambda: store.lock("ops", "apply"))
    assert (code, detail) == ("state-unwritable", "Read-only file system")
    assert "read-only" in hint


def as_somebody_else(act: Callable[[], tuple[str, str, str]]) -> tuple[str, str, str]:
    """Return what `act` returns in a process that is nobody."""
    if os.geteuid() != 0:
        return act()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.seteuid(NOBODY)
        os.write(writing, "\0".join(act()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        code, detail, hint = answer.read().decode().split("\0")
    os.waitpid(child, 0)
    return code, detail, hint


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that anybody may reach: pytest's own are for one user only."""
    with TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield Path(place)


@pytest.mark.parametrize(("mode", "code"), [(0o500, "state-unwritable"), (0o000, "state-unreadable")])
def test_a_folder_without_the_right_to_it_says_whose_it_is(open_path: Path, mode: int, code: str) -> None:
    store = LocalStore(open_path)
    with store.lock("ops", "apply") as lease:
        lease.commit(sample())
    folder = open_path / ".infctl" / "default"
    for path in (folder.parent, folder):
        path.chmod(0o755)
    folder.chmod(mode | (mode >> 3) | (mode >> 6))
    try:
        act = store.load if code == "state-unreadable" else lambda: store.lock("ops", "apply")
        assert as_somebody_else(lambda: refusal(act))[:2] == (code, "Permission denied")
        assert "owner" in as_somebody_else(lambda: refusal(act))[2]
    finally:
        folder.chmod(0o700)
    assert store.load().state is not None
