"""Owns how text looks: colour, width, wrapping, columns, and how amounts are written.

Plain strings throughout: a plan of ten thousand lines must print in a third of a second. Knows no command.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from infctl.frozen import dataclass

_CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
MIN_WIDTH: Final = 40  # columns; narrower terminals get lines of this width
PROSE_WIDTH: Final = 110  # columns; wider sentences are not read


@dataclass(frozen=True, slots=True)
class Style:
    """`width` in columns; `names` are the columns of a run's lines for a step's model and for where it is. Pad first,
    colour last: escape codes have no width.
    """

    width: int = 100
    color: bool = False
    names: tuple[int, int] = (12, 14)

    def paint(self, text: str, *names: str) -> str:
        """Return `text` in the named colours, or as it is."""
        if not self.color or not text or not names:
            return text
        return f"\x1b[{';'.join(_CODES[name] for name in names)}m{text}\x1b[0m"

    def wrap(self, text: str, indent: str = "", hanging: str | None = None) -> list[str]:
        """Return `text` as lines of prose no wider than the terminal; its own line breaks and indents are kept."""
        width = max(MIN_WIDTH, min(self.width, PROSE_WIDTH))
        lines: list[str] = []
        for part in text.splitlines() or [""]:
            own = part[: len(part) - len(part.lstrip())] + "    " if part[:1] == " " else ""
            lines += textwrap.wrap(
                part,
                width,
                initial_indent=indent if not lines else (indent if hanging is None else hanging),
                subsequent_indent=(indent if hanging is None else hanging) + own,
                break_on_hyphens=False,
                break_long_words=False,
            ) or [""]
        return lines

    def fill(self, parts: Iterable[str], separator: str, indent: str) -> list[str]:
        """Return `parts` joined by `separator`, broken between parts where a line would be too wide."""
        lines: list[str] = []
        line = ""
        for part in parts:
            if line and len(indent) + len(line) + len(separator) + len(part) > max(MIN_WIDTH, self.width):
                lines.append(indent + line)
                line = part
            else:
                line = f"{line}{separator}{part}" if line else part
        return [*lines, indent + line] if line else lines

    def cut(self, text: str, used: int = 0) -> str:
        """Return `text` shortened with an ellipsis to what is left of a line of which `used` columns are taken."""
        room = max(8, self.width - used)
        return text if len(text) <= room else f"{text[: room - 1]}…"


def columns(rows: Iterable[Sequence[str]], gap: int = 2) -> list[str]:
    """Return rows as aligned lines; the last cell of a row is not padded."""
    table = [tuple(row) for row in rows]
    widths: list[int] = []
    for row in table:
        for index, cell in enumerate(row):
            if index == len(widths):
                widths.append(0)
            widths[index] = max(widths[index], len(cell))
    space = " " * gap
    return [space.join(cell.ljust(widths[i]) for i, cell in enumerate(row)).rstrip() for row in table]


def bytes_text(amount: float) -> str:
    """Return a number of bytes as people read it: `8.6 GiB`, `540 KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(amount) < 1000 or unit == "GiB":  # noqa: PLR2004  # three digits, then the next unit
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"  # noqa: PLR2004
        amount /= 1024
    raise AssertionError


def dollars(before: float, after: float) -> str:
    """Return dollars an hour, with what they were where that differs: `$2.55/h → $4.25/h`."""
    now = f"${after:,.2f}/h"
    return now if f"${before:,.2f}/h" == now else f"${before:,.2f}/h → {now}"


def seconds_text(seconds: float) -> str:
    """Return a duration as people read it: `0.8s`, `41s`, `6m41s`, `2h05m`."""
    if seconds < 10:  # noqa: PLR2004  # where tenths still say something
        return f"{seconds:.1f}s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def ago(at: str, now: datetime) -> str:
    """Return how long before `now` an ISO time was, as people say it: `just now`, `12 min ago`, `3 days ago`."""
    minutes = int((now - datetime.fromisoformat(at)).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 120:  # noqa: PLR2004  # two hours
        return f"{minutes} min ago"
    hours = minutes // 60
    return f"{hours} hours ago" if hours < 48 else f"{hours // 24} days ago"  # noqa: PLR2004  # two days


def count(number: int, noun: str) -> str:
    """Return `1 model`, `3 models`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
