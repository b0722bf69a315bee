"""Owns running infctl in this process, on a stack of pretend processes: what it printed, and its exit code."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from infctl.cli.main import run
from infctl.provider import registry

FAKES = Path(__file__).resolve().parent / "fakes"
HEAD = "apiVersion: infctl/v1\nname: acme\ntargets: {here: {type: memory}}\nmodels:\n"


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line of standard output that says anything."""
        return [line for line in self.out.splitlines() if line.strip()][-1]


@dataclass
class Shell:
    """A stack's folder, and infctl in it. Nobody is there to answer; the width is that of a pipe unless given."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def write(self, models: str, head: str = HEAD) -> None:
        body = "".join(f"  {line}\n" for line in models.splitlines())
        (self.folder / "inference.yaml").write_text(head + body)

    def __call__(self, *argv: str) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with self._here(), redirect_stdout(out), redirect_stderr(err):
            code = run(list(argv), os.environ)
        return Done(code, out.getvalue(), err.getvalue())

    @contextmanager
    def _here(self) -> Iterator[None]:
        folder, env, stdin, path = Path.cwd(), dict(os.environ), sys.stdin, list(sys.path)
        os.chdir(self.folder)
        for name in ("CI", "INFCTL_INPUT", "COLUMNS", "NO_COLOR"):
            os.environ.pop(name, None)
        os.environ.update(self.env)
        sys.stdin = io.StringIO()
        sys.path.insert(0, str(FAKES))
        importlib.invalidate_caches()
        _forget_providers()
        try:
            yield
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(env)
            sys.stdin, sys.path[:] = stdin, path
            _forget_providers()


def _forget_providers() -> None:
    registry._found.cache_clear()
    registry.load.cache_clear()
