"""Owns where words go: standard output and error, their width, and whether they are coloured.

Knows nothing of what is printed. Imports nothing of weight.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Self, TextIO

PLAIN_WIDTH = 100  # columns where there is no terminal: what the examples in the documentation have


class Terminal:
    """Standard output and error of one command. `color` and `width` are for the views.

    A reader that went away (`| head`) silences output and stops nothing: an apply goes on to its end.
    """

    def __init__(self, out: TextIO, err: TextIO, *, color: bool, width: int, live: bool, answers: bool) -> None:
        self.out, self.err, self.width = out, err, width
        self.color, self.color_errors = color and out.isatty(), color and err.isatty()
        self.live = live  # whether lines may be redrawn
        self.answers = answers  # whether somebody can be asked

    @classmethod
    def of(cls, env: Mapping[str, str], *, color: bool) -> Self:
        tty = sys.stdout.isatty()
        dumb = env.get("TERM") == "dumb"
        return cls(
            sys.stdout,
            sys.stderr,
            color=color and not dumb and not env.get("NO_COLOR"),
            width=_width(env, tty),
            live=tty and not dumb,
            answers=sys.stdin is not None and sys.stdin.isatty(),
        )

    def say(self, text: str) -> None:
        """Print `text` and a newline on standard output."""
        self._write(self.out, f"{text}\n")

    def say_lines(self, lines: Iterable[str]) -> None:
        """Print many lines in one write."""
        self._write(self.out, "".join(f"{line}\n" for line in lines))

    def write(self, text: str) -> None:
        """Print `text` as it is, at once."""
        self._write(self.out, text)

    def complain(self, text: str) -> None:
        """Print `text` and a newline on standard error."""
        self._write(self.err, f"{text}\n")

    def log(self, text: str) -> None:
        """Print `text` as it is on standard error."""
        self._write(self.err, text)

    def close(self) -> None:
        """Flush; afterwards nothing can fail at the interpreter's exit."""
        for stream in (self.out, self.err):
            self._write(stream, "")

    def _write(self, stream: TextIO, text: str) -> None:
        secrets = sys.modules.get("infctl.secrets")  # not loaded: there is no secret to hide
        if secrets is not None:
            text = secrets.redact(text)
        try:
            stream.write(text)
            stream.flush()
        except UnicodeEncodeError:
            stream.write(text.encode(stream.encoding or "ascii", "replace").decode(stream.encoding or "ascii"))
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _width(env: Mapping[str, str], tty: bool) -> int:
    given = env.get("COLUMNS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    if not tty:
        return PLAIN_WIDTH
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or PLAIN_WIDTH
    except OSError:
        return PLAIN_WIDTH
