"""Owns inference.lock.yaml as text: what infctl writes there, and reading it back strictly.

The file is written by infctl, committed by people, and merged by git: it is a small, fixed part of YAML, read line
by line, so that every complaint has its line and ten thousand pins cost little. Knows nothing of what is out of date.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from infctl.address import NAME_PATTERN
from infctl.desired.lock_reader import BAD_LOCK_FILE, PIN_FIELDS, VERSION, LockReader, what_is_wrong
from infctl.diagnostics import Code, InfctlError, error
from infctl.engines.pin import Key, Pin

LOCK_FILE = "inference.lock.yaml"
LOCK_UNWRITABLE = Code(
    "lock-unwritable",
    "inference.lock.yaml could not be written.",
    "Make room or give the right to write, as the message says, and run the same command again.",
)
HEADER = """\
# What each model runs on each target, decided by infctl. Commit this file, and leave editing to `infctl lock`:
# `infctl lock MODEL` renews what is out of date, `infctl lock MODEL -upgrade` takes the newest engine too.
"""
_AMBIGUOUS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})  # words that YAML 1.1 takes away
_LONGEST = 64_000_000  # bytes; a hundred thousand pins have 40 MB
_BEGIN = f"{HEADER}version: {VERSION}\nmodels:\n"
_TEXT = r'"[^"\\]+"'
_SPELLED = {"model_bytes": r"[0-9]{1,19}", "model_sha256": r'"[0-9a-f]{64}"'}
_NAME = NAME_PATTERN.replace("(", "(?:")
_WRITTEN = re.compile(rf'(?:  ({_NAME}|"{_NAME}"):\n)?    ({_NAME}|"{_NAME}"):\n((?: {{6}}.+\n)+)')
_BODY = re.compile(
    rf"      engine: (?P<engine>{_TEXT})\n"
    + "".join(
        f"(?:      {name}: (?P<{name}>{_SPELLED.get(name, _TEXT)})\n)?" for name in PIN_FIELDS if name != "engine"
    )
)


def lock_text(pins: Mapping[Key, Pin]) -> str:
    """Return the text of a lock file: models and targets in order of their names, empty fields left out."""
    if not pins:
        return f"{HEADER}version: {VERSION}\nmodels: {{}}\n"
    lines = [f"{HEADER}version: {VERSION}\nmodels:"]
    bodies: dict[Pin, str] = {}
    last = ""
    for (model, target), pin in sorted(pins.items(), key=lambda item: item[0]):
        if model != last:
            lines.append(f"  {_key(model)}:")
            last = model
        body = bodies.get(pin)
        if body is None:
            body = bodies[pin] = "\n".join(_body(pin))
        lines.append(f"    {_key(target)}:\n{body}")
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return f'"{name}"' if name in _AMBIGUOUS else name


def _body(pin: Pin) -> Iterator[str]:
    for name in PIN_FIELDS:
        value = getattr(pin, name)
        if value or name == "engine":
            yield f"      {name}: {json.dumps(value, ensure_ascii=False)}"


def write_lock(path: Path, pins: Mapping[Key, Pin]) -> bool:
    """Make `path` hold `pins`, whole or not at all; returns whether anything changed.

    It is the user's own file: its mode is theirs. Raises InfctlError (lock-unwritable).
    """
    text = lock_text(pins).encode()
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists() and path.read_bytes() == text:
            return False
        try:
            staged.write_bytes(text)
            if path.exists():
                staged.chmod(path.stat().st_mode & 0o777)
            staged.replace(path)
        except OSError:
            with suppress(OSError):  # the first failure is the one to tell
                staged.unlink(missing_ok=True)
            raise
    except OSError as failure:
        detail = failure.strerror or str(failure)
        raise InfctlError(
            error(LOCK_UNWRITABLE, f"{path} cannot be written", detail, hint=LOCK_UNWRITABLE.remedy)
        ) from failure
    return True


def read_lock(path: Path) -> Mapping[Key, Pin]:
    """Return the pins of a lock file, none where there is no file.

    Raises InfctlError (bad-lock-file, lock-too-new) with every problem found, each with its line.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_LONGEST + 1)
    except FileNotFoundError:
        return {}
    except OSError as failure:
        detail = failure.strerror or str(failure)
        raise InfctlError(
            error(BAD_LOCK_FILE, f"{path} cannot be read", detail, hint=BAD_LOCK_FILE.remedy)
        ) from failure
    if len(raw) > _LONGEST:
        raise InfctlError(error(BAD_LOCK_FILE, f"{path} is too large", hint=BAD_LOCK_FILE.remedy))
    try:
        text = raw.decode()
    except UnicodeDecodeError as failure:
        line = raw.count(b"\n", 0, failure.start) + 1
        raise InfctlError(
            error(BAD_LOCK_FILE, f"{path} is not text", f"line {line} is not UTF-8", hint=BAD_LOCK_FILE.remedy)
        ) from failure
    untouched = _read_untouched(text)
    return LockReader(path.name).read(text.split("\n")) if untouched is None else untouched


def _read_untouched(text: str) -> Mapping[Key, Pin] | None:
    """Return the pins of a text that is exactly as `lock_text` writes it; None where any line is not.

    Ten times as quick as reading with care, which a plan of ten thousand models notices.
    """
    if not text.startswith(_BEGIN):
        return None
    pins: dict[Key, Pin] = {}
    made: dict[str, Pin] = {}  # the same lines are the same pin
    at, model, count = len(_BEGIN), "", 0
    while found := _WRITTEN.match(text, at):
        name, target, body = found.groups()
        model = name or model
        if (pin := made.get(body)) is None:
            said = _BODY.fullmatch(body)
            if said is None:
                return None
            pin = made[body] = Pin(**{key: _spelled_out(value) for key, value in said.groupdict().items() if value})
            if pin.decided and what_is_wrong(pin.decided):
                return None
        if not model:
            return None
        pins[model.strip('"'), target.strip('"')] = pin
        at = found.end()
        count += 1
    return pins if at == len(text) and 0 < count == len(pins) else None


def _spelled_out(text: str) -> Any:
    return int(text) if text.isdecimal() else text[1:-1]
