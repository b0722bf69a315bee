"""Owns the parsed stack that is kept beside state: a file that has not changed is neither parsed nor checked again.

What is kept holds for one digest of all that a stack is read from: the bytes of its files, of variable files and of
the lock file, -var, INFCTL_VAR_x, the installed types of targets, and the code that reads. Times of those files have
no say. Only a stack without any warning is kept, as plain JSON under a checksum; anything else in its place is no
stack at all, and costs the time of reading anew. Where something is written is looked up in the files themselves.

Imports neither pydantic nor YAML.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infctl import __version__
from infctl.diagnostics import InfctlError, Span
from infctl.provider import registry
from infctl.spec.plain import stack_from, stack_to_plain
from infctl.spec.stack import Inputs, Stack
from infctl.spec.which import find

if TYPE_CHECKING:
    from infctl.spec.paths import Loc

FILE = "stack.json"
FORM = 3  # raised whenever what is kept looks different
MOST_BYTES = 32 * 1024 * 1024  # of one file that is looked at here
_PREFIX = "INFCTL_VAR_"


def load_kept(inputs: Inputs, folder: Path, read: Callable[[], Stack], *, beside: tuple[Path, ...] = ()) -> Stack:
    """Return the stack that `inputs` describe, as it is kept in `folder` or as `read` makes it now.

    `beside` are files that `read` looks at besides those of `inputs`, there or not. Raises what `read` raises.
    """
    asked = _asked(inputs, beside)
    kept = _load(folder / FILE, asked, inputs.root, read) if asked else None
    if kept is not None:
        return kept
    stack = read()
    if asked and not stack.warnings and _asked(inputs, beside) == asked:  # else a file changed while it was read
        _write(folder / FILE, asked, stack)
    return stack


# ---------------------------------------------------------------- what a stack is read from


def _asked(inputs: Inputs, beside: tuple[Path, ...]) -> str:
    """Return the digest of all that the stack is read from, "" where that cannot be told or looked at twice."""
    found, missing = find(inputs.root, inputs.files)
    if missing:
        return ""
    variables = sorted(inputs.variables.items()), sorted((k, v) for k, v in inputs.env.items() if k.startswith(_PREFIX))
    names = [[str(path) for path in paths] for paths in (found, inputs.var_files)]
    read = [inputs.root / each for each in (*found, *inputs.var_files)]
    try:
        code = _code(Path(__file__).parents[1])
        total = sha256(json.dumps([FORM, __version__, code, registry.installed(), variables, names]).encode())
        for path in (*read, *(each for each in beside if each.exists())):
            if not path.is_file() or path.stat().st_size > MOST_BYTES:  # a pipe can be read but once
                return ""
            data = path.read_bytes()
            total.update(b"%d\n" % len(data))
            total.update(data)
    except (OSError, ValueError):  # whoever reads it says why
        return ""
    return total.hexdigest()


def _code(path: Path) -> list[list[Any]]:
    """Return what is equal as long as the code at `path` is: while it is worked on, its version stays the same."""
    if path.is_file():
        found = path.stat()
        return [[path.name, found.st_size, found.st_mtime_ns]]
    rows: list[list[Any]] = []
    with os.scandir(path) as inside:  # hundreds of files: pathlib would take a tenth of a small plan
        for each in sorted(inside, key=lambda each: each.name):
            if each.is_file():
                found = each.stat()
                rows.append([each.name, found.st_size, found.st_mtime_ns])
            elif each.name != "__pycache__":
                rows += _code(Path(each.path))
    return rows


def _code_of_type(name: str) -> list[list[Any]]:
    """Return the same for the package of an installed type. Raises InfctlError where it is broken, OSError."""
    module = sys.modules[registry.load(name).__module__]
    file = Path(module.__file__ or "")
    return _code(file.parent if module.__package__ else file)


# ---------------------------------------------------------------- reading


@dataclass
class _Positions:
    """Where things are written, of a stack that was not read: the first question reads it."""

    read: Callable[[], Stack]

    @cached_property
    def _stack(self) -> Stack | None:
        try:
            return self.read()
        except InfctlError:  # it was written to since: no line is better than a wrong one
            return None

    def locate(self, loc: Loc, *, at_key: bool = False) -> Span | None:
        return self._stack.sources.locate(loc, at_key=at_key) if self._stack is not None else None


def _load(path: Path, asked: str, root: Path, read: Callable[[], Stack]) -> Stack | None:
    """Return the stack that is kept for `asked`, None where there is none."""
    try:
        checksum, _, body = path.read_bytes().partition(b"\n")
        if checksum != sha256(body).hexdigest().encode():
            return None
        plain = json.loads(body)
        if plain["asked"] != asked or any(_code_of_type(name) != code for name, code in plain["types"].items()):
            return None
    except (OSError, InfctlError):
        return None
    return stack_from(plain, root, _Positions(read))


# ---------------------------------------------------------------- writing


def _write(path: Path, asked: str, stack: Stack) -> None:
    """Keep `stack`; where that cannot be done the next run is slower, and that is all. Makes no folder but its own."""
    try:
        types = {target.type: _code_of_type(target.type) for target in stack.targets.values()}
        plain = {"asked": asked, "types": types, **stack_to_plain(stack)}
    except (OSError, TypeError, ValueError):  # code that is gone; values that JSON or their own model does not take
        return
    body = json.dumps(plain, separators=(",", ":")).encode()
    staged = path.with_name(f".{FILE}.{os.getpid()}")
    with suppress(OSError):
        if path.parent.parent.is_dir():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(sha256(body).hexdigest().encode() + b"\n" + body)
            staged.replace(path)
