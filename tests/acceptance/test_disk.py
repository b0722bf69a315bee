"""A disk that is full, or read-only, under a stack that runs: what to do is said, and the model answers all along."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.stack import ONE_MODEL, Stack, complete, stack_in
from tests.needs import need, need_root

PAGE = 4096  # bytes; what a tmpfs gives at a time
TIMEOUTS = "    timeouts: {ready: 5s}\n"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Stack]:
    """A stack on a filesystem of its own, 2 MiB small."""
    need_root()
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "infctl-test", place], check=False)
    need(mounted.returncode == 0, "the right to mount a tmpfs")
    try:
        with stack_in(place) as stack:
            yield stack
            (place / "filler").unlink(missing_ok=True)
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(folder: Path, pages_left: int) -> Path:
    filler = folder / "filler"
    size = 0
    with filler.open("wb", buffering=0) as handle:
        try:
            while True:
                size += handle.write(b"x" * PAGE)
        except OSError:
            handle.truncate(size - pages_left * PAGE)
    return filler


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """For whoever opens it from now on; what has its log open already may go on writing."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_up_at_any_moment_of_a_change_costs_nothing(disk: Stack) -> None:
    disk.write(ONE_MODEL + TIMEOUTS)
    disk.infctl("apply", "-auto-approve")
    url, stopped = disk.url(), 0
    for pages_left in (0, 2, 4, 8):
        disk.write((ONE_MODEL + TIMEOUTS).replace("512", str(256 + pages_left)))
        filler = fill(disk.folder, pages_left)
        done = disk.run("apply", "-auto-approve")
        assert "Traceback" not in done.said
        if done.code:
            stopped += 1
            assert "No space left on device" in done.said
            assert "make room on the disk" in done.said or "free some space" in done.said
        assert complete(url), done.said
        assert "error" not in disk.infctl("show")
        filler.unlink()
        disk.infctl("apply", "-auto-approve")
        assert "No changes." in disk.infctl("plan", "-detailed-exitcode")
        assert complete(url)
    assert stopped > 2
    kinds = [thing["address"].partition(".")[0] for thing in disk.state()["resources"]]
    assert sorted(kinds) == ["local_process", "local_relay", "local_route"]


def test_a_read_only_disk_is_planned_on_and_not_written(disk: Stack) -> None:
    disk.infctl("apply", "-auto-approve")
    url = disk.url()
    disk.change("512", "256")
    with read_only(disk.folder):
        assert "model.chat will be updated: r1 → r2" in disk.infctl("plan")
        refused = disk.infctl("apply", "-auto-approve", code=1)
        assert complete(url)
    assert "error[state-unwritable]" in refused
    assert "Read-only file system" in refused
    assert "read-only" in refused.partition("hint:")[2]
    assert "chat r2 serves" in disk.infctl("apply", "-auto-approve")
