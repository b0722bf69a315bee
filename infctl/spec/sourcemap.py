"""Owns where things stand: from a place in the configuration to a line and a column.

Lazy: a file is parsed once more, with positions, when the first diagnostic asks (docs/decisions/0004).
Knows no field of the language.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from yaml._yaml import CParser
from yaml.error import Mark
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from infctl.diagnostics import Span
from infctl.spec.paths import Loc, value_at

_LONGEST_LINE = 2_000  # characters; a longer line is no help to anyone


@dataclass(slots=True)
class Node:
    """One value with its marks. An alias has its own marks, and shares what is inside with its anchor."""

    start: Mark
    end: Mark
    fields: dict[str, tuple[Mark, Mark, Node]] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)


class Source:
    """One file as it was read. `value` is what its text says, in plain values."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.value: dict[str, Any] = {}

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def _tree(self) -> Node:
        return _Composer(self.text).tree()

    def span(self, start: Mark, end: Mark | None = None) -> Span:
        """Return the span from `start` to `end`, or to the end of its line."""
        line = self._lines[start.line] if start.line < len(self._lines) else ""
        last = end.column if end is not None and end.line == start.line else len(line.rstrip())
        text = line if len(line) <= _LONGEST_LINE else ""
        return Span(self.file, start.line + 1, start.column + 1, max(1, last - start.column), text)

    def locate(self, loc: Loc, *, at_key: bool = False) -> Span:
        """Return where `loc` stands, or the nearest thing around it that does.

        Points at a value that is on one line; else, or with `at_key`, at the key before it.
        """
        node, key = self._tree, None
        for step in loc:
            if isinstance(step, str) and step in node.fields:
                *key, node = node.fields[step]
            elif isinstance(step, int) and step < len(node.items):
                node, key = node.items[step], None
            else:
                at_key = True
                break
        several_lines = node.start.line != node.end.line and bool(node.fields or node.items)
        if key is not None and (at_key or several_lines or node.start.index == node.end.index):
            return self.span(*key)
        return self.span(node.start, None if several_lines else node.end)


@contextmanager
def no_collection() -> Iterator[None]:
    """Pause garbage collection while a large tree grows: it would walk all of the tree again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class _Composer:
    """Parses a text that the loader took, keeping marks. Of a key given twice, the first counts."""

    def __init__(self, text: str) -> None:
        self._next: Callable[[], Any] = CParser(text).get_event
        self._anchors: dict[str, Node] = {}

    def tree(self) -> Node:
        with no_collection():
            self._next()  # the stream
            event = self._next()
            empty = isinstance(event, StreamEndEvent)  # no document at all
            return Node(event.start_mark, event.end_mark) if empty else self._node(self._next())

    def _node(self, event: Any) -> Node:
        node = Node(event.start_mark, event.end_mark)
        kind: object = type(event)
        if kind is AliasEvent:
            shared = self._anchors[event.anchor]
            node.fields, node.items = shared.fields, shared.items
            return node
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        if kind is MappingStartEvent:
            while not _ends(key := self._next()):
                inner = self._node(self._next())
                node.fields.setdefault(key.value, (key.start_mark, key.end_mark, inner))
            node.end = key.end_mark
        elif kind is SequenceStartEvent:
            while not _ends(item := self._next()):
                node.items.append(self._node(item))
            node.end = item.end_mark
        return node


def _ends(event: Any) -> bool:
    return type(event) in {MappingEndEvent, SequenceEndEvent}


@dataclass(frozen=True, slots=True)
class Sources:
    """All files of a stack. `likes` maps a model to the one it is like: what it inherits stands there."""

    files: Sequence[Source]
    likes: Mapping[str, str] = field(default_factory=dict)

    def locate(self, loc: Loc, *, at_key: bool = False) -> Span | None:
        """Return where `loc` stands, or the nearest thing around it; None when there is no file at all."""
        if not self.files:
            return None
        source, inner = self._home(self._written(loc))
        return source.locate(inner, at_key=at_key)

    def _written(self, loc: Loc) -> Loc:
        """Return where an inherited value is written; `loc` itself when it is written nowhere."""
        there, seen = loc, {loc[1:2]}
        while self._depth(there) < len(loc) and len(loc) > 1 and loc[0] == "models":
            there = ("models", self.likes.get(str(there[1]), ""), *loc[2:])
            if there[1:2] in seen or not there[1]:
                return loc
            seen.add(there[1:2])
        return there

    def _depth(self, loc: Loc) -> int:
        return max(_depth(source, loc) for source in self.files)

    def _home(self, loc: Loc) -> tuple[Source, Loc]:
        """Return the file that has most of `loc`. Lists of several files count on, as they were merged."""
        if len(loc) > 1 and isinstance(loc[1], int):
            passed = 0
            for source in self.files:
                here = source.value.get(str(loc[0]))
                count = len(here) if isinstance(here, list) else 0
                if loc[1] < passed + count:
                    return source, (loc[0], loc[1] - passed, *loc[2:])
                passed += count
        return max(self.files, key=lambda source: _depth(source, loc)), loc


def _depth(source: Source, loc: Loc) -> int:
    return len(value_at(source.value, loc)[1])
