"""Owns one promise: a child of a supervisor ends with it, even when the supervisor is killed with SIGKILL.

The supervisor alone holds the write end of a pipe and never writes; a child sees its end of file. For a
program that knows nothing of this, `python -m infctl_local.lifeline PROGRAM ...` becomes that program: on
Linux it ends with its supervisor, elsewhere the next command finds it by the status. Knows nothing of what
the child does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

from infctl_local.record import CANNOT_START, LIFELINE

PR_SET_PDEATHSIG = 1  # prctl(2)


def inherited() -> int | None:
    """Return the descriptor whose end of file means that the supervisor is gone; None without one."""
    number = os.environ.pop(LIFELINE, None)
    return None if number is None else int(number)


def die_with_parent() -> None:
    """On Linux, let the kernel do it too: it reaches a process that is deep in native code (a model load)."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it died before the kernel was told


def exit_with_parent(lifeline: int) -> None:
    """Watch the lifeline in a thread and end this process, without any cleanup, when it breaks."""

    def watch() -> None:
        os.read(lifeline, 1)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def main() -> None:
    die_with_parent()
    try:
        os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  -- no shell is what is wanted
    except OSError as error:
        sys.stderr.write(f"infctl: cannot start {sys.argv[1]}: {error.strerror}\n")
        sys.exit(CANNOT_START)


if __name__ == "__main__":
    main()
