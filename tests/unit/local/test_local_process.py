"""The command line may be run twice, twice at once, or be killed at any moment: one process results."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from infctl_local.identity import Identity, alive, identify, wait_gone
from infctl_local.process import (
    LOG,
    SpawnError,
    Spec,
    State,
    discard,
    free_port,
    list_run_dirs,
    read_run,
    read_status,
    spawn,
    stop,
    tail,
)
from infctl_local.record import write_spec, write_status
from tests.unit.local.waiting import status_of, until, until_state

ONE_LINE = "open('starts', 'a').write('started\\n'); import time; time.sleep(60)"
SPEC = Spec((sys.executable, "-c", ONE_LINE), labels={"infctl.id": "x1"})


def starts(run_dir: Path) -> int:
    return len((run_dir / "starts").read_text().splitlines())


def until_started(run_dir: Path) -> None:
    until(lambda: (run_dir / "starts").exists() and starts(run_dir) > 0)


def test_many_at_once_start_one_process(runs: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        identities = set(pool.map(lambda _: spawn(runs / "a", SPEC), range(8)))
    until_started(runs / "a")
    assert len(identities) == 1
    assert starts(runs / "a") == 1


def test_a_live_process_is_kept_whatever_is_asked(runs: Path) -> None:
    first = spawn(runs / "a", SPEC)
    assert spawn(runs / "a", replace(SPEC, labels={"infctl.id": "x2"})) == first
    assert read_run(runs / "a").spec == SPEC


def test_a_killed_command_line_leaves_what_the_next_one_finds(runs: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from infctl_local.process import Spec, spawn
spawn(Path({str(runs / "a")!r}), Spec(({sys.executable!r}, "-c", {ONE_LINE!r}), labels={{"infctl.id": "x1"}}))
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run((sys.executable, "-c", script), check=False).returncode == -signal.SIGKILL
    (run,) = list_run_dirs(runs)
    assert run.running
    assert run.spec == SPEC
    until_started(run.path)
    assert run.status is not None
    assert spawn(run.path, SPEC) == run.status.supervisor
    assert starts(run.path) == 1


def test_a_command_line_killed_before_it_handed_over_secrets_starts_nothing(runs: Path) -> None:
    (runs / "a").mkdir()
    write_spec(runs / "a", SPEC)
    argv = (sys.executable, "-m", "infctl_local.supervisor", str(runs / "a"))
    half = subprocess.run(argv, input=b'{"TOKEN": "abc', capture_output=True, check=False)
    assert half.returncode != 0
    assert read_status(runs / "a") is None
    spawn(runs / "a", SPEC)


def test_stop_is_safe_to_repeat_and_where_nothing_runs(runs: Path) -> None:
    stop(runs / "never", 1)
    supervisor = spawn(runs / "a", SPEC)
    child = until_state(runs / "a", State.RUNNING).child
    for _ in range(3):
        stop(runs / "a", 5)
    assert child is not None
    assert not alive(supervisor)
    assert not alive(child)
    assert status_of(runs / "a").state is State.STOPPED


def test_what_was_stopped_can_be_started_again(runs: Path) -> None:
    spawn(runs / "a", SPEC)
    stop(runs / "a", 5)
    spawn(runs / "a", SPEC)
    assert until_state(runs / "a", State.RUNNING).restarts == 0


def orphan(run_dir: Path) -> Identity:
    """Leave a child that does not notice that its supervisor was killed."""
    supervisor = spawn(run_dir, SPEC)
    until_started(run_dir)
    child = status_of(run_dir).child
    os.kill(supervisor.pid, signal.SIGKILL)
    assert wait_gone(supervisor, 5)
    assert child is not None
    assert alive(child)
    assert read_run(run_dir).gone
    return child


def test_a_child_that_lost_its_supervisor_is_stopped(runs: Path) -> None:
    child = orphan(runs / "a")
    stop(runs / "a", 5)
    assert not alive(child)
    assert status_of(runs / "a").state is State.STOPPED


def test_a_child_that_lost_its_supervisor_is_replaced(runs: Path) -> None:
    child = orphan(runs / "a")
    spawn(runs / "a", SPEC)
    assert not alive(child)
    assert until_state(runs / "a", State.RUNNING).child != child


def test_after_a_reboot_it_is_gone_and_nobody_is_harmed(runs: Path) -> None:
    (runs / "a").mkdir()
    with subprocess.Popen((sys.executable, "-c", "import time; time.sleep(60)")) as stranger:
        now = identify(stranger.pid)
        assert now is not None
        before = replace(now, boot="the boot before")
        supervisor = replace(before, pid=os.getpid())
        write_spec(runs / "a", SPEC)
        spawned = spawn(runs / "b", SPEC)
        status = replace(status_of(runs / "b"), supervisor=supervisor, child=before, state=State.RUNNING)
        write_status(runs / "a", status)
        gone, here = list_run_dirs(runs)
        assert (gone.running, gone.gone, here.running, here.gone) == (False, True, True, False)
        stop(runs / "a", 1)
        assert stranger.poll() is None
        assert not read_run(runs / "a").gone
        assert alive(spawned)
        stranger.kill()


def test_secrets_reach_the_child_and_no_file(runs: Path) -> None:
    canary = "canary-8d1f"
    spec = Spec((sys.executable, "-c", "import os, time; print(len(os.environ['TOKEN']), flush=True); time.sleep(60)"))
    spawn(runs / "a", spec, {"TOKEN": canary})
    until(lambda: tail(runs / "a" / LOG, 1) == (str(len(canary)),))
    for file in (runs / "a").iterdir():
        assert canary.encode() not in file.read_bytes()


def test_the_child_sees_its_own_environment_not_the_caller_s(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-8d1f")
    script = "import json, os, time; print(json.dumps(dict(os.environ)), flush=True); time.sleep(60)"
    spawn(runs / "a", Spec((sys.executable, "-c", script), env={"MODE": "fast"}))
    until(lambda: tail(runs / "a" / LOG, 1) != ())
    seen = json.loads(tail(runs / "a" / LOG, 1)[0])
    assert seen["MODE"] == "fast"
    assert seen["PATH"] == os.environ["PATH"]
    assert "AWS_SECRET_ACCESS_KEY" not in seen


def test_everything_written_is_private(runs: Path) -> None:
    spawn(runs / "a", SPEC)
    until_started(runs / "a")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (runs / "a").iterdir()}
    ours = {name: mode for name, mode in modes.items() if name != "starts"}
    assert set(ours) >= {"spec.json", "status.json", "lock", "log"}
    assert set(ours.values()) == {0o600}
    assert stat.S_IMODE((runs / "a").stat().st_mode) == 0o700


def test_one_directory_that_cannot_be_read_hides_no_other(runs: Path) -> None:
    for name in ("a", "b"):
        (runs / name).mkdir()
        write_spec(runs / name, SPEC)
    (runs / "a" / "spec.json").write_text('{"argv": ')
    (runs / "stray").mkdir()
    broken, whole = list_run_dirs(runs)
    assert "Expecting value" in broken.problem
    assert (whole.spec, whole.problem) == (SPEC, "")


def test_a_supervisor_that_cannot_start_says_why(runs: Path) -> None:
    (runs / "a").mkdir()
    (runs / "a" / "log").mkdir()
    with pytest.raises(SpawnError, match="Is a directory"):
        spawn(runs / "a", SPEC)


def test_discard_leaves_nothing(runs: Path) -> None:
    supervisor = spawn(runs / "a", SPEC)
    discard(runs / "a", 5)
    discard(runs / "a", 5)
    assert not alive(supervisor)
    assert list_run_dirs(runs) == ()
    assert list_run_dirs(runs / "nowhere") == ()


def test_a_free_port_can_be_bound() -> None:
    port = free_port("127.0.0.1")
    with socket.create_server(("127.0.0.1", port)):
        assert free_port("127.0.0.1") != port
