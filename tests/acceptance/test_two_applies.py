"""Two runs at once, and runs that are asked to stop: one writes at a time, nothing is lost, the next goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.acceptance.stack import Stack

ENGINE = Path(__file__).with_name("slow_engine.py")
SLOW = f"""\
apiVersion: infctl/v1
name: acme
models:
  slow:
    engine: custom
    command: ["{sys.executable}", "{ENGINE}"]
    health: /
"""


def begin(stack: Stack, *flags: str) -> subprocess.Popen[str]:
    """Start an apply and return once it waits for the model."""
    running = stack.start("apply", "-auto-approve", *flags)
    assert running.stdout
    for line in running.stdout:
        if "waiting for an answer" in line:
            return running
    raise AssertionError(running.stderr and running.stderr.read())


def end(running: subprocess.Popen[str]) -> tuple[int, str]:
    with running:
        out, err = running.communicate(timeout=60)
    return running.returncode, out + err


def test_of_two_applies_one_is_told_who_holds_the_lock_and_one_waits_for_it(small: Stack) -> None:
    small.write(SLOW)
    first = begin(small)
    refused = small.infctl("apply", "-auto-approve", code=1)
    assert "error[state-locked]: The state is locked by" in refused
    assert "(apply)" in refused
    assert f"process {first.pid} on {os.uname().nodename}" in " ".join(refused.split())
    assert "-lock-timeout=5m" in refused
    waiting = small.start("apply", "-auto-approve", "-lock-timeout=60s")
    assert waiting.stdout
    assert "Waiting for the lock" in waiting.stdout.readline()
    (small.folder / "go").touch()
    assert end(first)[0] == 0
    code, said = end(waiting)
    assert code == 0, said
    assert "No changes." in said
    assert small.state()["serial"] == 1
    assert [thing["pending"] for thing in small.state()["resources"]] == ["", "", ""]
    assert "1/1" in small.infctl("status")


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "-timeout"])
def test_a_run_asked_to_stop_says_how_to_go_on_and_the_next_takes_up_its_work(small: Stack, how: str) -> None:
    small.write(SLOW)
    running = begin(small, *(["-timeout=2s"] if how == "-timeout" else []))
    asked = time.monotonic()
    if how != "-timeout":
        running.send_signal(signal.Signals[how])
    code, said = end(running)
    assert time.monotonic() - asked < 8
    before = {process.pid for process in small.processes()}
    assert code == 1
    assert f"Stopped ({how})." in said
    assert "To continue, run:\n    infctl apply\n" in said
    assert "Traceback" not in said
    pending = [thing["pending"] for thing in small.state()["resources"] if "process" in thing["address"]]
    assert pending == ["create"]
    assert "(begun by an earlier run)" in small.infctl("plan", "-out=next.plan")
    steps = json.loads(small.infctl("show", "-json", "next.plan"))["infctl"]["steps"]
    assert [step["resuming"] for step in steps if "process" in step["address"]] == [True]
    (small.folder / "go").touch()
    assert "slow r1 serves" in small.infctl("apply", "-auto-approve")
    assert {process.pid for process in small.processes()} == before
    assert "No changes." in small.infctl("plan", "-detailed-exitcode")


def test_a_run_asked_twice_stops_at_once_and_nothing_is_lost(small: Stack) -> None:
    small.write(SLOW)
    running = begin(small)
    asked = time.monotonic()
    running.send_signal(signal.SIGINT)
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    code, said = end(running)
    assert time.monotonic() - asked < 4
    assert code == 1
    assert "Traceback" not in said
    (small.folder / "go").touch()
    small.infctl("apply", "-auto-approve")
    assert "No changes." in small.infctl("plan", "-detailed-exitcode")
