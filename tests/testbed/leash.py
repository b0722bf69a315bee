"""Owns processes that cannot outlive their owner: each is a pid namespace of its own, ended when its stdin closes.

The kernel closes the owner's end however the owner dies, SIGKILL included, and ends every process of a pid
namespace with its first. So network devices, mounts and daemons of a test bed need no clearing up after a crash.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

WAIT_FOR_EOF = '"$@" & read -r _; kill -TERM $! 2>/dev/null; wait $!'


class Leashed:
    """`argv` as the first process of a new pid namespace; `namespaces` are unshare's flags for more of them."""

    def __init__(
        self, argv: Sequence[str], *, log: Path, namespaces: Sequence[str] = (), cwd: Path | None = None
    ) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                ["unshare", "--pid", "--fork", "--kill-child", *namespaces, *argv],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=cwd, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """The pid of what stands in the new namespaces, all but the pid namespace."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def tell(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def hear(self) -> str:
        """Return the next line that it prints, "" when it ended."""
        assert self._process.stdout
        return self._process.stdout.readline().decode().strip()

    def kill(self) -> None:
        """End it at once, and everything that it started."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()


def leashed_daemon(argv: Sequence[str], *, log: Path, namespaces: Sequence[str] = ()) -> Leashed:
    """Run a daemon that does not look at its stdin; it is ended with SIGTERM when the owner goes in peace."""
    return Leashed(["sh", "-c", WAIT_FOR_EOF, "sh", *argv], log=log, namespaces=namespaces)
