"""Owns reading YAML: one file's bytes to plain values, or to errors that point.

YAML 1.2 scalars over libyaml's events, with bounds on everything a file can make grow: size, depth, aliases.
Knows no field of the language; positions of values are `sourcemap`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from yaml._yaml import CParser
from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from infctl.diagnostics import Code, Diagnostic, Span, did_you_mean, error
from infctl.spec.mishaps import explain
from infctl.spec.paths import Loc, quote, show
from infctl.spec.scalars import NoNumberError, resolve
from infctl.spec.sourcemap import Source, no_collection
from infctl.spec.which import FILE_UNREADABLE

FILE_TOO_LARGE = Code(
    "file-too-large",
    "A file of the configuration is larger than any configuration is.",
    "Name the right file with -file; models that differ little can share their fields with `like:`.",
)
BAD_ENCODING = Code(
    "bad-encoding",
    "A file is not UTF-8 text: it has bytes or control characters that YAML forbids.",
    "Save the file as UTF-8 text.",
)
YAML_SYNTAX = Code(
    "yaml-syntax",
    "A file is not YAML.",
    "Look at the place and just before it: indentation, quotes, brackets, and `: ` inside of text.",
)
YAML_FEATURE = Code(
    "yaml-feature",
    "A file uses a part of YAML that the configuration language leaves out: tags, keys that are not text.",
    "Write plain values; text that looks like something else goes in quotes.",
)
TOO_DEEP = Code(
    "too-deep",
    "Values are nested deeper than any configuration is.",
    "Close brackets that are left open; the language itself needs eight levels.",
)
TOO_MANY_ALIASES = Code(
    "too-many-aliases",
    "Aliases of YAML anchors multiply: written out, the file would be huge, or endless.",
    "Write the values out, or share fields of models with `like:`.",
)
SEVERAL_DOCUMENTS = Code(
    "several-documents",
    "A file has more than one YAML document.",
    "Move what stands behind the second `---` to a file of its own.",
)
BAD_NUMBER = Code(
    "bad-number",
    "A number is one that no field can take: infinite, not a number, or of more than 18 digits.",
    "Write a number that fits; text that looks like a number goes in quotes.",
)
DUPLICATE_KEY = Code("duplicate-key", "A key is given twice in one mapping.", "Keep one of the two.")

MOST_BYTES = 8 * 1024 * 1024  # of one file; 10,000 models with 20 lines each have 5 MB
MOST_DEPTH = 64
MOST_ALIASED = 200_000  # values that aliases may bring in, all together
_MOST_TOLD = 100  # problems of single values, and duplicate keys, of one file; then it is not read on
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # YAML 1.2.2, 5.1


class _StopError(Exception):
    """The rest of the file has no meaning; carries why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.summary)
        self.diagnostic = diagnostic


def load(path: Path, file: str) -> tuple[Source | None, tuple[Diagnostic, ...]]:
    """Return what the file at `path`, shown as `file`, says; None where it cannot be read as YAML at all."""
    try:
        with path.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as failure:
        detail = failure.strerror or str(failure)
        return None, (error(FILE_UNREADABLE, f"{file} cannot be read", detail, hint=FILE_UNREADABLE.remedy),)
    except ValueError as failure:  # a NUL in the name
        return None, (error(FILE_UNREADABLE, "A file name cannot be used", str(failure)),)
    return load_bytes(data, file)


def load_bytes(data: bytes, file: str) -> tuple[Source | None, tuple[Diagnostic, ...]]:
    """Return what `data` says, as `load` does. Errors beside a source are about single values of it."""
    if len(data) > MOST_BYTES:
        detail = f"infctl reads {MOST_BYTES // 2**20} MiB of one file at most"
        return None, (error(FILE_TOO_LARGE, f"{file} is too large", detail, hint=FILE_TOO_LARGE.remedy),)
    text, wrong = _decode(data, file)
    if wrong:
        return None, (wrong,)
    source = Source(file, text)
    builder = _Builder(source)
    try:
        with no_collection():
            source.value = builder.build()
    except _StopError as stop:
        return None, (*builder.told(whole=False), stop.diagnostic)
    except MarkedYAMLError as failure:
        summary, detail, hint, mark = explain(failure, text)
        return None, (
            *builder.told(whole=False),
            error(YAML_SYNTAX, summary, detail, hint=hint, span=source.span(mark)),
        )
    return source, builder.told(whole=True)


def _decode(data: bytes, file: str) -> tuple[str, Diagnostic | None]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "", _garbled(file, "", "the file is UTF-16")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        before = data[: failure.start].decode("utf-8-sig", "replace")
        return "", _garbled(file, before, f"byte 0x{data[failure.start]:02x} is not UTF-8")
    found = _FORBIDDEN.search(text)
    if found:
        name = "a NUL character" if found[0] == "\0" else f"the control character U+{ord(found[0]):04X}"
        return "", _garbled(file, text[: found.start()], name)
    return text, None


def _garbled(file: str, before: str, detail: str) -> Diagnostic:
    lines = before.splitlines() or [""]
    if before.endswith(("\n", "\r")):
        lines.append("")
    span = Span(file, len(lines), len(lines[-1]) + 1)
    return error(BAD_ENCODING, f"{file} is not text", detail, hint=BAD_ENCODING.remedy, span=span)


