"""Owns a stack in a folder of its own and the installed command in it, as a user has it.

Every command is a process of its own; what still runs in the end is destroyed. Knows nothing of what is tested.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.tiny_gguf import write_tiny_gguf

INFCTL = str(Path(sys.executable).with_name("infctl"))
LEFT_OUT = {"CI", "PYTHONPATH", "NO_COLOR", "COLUMNS", "INFCTL_INPUT", "INFCTL_LOG", "INFCTL_FAULT"}
ONE_MODEL = """\
apiVersion: infctl/v1
name: acme
models:
  chat:
    uri: file:m.gguf
    max_model_len: 512
    engine_args: {threads: 1, parallel: 1}
"""


@dataclass(frozen=True)
class Done:
    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return f"$ infctl {' '.join(self.argv)}\n{self.out}{self.err}exit code {self.code}"


@dataclass(frozen=True)
class Stack:
    """`env` is added to the environment of every command; `started` are the runs that a test began and may leave."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def write(self, text: str = ONE_MODEL, **changes: str) -> None:
        """Write the stack's file: `text`, in which each old word is replaced by a new one."""
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        (self.folder / "inference.yaml").write_text(text)

    def change(self, old: str, new: str) -> None:
        text = (self.folder / "inference.yaml").read_text()
        assert old in text
        (self.folder / "inference.yaml").write_text(text.replace(old, new))

    def start(self, *argv: str) -> subprocess.Popen[str]:
        running = subprocess.Popen(
            [INFCTL, *argv], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.started.append(running)
        return running

    def run(self, *argv: str) -> Done:
        with self.start(*argv) as running:
            out, err = running.communicate(timeout=90)
        return Done(argv, running.returncode, out, err)

    def infctl(self, *argv: str, code: int = 0) -> str:
        """Run infctl, make sure how it ends, and return all that it says."""
        done = self.run(*argv)
        assert done.code == code, done.said
        return done.out + done.err

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name not in LEFT_OUT} | dict(self.env)

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("state", "pull").out)
        return found

    def url(self, model: str = "chat") -> str:
        return self.infctl("output", "-raw", f"{model}.url").strip()

    def processes(self) -> list[psutil.Process]:
        """Return the processes that have this stack's folder in their command line."""
        found = []
        for process in psutil.process_iter():
            try:
                if any(str(self.folder) in word for word in process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found


def complete(url: str, model: str = "chat", timeout: float = 30.0) -> str:
    """Return the text of one completion. Raises OSError when it fails."""
    body = json.dumps({"model": model, "prompt": "a", "max_tokens": 2}).encode()
    request = urllib.request.Request(f"{url}/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return str(json.load(answer)["choices"][0]["text"])


@contextmanager
def stack_in(folder: Path, env: Mapping[str, str] | None = None) -> Iterator[Stack]:
    write_tiny_gguf(folder / "m.gguf")
    stack = Stack(folder, env or {})
    stack.write()
    try:
        yield stack
    finally:
        for running in stack.started:
            with running:
                running.kill()
        ended = stack.run("destroy", "-auto-approve")
        left = stack.processes()
        for process in left:
            process.kill()
        assert not left, f"{left} left by {ended.said}"
