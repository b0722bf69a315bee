"""One child is kept running: started again, given up, stopped, and never left behind."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from infctl_local.identity import alive, wait_gone
from infctl_local.process import LOG, Restart, Spec, State, spawn, stop, tail
from tests.needs import need
from tests.unit.local.waiting import status_of, until, until_state

QUICKLY = Restart(first_s=0.02, cap_s=0.05, give_up_after=3)
LIFELINE = (sys.executable, "-P", "-m", "infctl_local.lifeline")
SLEEP = "import time; time.sleep(60)"


def python(script: str, restart: Restart = QUICKLY, grace_s: float = 5.0, log_bytes: int = 10_000) -> Spec:
    return Spec((sys.executable, "-c", script), restart=restart, grace_s=grace_s, log_bytes=log_bytes)


def said(run_dir: Path) -> str:
    return "\n".join(tail(run_dir / LOG, 100))


def test_a_child_that_ends_is_started_again(runs: Path) -> None:
    script = """
import pathlib, time
starts = pathlib.Path("starts")
starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
if len(starts.read_text()) < 3:
    raise SystemExit(4)
time.sleep(60)
"""
    spawn(runs / "a", python(script))
    status = until_state(runs / "a", State.RUNNING, restarts=2)
    assert (status.restarts, status.exit_code) == (2, 4)
    assert status.child is not None
    assert alive(status.child)
    assert "it ended with exit code 4; starting it again in 0.02 s" in said(runs / "a")


def test_a_child_that_keeps_ending_is_given_up(runs: Path) -> None:
    supervisor = spawn(runs / "a", python("raise SystemExit('no model')"))
    status = until_state(runs / "a", State.FAILED)
    assert (status.restarts, status.exit_code, status.child) == (2, 1, None)
    assert wait_gone(supervisor, 5)
    assert said(runs / "a").count("no model") == 3
    assert "given up: it ended with exit code 1, 3 quick ends in a row" in said(runs / "a")


def test_a_child_that_lived_long_enough_is_not_given_up(runs: Path) -> None:
    healthy = Restart(first_s=0.02, cap_s=0.05, give_up_after=2, healthy_s=0.0)
    spawn(runs / "a", python("raise SystemExit(1)", healthy))
    until_state(runs / "a", State.RUNNING, restarts=5)


def test_an_exit_code_that_cannot_mend_itself_is_the_last(runs: Path) -> None:
    spawn(runs / "a", python("raise SystemExit(78)"))
    status = until_state(runs / "a", State.FAILED)
    assert (status.restarts, status.exit_code) == (0, 78)


@pytest.mark.parametrize("before", [(), LIFELINE])
def test_a_program_that_is_not_there_fails_at_once(runs: Path, before: tuple[str, ...]) -> None:
    spawn(runs / "a", Spec((*before, "/no/such/engine")))
    status = until_state(runs / "a", State.FAILED)
    assert (status.restarts, status.exit_code) == (0, 127)
    assert "cannot start /no/such/engine: No such file or directory" in said(runs / "a")


def test_waiting_grows_up_to_its_cap() -> None:
    policy = Restart(first_s=0.5, cap_s=5.0)
    assert [policy.delay(ends) for ends in range(7)] == [0.0, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_child_may_finish_within_its_grace(runs: Path) -> None:
    script = """
import pathlib, signal, sys, time
def finish(*_):
    time.sleep(0.3)
    pathlib.Path("finished").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, finish)
print("up", flush=True)
time.sleep(60)
"""
    spawn(runs / "a", python(script))
    until(lambda: "up" in said(runs / "a"))
    stop(runs / "a", 10)
    assert (runs / "a" / "finished").exists()
    assert (status_of(runs / "a").state, status_of(runs / "a").exit_code) == (State.STOPPED, 0)


@pytest.mark.parametrize(("spec_grace_s", "stop_grace_s"), [(0.2, 10), (60, 0.2)])
def test_a_child_that_does_not_listen_is_killed(runs: Path, spec_grace_s: float, stop_grace_s: float) -> None:
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    spawn(runs / "a", python(script, grace_s=spec_grace_s))
    until(lambda: "up" in said(runs / "a"))
    child = status_of(runs / "a").child
    stop(runs / "a", stop_grace_s)
    assert child is not None
    assert not alive(child)
    assert status_of(runs / "a").exit_code == -signal.SIGKILL


def test_a_stop_while_it_waits_to_start_again_is_heard(runs: Path) -> None:
    slowly = Restart(first_s=60, cap_s=60)
    spawn(runs / "a", python("raise SystemExit(1)", slowly))
    until_state(runs / "a", State.STARTING, restarts=1)
    stop(runs / "a", 10)
    assert status_of(runs / "a").state is State.STOPPED


def test_a_supervisor_that_is_killed_takes_its_child_along(runs: Path) -> None:
    script = "from infctl_local.lifeline import *; exit_with_parent(inherited()); " + SLEEP
    supervisor = spawn(runs / "a", python(script))
    child = until_state(runs / "a", State.RUNNING).child
    os.kill(supervisor.pid, signal.SIGKILL)
    assert child is not None
    assert wait_gone(child, 10)


def test_also_a_child_that_is_deep_in_native_code(runs: Path) -> None:
    need(sys.platform == "linux", "Linux: no other kernel tells a child that its parent died")
    script = "from infctl_local.lifeline import *; die_with_parent(); print('up', flush=True); " + SLEEP
    supervisor = spawn(runs / "a", python(script))
    until(lambda: "up" in said(runs / "a"))
    child = status_of(runs / "a").child
    os.kill(supervisor.pid, signal.SIGKILL)
    assert child is not None
    assert wait_gone(child, 10)


def test_also_a_program_that_knows_nothing_of_it(runs: Path) -> None:
    need(sys.platform == "linux", "Linux: no other kernel tells a child that its parent died")
    spec = python("print('up', flush=True); " + SLEEP)
    supervisor = spawn(runs / "a", replace(spec, argv=(*LIFELINE, *spec.argv)))
    until(lambda: "up" in said(runs / "a"))
    child = status_of(runs / "a").child
    os.kill(supervisor.pid, signal.SIGKILL)
    assert child is not None
    assert wait_gone(child, 10)


def test_the_newest_output_is_kept_within_the_log_s_size(runs: Path) -> None:
    script = "for n in range(20_000): print('number', n)\nprint('end', flush=True); import time; time.sleep(60)"
    spawn(runs / "a", python(script, log_bytes=100_000))
    until(lambda: tail(runs / "a" / LOG, 1) == ("end",))
    assert tail(runs / "a" / LOG, 5000)[:-1] == tuple(f"number {n}" for n in range(15_001, 20_000))
    sizes = [file.stat().st_size for file in (runs / "a").glob("log*")]
    assert len(sizes) == 3
    assert max(sizes) <= 100_000 + len("number 19999\n")


def test_output_of_a_child_that_ends_at_once_is_not_lost(runs: Path) -> None:
    spawn(runs / "a", python("print('x' * 50_000); print('the cause'); raise SystemExit(78)", log_bytes=100_000))
    until_state(runs / "a", State.FAILED)
    assert "the cause" in tail(runs / "a" / LOG, 2)


def test_a_supervisor_whose_folder_was_removed_ends_with_its_child(runs: Path) -> None:
    """`rm -rf .infctl` must not leave an engine behind that nobody can find."""
    spawn(runs / "a", python(SLEEP))
    status = until_state(runs / "a", State.RUNNING)
    assert status.child is not None
    shutil.rmtree(runs / "a")
    assert wait_gone(status.child, 20)
    assert wait_gone(status.supervisor, 20)
