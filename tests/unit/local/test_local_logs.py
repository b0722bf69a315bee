"""Logs are bounded, private, and read as one across rotation."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from infctl_local.logs import RotatingLog, follow, tail


def numbered(first: int, last: int) -> tuple[str, ...]:
    return tuple(f"line {number}" for number in range(first, last + 1))


def write_lines(log: RotatingLog, first: int, last: int) -> None:
    for line in numbered(first, last):
        log.write(f"{line}\n".encode())


def test_a_log_keeps_to_its_size_and_its_files(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "log", 1000, 3)
    write_lines(log, 1, 1000)
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["log", "log.1", "log.2"]
    assert all(file.stat().st_size <= 1000 + len("line 1000\n") for file in files)
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}


@pytest.mark.parametrize("lines", [1, 5, 150])
def test_tail_reads_across_files(tmp_path: Path, lines: int) -> None:
    log = RotatingLog(tmp_path / "log", 1000, 3)
    write_lines(log, 1, 1000)
    assert tail(tmp_path / "log", lines) == numbered(1001 - lines, 1000)


def test_tail_of_nothing_is_nothing(tmp_path: Path) -> None:
    assert tail(tmp_path / "log", 10) == ()
    (tmp_path / "log").write_text("one\n")
    assert tail(tmp_path / "log", 0) == ()
    assert tail(tmp_path / "log", 10) == ("one",)


def test_a_log_goes_on_where_it_was(tmp_path: Path) -> None:
    for first in (1, 11):
        log = RotatingLog(tmp_path / "log", 1000, 3)
        write_lines(log, first, first + 9)
        log.close()
    assert tail(tmp_path / "log", 100) == numbered(1, 20)


def test_following_misses_nothing_across_rotation(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "log", 2000, 100)
    write_lines(log, 1, 20)
    over = threading.Event()
    lines = follow(tmp_path / "log", 5, lambda: not over.is_set())
    seen = [next(lines) for _ in range(5)]

    def write_more() -> None:
        for first in range(21, 2021, 100):
            write_lines(log, first, first + 99)
            over.wait(0.02)
        over.set()

    writer = threading.Thread(target=write_more)
    writer.start()
    seen.extend(lines)
    writer.join()
    assert tuple(seen) == numbered(16, 2020)


def test_following_waits_for_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    asked = iter((True, True, False))

    def going() -> bool:
        if not (answer := next(asked)):
            (tmp_path / "log").write_text("late\nunfinished")
        return answer

    assert list(follow(tmp_path / "log", 5, going)) == ["late", "unfinished"]


def test_what_a_full_disk_cost_is_said(tmp_path: Path) -> None:
    script = f"""
import resource
from pathlib import Path
from infctl_local.logs import RotatingLog
log = RotatingLog(Path({str(tmp_path / "log")!r}), 10_000, 3)
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
log.write(b"lost\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
log.write(b"kept\\n")
"""
    subprocess.run((sys.executable, "-c", script), check=True)
    assert tail(tmp_path / "log", 10) == ("infctl: 5 bytes of output are missing here: File too large", "kept")
