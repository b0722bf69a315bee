"""Owns the text of a snapshot: State <-> JSON, its checksum, its format version and the upgrades from older ones.

One resource or model a line, so that a diff of two snapshots can be read. Pure; knows no file but its name in errors.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from infctl.diagnostics import InfctlError, Span, error
from infctl.frozen import dataclass
from infctl.state import codec
from infctl.state.codec import (
    MalformedError,
    Plain,
    Shape,
    dump,
    model_from,
    model_to_plain,
    resource_from,
    resource_to_plain,
)
from infctl.state.model import FORMAT_VERSION, State
from infctl.state.problems import STATE_TOO_NEW, damaged

Upgrade = Callable[[Plain], Plain]
# Format version -> the pure function that makes the next version's document. None yet: version 1 is the first.
UPGRADES: Final[Mapping[int, Upgrade]] = {}
_SHAPE = Shape(
    format_version=int,
    checksum=str,
    infctl_version=str,
    lineage=str,
    stack=str,
    workspace=str,
    serial=int,
    fence=int,
    released=list,
    outputs=dict,
    models=dict,
    resources=list,
)
_NOTHING = re.compile(rb"[\0 \n]*")
_SEAL = re.compile(rb'\A\{\n  "format_version": \d+,\n  "checksum": "sha256:([0-9a-f]{64})",\n')


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a snapshot's text says. `fence` is that of the lease it was written under; `written_as` its format."""

    state: State
    fence: int = 0
    written_as: int = FORMAT_VERSION


def encode(state: State, fence: int = 0) -> bytes:
    """Return the text of a snapshot. The same state in the same order gives the same bytes."""
    body = ",\n".join(
        (
            *(
                f'  "{name}": {dump(value)}'
                for name, value in (
                    ("infctl_version", state.infctl_version),
                    ("lineage", state.lineage),
                    ("stack", state.stack),
                    ("workspace", state.workspace),
                    ("serial", state.serial),
                    ("fence", fence),
                    ("released", state.released),
                )
            ),
            _block("outputs", "{}", (f"{dump(name)}: {dump(value)}" for name, value in state.outputs.items())),
            _block("models", "{}", (f"{dump(m.name)}: {dump(model_to_plain(m))}" for m in state.models.values())),
            _block("resources", "[]", (dump(resource_to_plain(r)) for r in state.resources.values())),
        )
    )
    return seal(f"{body}\n}}\n".encode())


def seal(body: bytes) -> bytes:
    """Return a snapshot's text: `body`, from the line after the checksum on, under its format version and checksum."""
    head = f'{{\n  "format_version": {FORMAT_VERSION},\n  "checksum": "sha256:{hashlib.sha256(body).hexdigest()}",\n'
    return head.encode() + body


def _block(name: str, brackets: str, lines: Iterable[str]) -> str:
    inside = ",\n    ".join(lines)
    return f'  "{name}": {brackets[0]}\n    {inside}\n  {brackets[1]}' if inside else f'  "{name}": {brackets}'


def decode(text: bytes, file: str, *, edited: bool = False, upgrades: Mapping[int, Upgrade] = UPGRADES) -> Snapshot:
    """Return what a snapshot says. `edited` takes one that was changed by hand, whose checksum cannot fit.

    Raises InfctlError (state-too-new, state-damaged) that names `file`.
    """
    document = _parse(text, file)
    if "format_version" not in document:
        raise damaged(file, "it has no format_version: infctl did not write it")
    version = document["format_version"]
    if type(version) is not int:
        raise damaged(file, f"format_version is {json.dumps(version)}, not a whole number", path="format_version")
    if version > FORMAT_VERSION:
        raise _too_new(file, version, document)
    if not edited:
        _verify(text, file)
    try:
        state, fence = _read(_upgrade(document, version, upgrades))
    except MalformedError as problem:
        hint = f"correct {file} and push it again" if edited else ""
        raise damaged(file, f"{problem.path} {problem.problem}", path=problem.path, hint=hint) from problem
    return Snapshot(state, fence, version)


def _parse(text: bytes, file: str) -> Plain:
    if _NOTHING.fullmatch(text):
        raise damaged(file, "it is empty")
    try:
        document = json.loads(text)
    except UnicodeDecodeError as failure:
        raise damaged(file, f"it is not UTF-8 text at byte {failure.start}") from failure
    except json.JSONDecodeError as failure:
        raise damaged(
            file, f"it is not JSON: {failure.msg.lower()}", span=Span(file, failure.lineno, failure.colno)
        ) from failure
    except (RecursionError, ValueError) as failure:
        raise damaged(file, "it is nested too deeply, or holds a number too long to be one") from failure
    if type(document) is not dict:
        raise damaged(file, "it is not a JSON object")
    return document


def _verify(text: bytes, file: str) -> None:
    found = _SEAL.match(text)
    if found and hashlib.sha256(memoryview(text)[found.end() :]).hexdigest() == found[1].decode():
        return
    raise damaged(
        file,
        "its checksum does not fit: it was changed by something other than infctl",
        hint="if you edited it on purpose, infctl state push FILE takes a copy of it; "
        "else infctl state recover rebuilds it from what runs",
    )


def _too_new(file: str, version: int, document: Plain) -> InfctlError:
    writer = document.get("infctl_version", "a newer one")
    return InfctlError(
        error(
            STATE_TOO_NEW,
            f"{file} was written by infctl {writer}",
            f"its format is version {version}; this infctl knows up to {FORMAT_VERSION}",
            hint=f"use infctl {writer}; nothing was changed",
        )
    )


def _upgrade(document: Plain, version: int, upgrades: Mapping[int, Upgrade]) -> Plain:
    for step in range(version, FORMAT_VERSION):
        if step not in upgrades:
            raise MalformedError("format_version", f"is {version}, which no infctl ever wrote")
        document = upgrades[step](document)
    return {**document, "format_version": FORMAT_VERSION} if version < FORMAT_VERSION else document


def _read(document: Plain) -> tuple[State, int]:
    row = _SHAPE.read(document, "state")
    _, _, infctl_version, lineage, stack, workspace, serial, fence, released, outputs, models, resources = row
    for name in ("lineage", "stack", "workspace"):
        if not document[name]:
            raise MalformedError(name, "is empty")
    for name in ("serial", "fence"):
        if document[name] < 0:
            raise MalformedError(name, f"is {document[name]}, below zero")
    for place, ident in enumerate(released):
        if type(ident) is not str:
            raise MalformedError(f"released[{place}]", "is not a string")
    by_id = {}
    for place, plain in enumerate(resources):
        resource = resource_from(plain, f"resources[{place}]")
        if resource.id in by_id:
            raise MalformedError(f"resources[{place}].id", f"is {resource.id}, which another resource has")
        by_id[resource.id] = resource
    return (
        State(
            lineage,
            stack,
            workspace,
            serial,
            infctl_version,
            by_id,
            {name: model_from(name, plain, f"models.{name}") for name, plain in models.items()},
            {name: codec.decode(value, "outputs", name) for name, value in outputs.items()},
            tuple(released),
        ),
        fence,
    )
