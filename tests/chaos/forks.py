"""Owns running infctl many times over, each run a process of its own that may be killed: forked from a warm one.

A fork is ready in milliseconds where a fresh interpreter takes a third of a second of imports, so hundreds of kills
fit into a test run and hit the work itself. Started as a module it is the warm process: it reads one request a line,
forks, and answers with the exit code. Knows nothing of stacks.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, Self

import infctl
import infctl_docker
import infctl_local
from infctl.cli.main import run

ROOT = Path(__file__).resolve().parents[2]
FAKES = ROOT / "tests" / "fakes"
LONGEST = 300.0  # seconds that one run may take before it counts as hanging


@dataclass(frozen=True)
class Ran:
    """How a run ended: its exit code (negative: minus the signal), what it printed, and the seconds it took."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def said(self) -> str:
        """Everything, for the message of a failed assertion."""
        return f"infctl {' '.join(self.argv)} -> {self.code}\n{self.out}{self.err}"


class Forks:
    """A warm process and the runs that it forks, one at a time. A context manager."""

    def __init__(self) -> None:
        self._warm = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.chaos.forks"],
            env=_env(), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._said = TemporaryDirectory()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        with self._warm:
            assert self._warm.stdin
            self._warm.stdin.close()
        self._said.cleanup()

    def run(self, folder: Path, *argv: str, kill_after: float = LONGEST, env: Mapping[str, str] | None = None) -> Ran:
        """Run infctl in `folder`; SIGKILL it after `kill_after` seconds."""
        out, err = (Path(self._said.name) / name for name in ("out", "err"))
        request = {
            "argv": argv, "cwd": str(folder), "env": {**_env(), **(env or {})},
            "out": str(out), "err": str(err), "kill_after": kill_after,
        }  # fmt: skip
        assert self._warm.stdin
        assert self._warm.stdout
        self._warm.stdin.write(json.dumps(request) + "\n")
        self._warm.stdin.flush()
        answer = json.loads(self._warm.stdout.readline())
        return Ran(argv, answer["code"], out.read_text(), err.read_text(), answer["seconds"])


def _env() -> dict[str, str]:
    path = os.pathsep.join(map(str, (ROOT, ROOT / "providers", FAKES)))
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**inherited, "PYTHONPATH": path, "CI": "", "COLUMNS": "200"}


def serve() -> None:
    """Answer requests until there are no more."""
    _warm_up()
    for line in sys.stdin:
        request = json.loads(line)
        began = time.monotonic()
        child = os.fork()
        if not child:
            _become_infctl(request)
        watch = os.pidfd_open(child)
        if not select.select([watch], [], [], request["kill_after"])[0]:
            os.kill(child, signal.SIGKILL)
        os.close(watch)
        _, status = os.waitpid(child, 0)
        answer = {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - began}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _warm_up() -> None:
    for package in (infctl, infctl_docker, infctl_local):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(found.name)
    importlib.import_module("tests.fakes.failing")


def _become_infctl(request: dict[str, Any]) -> NoReturn:
    """Be the command line from here on, as if started by a shell."""
    code = 1
    try:
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        sys.argv = ["infctl", *request["argv"]]
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        code = run(sys.argv[1:], os.environ)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