class _Builder:
    """Builds plain values from events. Recursion goes as deep as MOST_DEPTH, whatever the input."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._next: Callable[[], Any] = CParser(source.text).get_event
        self._problems: list[Diagnostic] = []
        self._repeated: list[tuple[Loc, Any]] = []
        self._path: list[str | int] = []
        self._anchors: dict[str, tuple[Any, int, int]] = {}  # value, how many values it is, how many levels
        self._count = 0
        self._aliased = 0
        self._deepest = 0

    def build(self) -> dict[str, Any]:
        """Return the file's mapping. Raises _StopError and the parser's own errors."""
        self._next()  # the stream
        if type(self._next()) is StreamEndEvent:
            return {}
        first = self._next()
        value = self._scalar(first, 0) if type(first) is ScalarEvent else self._other(first, 1)
        self._next()  # the end of the document
        after = self._next()
        if type(after) is DocumentStartEvent:
            raise self._stop(SEVERAL_DOCUMENTS, "A second document begins", "one document per file", after)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._stop(YAML_SYNTAX, "The file is not a mapping", "expected lines of `key: value`", first)
        return value

    def told(self, *, whole: bool) -> tuple[Diagnostic, ...]:
        """Return the errors about single values; of a `whole` file, duplicate keys with both their places."""
        found = list(self._problems)
        for loc, event in self._repeated:
            first = f"the first is on line {self._source.locate(loc, at_key=True).line}" if whole else "given before"
            span = self._source.span(event.start_mark, event.end_mark)
            summary = f"{quote(event.value)} is given twice"
            found.append(error(DUPLICATE_KEY, summary, first, hint=DUPLICATE_KEY.remedy, span=span, path=show(loc)))
        return tuple(found)

    def _other(self, event: Any, depth: int) -> Any:
        """Return the value of an alias or a collection."""
        if type(event) is AliasEvent:
            return self._alias(event, depth)
        if event.tag is not None:
            self._refuse_tag(event)
        if depth > MOST_DEPTH:
            raise self._stop(TOO_DEEP, "Values are nested too deeply", f"level {depth} of {MOST_DEPTH}", event)
        anchor, before, deepest = event.anchor, self._count, self._deepest
        if anchor is not None:
            self._anchors.pop(anchor, None)  # whoever names it in here means what is not finished
        self._deepest = depth
        value = self._mapping(depth) if type(event) is MappingStartEvent else self._sequence(depth)
        self._count += len(value) + 1
        if anchor is not None:
            self._anchors[anchor] = (value, self._count - before, self._deepest - depth)
        self._deepest = max(deepest, self._deepest)
        return value

    def _mapping(self, depth: int) -> dict[str, Any]:
        following = self._next
        made: dict[str, Any] = {}
        while True:
            event = following()
            if type(event) is not ScalarEvent:
                if type(event) is MappingEndEvent:
                    return made
                raise self._stop(YAML_FEATURE, "A key is not a text", "only texts can be keys", event)
            key = event.value
            repeated = key in made
            if repeated:
                if len(self._repeated) == _MOST_TOLD:
                    detail = f"more than {_MOST_TOLD} keys by now"
                    raise self._stop(DUPLICATE_KEY, "Keys are given twice again and again", detail, event)
                self._repeated.append(((*self._path, key), event))
            event = following()
            if type(event) is ScalarEvent:
                value = self._scalar(event, key)
            else:
                self._path.append(key)
                value = self._other(event, depth + 1)
                self._path.pop()
            if not repeated:
                made[key] = value

    def _sequence(self, depth: int) -> list[Any]:
        made: list[Any] = []
        while True:
            event = self._next()
            if type(event) is ScalarEvent:
                made.append(self._scalar(event, len(made)))
            elif type(event) is SequenceEndEvent:
                return made
            else:
                self._path.append(len(made))
                made.append(self._other(event, depth + 1))
                self._path.pop()

    def _scalar(self, event: Any, step: str | int) -> Any:
        value = event.value
        if event.tag is not None:
            self._path.append(step)
            self._refuse_tag(event)
            self._path.pop()
        elif event.implicit[0]:
            try:
                value = resolve(value)
            except NoNumberError as wrong:
                summary, path = f"{value[:40]} cannot be used", show((*self._path, step))
                span = self._source.span(event.start_mark, event.end_mark)
                self._tell(error(BAD_NUMBER, summary, str(wrong), hint=BAD_NUMBER.remedy, span=span, path=path))
                value = 0
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1, 0)
        return value

    def _alias(self, event: Any, depth: int) -> Any:
        found = self._anchors.get(event.anchor)
        if found is None:
            detail = "no such anchor is complete before this line"
            hint = did_you_mean(event.anchor, self._anchors) or "an anchor is written before its aliases, as &name"
            raise self._stop(YAML_SYNTAX, f"*{event.anchor} stands for nothing", detail, event, hint)
        value, count, levels = found
        self._count += count
        self._aliased += count
        self._deepest = max(self._deepest, depth + levels)
        if self._aliased > MOST_ALIASED:
            detail = f"more than {MOST_ALIASED:,} values by now"
            raise self._stop(TOO_MANY_ALIASES, "Aliases multiply", detail, event)
        if self._deepest > MOST_DEPTH:
            raise self._stop(TOO_DEEP, "Values are nested too deeply", "by this alias", event)
        return value

    def _tell(self, found: Diagnostic) -> None:
        if len(self._problems) == _MOST_TOLD:
            raise _StopError(found)
        self._problems.append(found)

    def _refuse_tag(self, event: Any) -> None:
        span = self._source.span(event.start_mark, event.end_mark)
        summary = f"The tag {quote(event.tag.replace('tag:yaml.org,2002:', '!!'))} cannot be used"
        hint = "leave the tag out; text that looks like a number goes in quotes"
        detail, path = "values have no tags", show(tuple(self._path))
        self._tell(error(YAML_FEATURE, summary, detail, hint=hint, span=span, path=path))

    def _stop(self, code: Code, summary: str, detail: str, event: Any, hint: str = "") -> _StopError:
        span = self._source.span(event.start_mark, event.end_mark)
        return _StopError(error(code, summary, detail, hint=hint or code.remedy, span=span))
