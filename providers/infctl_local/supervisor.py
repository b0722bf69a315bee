"""Owns one child: starts it, starts it again, keeps its log and says how it goes; run as a process.

`python -m infctl_local.supervisor RUN_DIR` reads secrets from stdin and detaches: it outlives the command
line. What the child prints of them is not written down. One thread and one select; it looks up from it only to
see whether its run directory is still there. Knows nothing of engines, models or relays.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import IO

from infctl_local.censor import Censor
from infctl_local.identity import alive, end, identify
from infctl_local.logs import RotatingLog
from infctl_local.record import (
    CANNOT_START,
    LIFELINE,
    LOCK,
    LOG,
    SUPERVISOR_LOG,
    Spec,
    State,
    Status,
    read_spec,
    read_status,
    write_status,
)

READY, TAKEN = "ready", "taken"  # what the command line reads from our stdout
RETRY_STATUS_S = 1.0  # after a status that could not be written
LOOK_UP_S = 5.0  # how often it sees whether its run directory was removed: then nobody could find it any more


class Supervisor:
    """Keeps one child running until it is told to stop or gives up."""

    def __init__(self, run_dir: Path, lock: int, spec: Spec, secrets: Mapping[str, str], hidden: Iterable[str]) -> None:
        self._run_dir = run_dir
        self._lock = lock
        self._spec = spec
        self._env = {**os.environ, **spec.env, **secrets}
        self._log = RotatingLog(run_dir / LOG, spec.log_bytes, spec.log_files)
        self._censor = Censor((*secrets.values(), *hidden))
        self._stops = 0  # SIGTERMs received: the first is polite, the second is not
        self._unsaved = False
        me = identify(os.getpid())
        if me is None:
            raise ProcessLookupError("the supervisor cannot see itself in the process table")
        self._status = Status(me, None, 0, State.STARTING, None, time.time())
        self._wake = self._listen()
        self._lifeline, self._lifeline_end = os.pipe()
        write_status(run_dir, self._status)

    def run(self) -> None:
        """Start the child, again and again; returns once it is stopped or given up."""
        quick_ends = 0
        while True:
            began = time.monotonic()
            code = self._run_child()
            if self._stops:
                return self._report(State.STOPPED, exit_code=code)
            policy = self._spec.restart
            quick_ends = 0 if time.monotonic() - began >= policy.healthy_s else quick_ends + 1
            if code in policy.permanent or quick_ends >= policy.give_up_after:
                self._say(f"given up: it ended with {_in_words(code)}, {quick_ends} quick ends in a row")
                return self._report(State.FAILED, exit_code=code)
            delay = policy.delay(quick_ends)
            self._say(f"it ended with {_in_words(code)}; starting it again in {delay:g} s")
            self._report(State.STARTING, exit_code=code, restarts=self._status.restarts + 1)
            self._wait(None, time.monotonic() + delay)
            if self._stops:
                return self._report(State.STOPPED, exit_code=code)

    def _run_child(self) -> int:
        try:
            child = subprocess.Popen(
                self._spec.argv,
                env={**self._env, LIFELINE: str(self._lifeline)},
                cwd=self._spec.cwd or self._run_dir,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(self._lifeline,),
                process_group=0,
                bufsize=0,
            )
        except OSError as error:
            self._say(f"cannot start {self._spec.argv[0]}: {error.strerror}")
            return CANNOT_START
        self._status = replace(self._status, child=identify(child.pid))
        self._report(State.RUNNING, exit_code=self._status.exit_code)
        return self._attend(child)

    def _attend(self, child: subprocess.Popen[bytes]) -> int:
        """Copy the child's output to the log and pass stops on, until it has ended."""
        output = child.stdout
        kill_at: float | None = None
        while child.poll() is None:
            if self._stops and kill_at is None:
                self._report(State.STOPPING, exit_code=self._status.exit_code)
                os.killpg(child.pid, signal.SIGTERM)
                kill_at = time.monotonic() + self._spec.grace_s
            if self._stops > 1 or (kill_at is not None and time.monotonic() >= kill_at):
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            elif not self._wait(output, kill_at):
                output = None
        while output and select.select([output], [], [], 0)[0] and self._copy(output):
            pass
        self._log.write(self._censor.rest())
        if child.stdout:
            child.stdout.close()
        self._status = replace(self._status, child=None)
        return child.returncode

    def _wait(self, output: IO[bytes] | None, until: float | None) -> bool:
        """Sleep until a signal, output or the time `until` (monotonic seconds); False at the output's end."""
        timeout = RETRY_STATUS_S if self._unsaved else LOOK_UP_S
        if until is not None:
            timeout = min(timeout, max(0.0, until - time.monotonic()))
        ready, _, _ = select.select([self._wake, *([output.fileno()] if output else [])], [], [], timeout)
        if self._wake in ready:
            os.read(self._wake, 512)
        if not os.fstat(self._lock).st_nlink and not self._stops:
            self._stops = 1
        if self._unsaved:
            self._save()
        return output is None or output.fileno() not in ready or self._copy(output)

    def _copy(self, output: IO[bytes]) -> bool:
        data = os.read(output.fileno(), 65_536)
        if data:
            self._log.write(self._censor.read(data))
        return bool(data)

    def _report(self, state: State, exit_code: int | None, restarts: int | None = None) -> None:
        restarts = self._status.restarts if restarts is None else restarts
        self._status = replace(self._status, state=state, exit_code=exit_code, restarts=restarts, since=time.time())
        self._save()

    def _save(self) -> None:
        try:
            write_status(self._run_dir, self._status)
            self._unsaved = False
        except OSError as error:
            if not self._unsaved:
                self._say(f"cannot write the status, trying again: {error.strerror}")
            self._unsaved = True

    def _say(self, text: str) -> None:
        self._log.write(f"infctl: {text}\n".encode())

    def _listen(self) -> int:
        """Turn signals into bytes of a pipe that select can wait for."""
        wake, write_end = os.pipe()
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        return wake

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stops += 1


def _in_words(code: int) -> str:
    return f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"


def main() -> None:
    """Detach, take the run directory's lock for life, tell the parent how that went, supervise."""
    run_dir = Path(sys.argv[1]).resolve()
    given = json.loads(sys.stdin.read())  # a caller killed half way leaves half an object: an error here
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    lock = os.open(run_dir / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stdout.write(TAKEN)
        return
    before = read_status(run_dir)
    spec = read_spec(run_dir)
    if before and before.child and alive(before.child):
        end(before.child, spec.grace_s)  # its supervisor was killed, and it is none of those that notice
    supervisor = Supervisor(run_dir, lock, spec, given["secrets"], given["hidden"])
    sys.stdout.write(READY)
    _detach(run_dir)
    supervisor.run()


def _detach(run_dir: Path) -> None:
    """Let go of the caller's stdin and stdout; what Python itself complains of goes to a file."""
    with suppress(BrokenPipeError):  # the caller was killed: the next one finds us by the run directory
        sys.stdout.flush()
    null = os.open(os.devnull, os.O_RDWR)
    errors = os.open(run_dir / SUPERVISOR_LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for target, source in ((0, null), (1, null), (2, errors)):
        os.dup2(source, target)


if __name__ == "__main__":
    main()
