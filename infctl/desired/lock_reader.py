"""Owns reading a lock file line by line, with a complaint and its place for whatever is not as infctl writes it.

Knows nothing of files: lines in, pins or problems out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from infctl.address import NAME_PATTERN
from infctl.diagnostics import Code, Diagnostic, InfctlError, Span, did_you_mean, error
from infctl.engines.pin import Key, Pin

VERSION = 1
BAD_LOCK_FILE = Code(
    "bad-lock-file",
    "inference.lock.yaml is not as infctl writes it.",
    "Take it from git again, or remove it and run `infctl lock`: everything is then decided anew.",
)
LOCK_TOO_NEW = Code(
    "lock-too-new",
    "inference.lock.yaml was written by a newer infctl, in a format that this one does not know.",
    "Use the infctl that wrote it, or a newer one.",
)
PIN_FIELDS = tuple(each.name for each in fields(Pin))
_LINE = re.compile(r'( *)("[^"\\]*"|[A-Za-z_][\w-]*):(?: (.+))?')
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGITS = 20  # no file has more bytes than a number of so many digits
_MERGE = "keep one of the two, or take either side of the merge and run `infctl lock`"
_CONFLICT = ("<<<<<<<", "=======", ">>>>>>>")


class LockReader:
    """Reads lines, and keeps what it complains of until all is read."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._problems: list[Diagnostic] = []
        self._pins: dict[Key, Pin] = {}
        self._made: dict[tuple[str, ...], Pin] = {}  # the same lines are the same pin
        self._at = (0, "")  # line number and text
        self._top: set[str] = set()
        self._model = self._target = ""
        self._opened = (0, "")  # where the target stands
        self._body: dict[str, tuple[int, str]] = {}

    def read(self, lines: list[str]) -> Mapping[Key, Pin]:
        depths = {0: self._top_level, 2: self._open_model, 4: self._open_target, 6: self._take_field}
        for number, line in enumerate(lines, 1):
            text = line.rstrip()
            if not text or text.lstrip().startswith("#"):
                continue
            self._at = (number, text)
            if text.startswith(_CONFLICT):
                self._complain("two versions of this file are not merged yet", hint=_MERGE)
                break
            found = _LINE.fullmatch(text)
            take = depths.get(len(found[1])) if found else None
            if found is None or take is None:
                self._complain("expected KEY: VALUE, indented as infctl does")
                break
            take(found[2].strip('"'), found[3] or "")
        self._close_target()
        if "version" not in self._top and not self._problems:
            self._complain("the line `version: 1` is missing", at=(1, lines[0]))
        if self._problems:
            raise InfctlError(*self._problems)
        return self._pins

    def _complain(
        self, what: str, *, hint: str = "", at: tuple[int, str] | None = None, code: Code = BAD_LOCK_FILE
    ) -> None:
        number, text = at or self._at
        start = len(text) - len(text.lstrip()) + 1
        span = Span(self._file, number, start, max(1, len(text.strip())), text)
        self._problems.append(error(code, f"{self._file} cannot be used", what, hint=hint or code.remedy, span=span))

    def _top_level(self, key: str, value: str) -> None:
        self._close_target()
        self._model = ""
        if key in self._top:
            self._complain(f"{key} is there twice")
        self._top.add(key)
        if key == "version":
            if not value.isdecimal():
                self._complain("the version must be a whole number")
            elif int(value) > VERSION:
                self._complain(f"its format is {value}; this infctl knows {VERSION}", code=LOCK_TOO_NEW)
            elif int(value) < VERSION:
                self._complain(f"there is no format {value}")
        elif key != "models":
            self._complain("not a key of a lock file", hint=did_you_mean(key, ("version", "models")))
        elif value not in {"", "{}"}:
            self._complain("models must be a mapping")

    def _open_model(self, name: str, value: str) -> None:
        self._close_target()
        self._model = name
        if "models" not in self._top:
            self._complain("it belongs under `models:`")
        self._check_name(name, value)

    def _open_target(self, name: str, value: str) -> None:
        self._close_target()
        self._target, self._opened = name, self._at
        if not self._model:
            self._complain("it belongs to no model")
        self._check_name(name, value)
        if (self._model, name) in self._pins:
            self._complain(f"{self._model} on {name} is there twice", hint=_MERGE)

    def _check_name(self, name: str, value: str) -> None:
        if value or not re.fullmatch(NAME_PATTERN, name):
            self._complain("expected the name of a model or target and a colon")

    def _take_field(self, name: str, value: str) -> None:
        if not self._target:
            self._complain("it belongs to no target")
        elif name not in PIN_FIELDS:
            self._complain(f"{name} is not a field of a pin", hint=did_you_mean(name, PIN_FIELDS))
        elif name in self._body:
            self._complain(f"{name} is there twice", hint=_MERGE)
        else:
            self._body[name] = (self._at[0], value)

    def _close_target(self) -> None:
        """Make the pin whose lines have been read."""
        if not self._target:
            return
        lines = tuple(f"{name} {value}" for name, (_, value) in self._body.items())
        pin = self._made.get(lines)
        if pin is None:
            before = len(self._problems)
            values = {name: self._value(name, value, number) for name, (number, value) in self._body.items()}
            if not values.get("engine"):
                self._complain(f"the pin of {self._model} on {self._target} names no engine", at=self._opened)
            if len(self._problems) == before:
                pin = self._made[lines] = Pin(**values)
        if pin is not None:
            self._pins[self._model, self._target] = pin
        self._target, self._body = "", {}

    def _value(self, name: str, value: str, number: int) -> Any:
        at = (number, f"      {name}: {value}")
        if name == "model_bytes":
            if value.isascii() and value.isdecimal() and len(value) < _DIGITS:
                return int(value)
            self._complain("model_bytes must be a whole number of bytes", at=at)
            return 0
        try:
            found = json.loads(value)
        except ValueError:
            found = None
        if not isinstance(found, str):
            self._complain(f'{name} must be a text in double quotes, as "…"', at=at)
            return ""
        if name == "decided" and (wrong := what_is_wrong(found)):
            self._complain(f"decided cannot be read: {wrong}", at=at)
            return ""
        if name == "model_sha256" and not _SHA256.fullmatch(found):
            self._complain("model_sha256 must be 64 hexadecimal digits", at=at)
        return found


def what_is_wrong(decided: str) -> str:
    """Return why a text is not what was decided of a model, "" where it is."""
    from infctl.engines.decided import read_decided  # noqa: PLC0415  -- few pins have any

    try:
        read_decided(decided)
    except ValueError as wrong:
        return str(wrong)
    return ""
