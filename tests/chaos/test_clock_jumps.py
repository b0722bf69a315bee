"""The wall clock jumps by days, forward and back, while a run holds the lock: nobody else takes it, nothing is lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.clocks import build_clock, clock_env, set_clock

ROOT = Path(__file__).resolve().parents[2]
DAY = 86_400  # seconds
JUMPS = (3 * DAY, -10 * DAY, 400 * DAY, -1 * DAY)
LEASE = 4.5  # seconds; a beat every 1.5
PATIENCE = 60.0  # seconds; a busy machine
ENGINE = """\
import http.server, pathlib, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.05)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Answer).serve_forever()
"""


@dataclass
class Stack:
    """A stack of one model that answers once the file `ready` is there, under a clock of its own."""

    root: Path
    preload: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def write(self, argument: str = "a", ready: str = "120s") -> None:
        engine = self.root / "engine.py"
        engine.write_text(ENGINE)
        command = json.dumps([sys.executable, str(engine), str(self.root / "ready"), "{port}", argument])
        model = f"chat: {{engine: custom, command: {command}, health: /healthz, timeouts: {{ready: {ready}}}}}"
        (self.root / "inference.yaml").write_text(f"apiVersion: infctl/v1\nname: jumps\nmodels:\n  {model}\n")

    def jump(self, seconds: int) -> None:
        """Set the clock to that many seconds from the true time, at once for every process."""
        set_clock(self.root / "clock", seconds)

    def start(self, *argv: str) -> subprocess.Popen[str]:
        with (self.root / f"out{len(self.started)}").open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "infctl.cli.main", *argv],
                cwd=self.root, stdout=out, stderr=subprocess.STDOUT, text=True,
                env={
                    **{name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR"}},
                    **clock_env(self.preload, self.root / "clock"),
                    "INFCTL_LEASE": str(LEASE), "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "providers"))),
                },
            )  # fmt: skip
        self.started.append(process)
        return process

    def said(self, process: subprocess.Popen[str]) -> str:
        return (self.root / f"out{self.started.index(process)}").read_text()

    def run(self, *argv: str, code: int = 0) -> str:
        process = self.start(*argv)
        assert process.wait(PATIENCE) == code, self.said(process)
        return self.said(process)

    def lock(self) -> dict[str, Any]:
        """Return what the lock file says; {} while nobody holds it, and in the instant in which it is replaced."""
        try:
            found: dict[str, Any] = json.loads((self.root / ".infctl/default/lock.json").read_text() or "{}")
        except (OSError, ValueError):
            return {}
        return found

    def objects(self) -> list[str]:
        return re.findall(r"^local_process\..*$", self.run("state", "list"), re.MULTILINE)


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    found = Stack(tmp_path, build_clock(tmp_path))
    found.write()
    found.jump(0)
    try:
        yield found
    finally:
        found.jump(0)
        (tmp_path / "ready").touch()
        for process in found.started:
            process.kill()
            process.wait()
        found.run("destroy", "-auto-approve")


def both_at_work(stack: Stack) -> tuple[subprocess.Popen[str], subprocess.Popen[str]]:
    """Return a run that holds the lock at its gate, and one that waits for it."""
    holder = stack.start("apply", "-auto-approve")
    wait_for(lambda: "waiting for an answer" in stack.said(holder))
    waiter = stack.start("apply", "-auto-approve", f"-lock-timeout={PATIENCE:.0f}s")
    wait_for(lambda: "Waiting for the lock" in stack.said(waiter))
    return holder, waiter


def test_the_clock_here_really_jumps(stack: Stack) -> None:
    stack.jump(400 * DAY)
    stack.write(ready="1s")
    stack.run("apply", "-auto-approve", code=1)
    failed = json.loads(stack.run("status", "-json"))["models"][0]["last_failure"]["at"]
    assert datetime.fromisoformat(failed) - datetime.now(UTC) > timedelta(days=399)
    assert re.search(r"failed just now", stack.run("status"))
    stack.jump(401 * DAY + DAY)
    assert re.search(r"failed 2 days ago", stack.run("status"))
    stack.jump(-DAY)  # the failure lies ahead by now: no age below zero
    assert re.search(r"failed just now", stack.run("status"))


def test_a_waiter_waits_and_the_holder_goes_on(stack: Stack) -> None:
    holder, waiter = both_at_work(stack)
    held = stack.lock()
    for jump in JUMPS:
        before = stack.lock()["beat"]
        stack.jump(jump)
        wait_for(lambda before=before: stack.lock().get("beat", 0) > before + 1)  # type: ignore[misc]
        assert (stack.lock()["id"], stack.lock()["fence"]) == (held["id"], held["fence"])
        assert (holder.poll(), waiter.poll()) == (None, None)
    stack.jump(30 * DAY)  # and once more just before the holder writes, with no beat in between
    (stack.root / "ready").touch()
    assert holder.wait(PATIENCE) == 0, stack.said(holder)
    assert waiter.wait(PATIENCE) == 0, stack.said(waiter)
    assert "Apply complete!" in stack.said(holder)
    assert "No changes." in stack.said(waiter)
    seconds = [int(each) for each in re.findall(r"(-?\d+) s\b", stack.said(waiter) + stack.said(holder))]
    assert all(0 <= each <= 2 * PATIENCE for each in seconds), seconds
    for jump in (0, *JUMPS):
        stack.jump(jump)
        assert "No changes." in stack.run("plan", "-detailed-exitcode")
        assert re.search(r"chat +r1 +1/1", stack.run("status"))
    assert len(stack.objects()) == 1


@pytest.mark.parametrize("jump", [3 * DAY, -10 * DAY])
def test_what_a_killed_holder_began_is_finished_on_the_other_side_of_a_jump(stack: Stack, jump: int) -> None:
    holder, waiter = both_at_work(stack)
    stack.jump(jump)
    holder.kill()
    holder.wait()
    (stack.root / "ready").touch()
    assert waiter.wait(PATIENCE) == 0, stack.said(waiter)
    assert "No changes." in stack.run("plan", "-detailed-exitcode")
    stack.jump(0)
    assert "No changes." in stack.run("plan", "-detailed-exitcode")
    assert len(stack.objects()) == 1
