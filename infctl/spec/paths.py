"""Owns how a place in the configuration is written: `models.chat.lora[0].uri`, odd keys as `tags["a.b"]`.

Knows nothing of files and lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

Loc = tuple[str | int, ...]

_PLAIN = re.compile(r"[A-Za-z0-9_/-]+")
_STEP = re.compile(r'\.?([A-Za-z0-9_/-]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]')
_MOST_LISTED = 12
_LONGEST = 60  # characters of a value in a message


def show(loc: Loc) -> str:
    """Return `loc` as text; `parse` is its inverse."""
    text = ""
    for step in loc:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step)}]"
    return text


def parse(text: str) -> Loc:
    """Return the place that `text` spells, as far as it can be read."""
    loc: list[str | int] = []
    at = 0
    while at < len(text) and (found := _STEP.match(text, at)):
        word, number, quoted = found.groups()
        loc.append(word or (int(number) if number else json.loads(quoted)))
        at = found.end()
    return tuple(loc)


def printable(text: str) -> str:
    """Return `text` with everything escaped that a terminal might obey."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def quote(value: object) -> str:
    """Return a value as it may stand in a message: JSON, cut short, with nothing that a terminal would obey."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = text if text.isprintable() else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def listed(words: Iterable[str]) -> str:
    """Return `a, b or c`; of many, the first few and how many more there are."""
    words = list(words)
    if len(words) > _MOST_LISTED:
        return f"{', '.join(words[:_MOST_LISTED])} or {len(words) - _MOST_LISTED} more"
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def texts(value: Any, loc: Loc = ()) -> Iterator[tuple[Loc, str]]:
    """Yield every text inside a plain value, with its place."""
    if isinstance(value, str):
        yield loc, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(item, (*loc, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, (*loc, index))


def value_at(value: Any, loc: Loc) -> tuple[Any, Loc]:
    """Return what stands at `loc` in plain values, or the last thing on the way there, and how far the way went."""
    for depth, step in enumerate(loc):
        inside = isinstance(value, dict) and step in value
        if not inside and not (isinstance(value, list) and isinstance(step, int) and step < len(value)):
            return value, loc[:depth]
        value = value[step]
    return value, loc
