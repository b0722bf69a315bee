"""Secrets of every source, delivered in both ways: no output, no file and no command line ever has their values.

The one exception is what is meant: the 0600 files of a running replica, in its folder `secrets`.
"""

from __future__ import annotations

import hashlib
import json
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.stack import Stack, stack_in
from tests.chaos.forks import Forks

ENGINE = Path(__file__).with_name("secret_engine.py")
CANARIES = {
    "from_env": "canary-1-9f3bd1c07ae4",
    "from_file": 'canary-2-"quoted"\n-71c2e6b8d05f',
    "from_command": "canary-3-48a0e97cd13b",
}
NEWER = "canary-4-e02f7b6a91c8"
PARTS = ["9f3bd1c07ae4", "canary-2", "71c2e6b8d05f", "48a0e97cd13b", "e02f7b6a91c8"]  # also where a value is split
STACK = f"""\
apiVersion: infctl/v1
name: acme
secrets:
  from_env: {{env: CANARY}}
  from_file: {{file: ../vault/file}}
  from_command: {{command: [cat, ../vault/command]}}
models:
  chat:
    engine: custom
    command: ["{sys.executable}", "{ENGINE}"]
    health: /
    env:
      MODE: quiet
      ONE: secret://from_env
      TWO: {{secret: from_file, as: env}}
      THREE: secret://from_command
      FOUR: {{secret: from_env, as: env}}
"""


class Watch:
    """Looks at every command line of the machine for as long as the test runs."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.found += leaks("argv", entry.read_bytes())
                except OSError:
                    continue  # it ended


def leaks(where: str, text: bytes) -> list[str]:
    return [f"{where}: {part}" for part in PARTS if part.encode() in text]


def leaks_in(folder: Path) -> Iterator[str]:
    """Yield what the files under `folder` give away, and delivered secrets that others could read."""
    for path in folder.rglob("*"):
        if path.parent.name == "secrets" and path.is_file():
            if stat.S_IMODE(path.stat().st_mode) != 0o600 or stat.S_IMODE(path.parent.stat().st_mode) != 0o700:
                yield f"{path} can be read by others"
        elif path.is_file():
            yield from leaks(str(path), path.read_bytes())


@pytest.fixture
def secretive(tmp_path: Path) -> Iterator[Stack]:
    vault, folder = tmp_path / "vault", tmp_path / "stack"
    vault.mkdir()
    folder.mkdir()
    (vault / "file").write_text(CANARIES["from_file"])
    (vault / "command").write_text(CANARIES["from_command"])
    with stack_in(folder, {"CANARY": CANARIES["from_env"], "INFCTL_LOG": "debug"}) as stack:
        write(stack, CANARIES["from_env"])
        yield stack


def write(stack: Stack, from_env: str, mode: str = "quiet") -> None:
    values = {"ONE": from_env, "TWO": CANARIES["from_file"], "THREE": CANARIES["from_command"], "FOUR": from_env}
    sums = "".join(f"      {name}_SHA256: {hashlib.sha256(v.encode()).hexdigest()}\n" for name, v in values.items())
    stack.write(STACK.replace("MODE: quiet", f"MODE: {mode}") + sums)


LOOKING = (
    ("validate",), ("validate", "-json"), ("plan",), ("plan", "-json"), ("plan", "-out=a.plan"), ("show", "a.plan"),
    ("show", "-json", "a.plan"), ("show",), ("show", "-json"), ("output",), ("output", "-json"), ("state", "list"),
    ("state", "pull"), ("graph",), ("graph", "-json"), ("status",), ("status", "-json"), ("drift",),
    ("drift", "-json"), ("doctor",), ("logs", "chat"), ("lock",), ("schema",), ("plan", "-destroy"),
)  # fmt: skip


def test_no_secret_is_ever_seen(secretive: Stack) -> None:
    said: list[str] = []

    def run(*argv: str, code: int | None = 0) -> str:
        done = secretive.run(*argv)
        assert code is None or done.code == code, done.said
        said.append(done.said)
        return done.said

    def look() -> None:
        said.extend(forks.run(secretive.folder, *words, env=secretive.env).said for words in LOOKING)
        said.extend(leaks_in(secretive.folder))

    with Watch() as watch, Forks() as forks:
        run("init")
        look()
        run("apply", "-auto-approve", "-json", "-json-into=events.json")
        look()
        delivered = [path for path in secretive.folder.rglob("secrets/*") if path.is_file()]
        assert {path.name for path in delivered} == {"ONE", "THREE"}

        secretive = Stack(secretive.folder, {**secretive.env, "CANARY": NEWER}, secretive.started)
        assert "secret from_env has another value" in run("plan")
        write(secretive, NEWER)
        run("plan", "-out=b.plan")
        run("apply", "b.plan")
        look()

        write(secretive, NEWER, mode="babbler")
        failed = run("apply", "-auto-approve", code=1)
        assert "error[gate-failed]" in failed
        assert "cannot log in with (sensitive)" in failed
        run("apply", "-auto-approve", "-json", "-retry=chat", code=1)
        assert "cannot log in with (sensitive)" in run("logs", "chat", "-revision", "3")
        look()
        run("rollback", "chat", "-to", "1", "-auto-approve", code=None)
        run("destroy", "-auto-approve", "-json")
        assert not [*secretive.folder.rglob("secrets/*")]
        look()
    found = [leak for text in said for leak in leaks(text.partition("\n")[0][:200], text.encode())]
    assert not found + watch.found
    assert json.loads(secretive.run("show", "-json").out)["values"]["root_module"]["resources"] == []
