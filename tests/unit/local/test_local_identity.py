"""A pid alone says nothing: reuse, reboot and zombies must not pass for the process that was meant."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil
import pytest

from infctl_local.identity import Identity, _start_elsewhere, alive, boot_id, end, identify
from tests.unit.local.waiting import until

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


def someone(pid: int) -> Identity:
    identity = identify(pid)
    assert identity is not None
    return identity


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


def test_a_process_knows_itself() -> None:
    me = someone(os.getpid())
    assert alive(me)
    assert me.boot == boot_id()


@pytest.mark.parametrize("change", [lambda it: replace(it, start=1), lambda it: replace(it, boot="before")])
def test_a_stranger_with_the_same_pid_is_not_meant(
    stranger: subprocess.Popen[bytes], change: Callable[[Identity], Identity]
) -> None:
    before = change(someone(stranger.pid))
    assert not alive(before)
    end(before, grace_s=1)
    assert stranger.poll() is None


def test_who_is_meant_is_ended(stranger: subprocess.Popen[bytes]) -> None:
    end(someone(stranger.pid), grace_s=5)
    assert stranger.wait() == -15


def test_a_zombie_is_not_alive() -> None:
    process = subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE)
    identity = someone(process.pid)
    process.kill()
    until(lambda: not alive(identity))
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait() == -9  # it was a zombie until now


def test_nobody_has_a_pid_out_of_range() -> None:
    assert identify(2**22 + 1) is None


def test_other_systems_ask_psutil() -> None:
    start = _start_elsewhere(os.getpid())
    assert start is not None
    assert start == psutil.Process().create_time()
    assert _start_elsewhere(2**22 + 1) is None
