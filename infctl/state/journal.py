"""Owns the journal's records: what a run meant to do and what came of it, one line of JSON each.

The first line says which snapshot the records follow. Every line carries its number and a checksum of the rest of
it, so that a torn end, a damaged middle and a missing line are told apart. Pure: files and their durability are the
store's. Knows nothing of plans; a step is just its id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal, get_args

from infctl.diagnostics import InfctlError, Span, error
from infctl.frozen import dataclass
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
from infctl.state.model import FORMAT_VERSION, ModelState, Resource, State
from infctl.state.problems import STATE_TOO_NEW, damaged

What = Literal["begin", "done", "failed", "undo-begin", "undo-done"]


@dataclass(frozen=True, slots=True)
class Record:
    """One event of one step. `put` is what state says of an object from now on, `drop` an id that leaves state.

    The "begin" of a create puts the resource with pending="create", of a delete with pending="delete"; "done" puts
    the final one or drops it. `at` is UTC, ISO 8601, informative only.
    """

    step: str
    what: What
    put: Resource | None = None
    drop: str = ""
    model: ModelState | None = None
    at: str = ""


def replay(state: State, records: Iterable[Record]) -> State:
    """Return `state` with the puts, drops and models of `records` applied in order. Linear in both."""
    resources = dict(state.resources)
    models = dict(state.models)
    for record in records:
        fold(record, resources, models)
    return replace(state, resources=resources, models=models)


def fold(record: Record, resources: dict[str, Resource], models: dict[str, ModelState]) -> None:
    """Do in place what `record` says; apply and replay go through this one door."""
    if record.put is not None:
        resources[record.put.id] = record.put
    if record.drop:
        resources.pop(record.drop, None)
    if record.model is not None:
        models[record.model.name] = record.model


# ---------------------------------------------------------------- as text

_SUM = b'{"sum": "'  # then 16 hex characters of SHA-256 over what follows them and their closing `", `
_DIGITS = slice(len(_SUM), len(_SUM) + 16)
_BODY = slice(_DIGITS.stop + len(b'", '), None)
_HEADER = Shape(sum=str, seq=int, format_version=int, lineage=str, serial=int)
_RECORD = Shape(sum=str, seq=int, fence=int, step=str, what=str, put=object, drop=str, model=object, at=str)


@dataclass(frozen=True, slots=True)
class Journal:
    """What a journal's text says. It follows the snapshot `serial` of `lineage`; `fence` is the highest in it.

    `length` is in bytes up to the end of its last whole line: what comes after was never acknowledged.
    """

    lineage: str = ""
    serial: int = -1
    records: tuple[Record, ...] = ()
    fence: int = 0
    length: int = 0


def encode_header(lineage: str, serial: int) -> bytes:
    """Return the first line of a journal that follows the snapshot `serial` of `lineage`."""
    return _line({"seq": 0, "format_version": FORMAT_VERSION, "lineage": lineage, "serial": serial})


def encode(records: Iterable[Record], first: int, fence: int) -> bytes:
    """Return `records` as lines numbered from `first` (1 for the one after the header), written under `fence`."""
    return b"".join(
        _line(
            {
                "seq": number,
                "fence": fence,
                "step": record.step,
                "what": record.what,
                "put": None if record.put is None else resource_to_plain(record.put),
                "drop": record.drop,
                "model": None if record.model is None else {record.model.name: model_to_plain(record.model)},
                "at": record.at,
            }
        )
        for number, record in enumerate(records, first)
    )


def decode(text: bytes, file: str) -> Journal:
    """Return what a journal says; a last line without its end counts as never written.

    Raises InfctlError (state-damaged, state-too-new) that names `file` and the line.
    """
    journal, problem = read(text, file)
    if problem:
        raise problem
    return journal


def read(text: bytes, file: str) -> tuple[Journal, InfctlError | None]:
    """Return what a journal says up to its first wrong line, and what is wrong there."""
    journal = Journal()
    records: list[Record] = []
    fence = length = 0
    problem = None
    for number, line in enumerate(text.split(b"\n")[:-1]):
        try:
            if number == 0:
                journal = _header_from(line, file)
            else:
                record, under = _record_from(_parse(line, number))
                records.append(record)
                fence = max(fence, under)
        except MalformedError as wrong:
            problem = _damaged(file, number, wrong)
            break
        except InfctlError as refusal:
            problem = refusal
            break
        length += len(line) + 1
    return replace(journal, records=tuple(records), fence=fence, length=length), problem


def _line(plain: Plain) -> bytes:
    body = dump(plain)[1:].encode()
    return b'%s%s", %s\n' % (_SUM, _checksum(body), body)


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:16].encode()


def _parse(line: bytes, number: int) -> Plain:
    if not line.startswith(_SUM) or line[_DIGITS] != _checksum(line[_BODY]):
        raise MalformedError("sum", "its checksum does not fit")
    try:
        plain: Plain = json.loads(line)
    except (ValueError, RecursionError) as failure:
        raise MalformedError("sum", "it is not JSON") from failure
    if plain.get("seq") != number:
        raise MalformedError("seq", f"its number is {plain.get('seq')}, not {number}: lines are missing or doubled")
    return plain


def _header_from(line: bytes, file: str) -> Journal:
    plain = _parse(line, 0)
    version = plain.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        raise InfctlError(
            error(
                STATE_TOO_NEW,
                f"{file} was written by a newer infctl",
                f"its format is version {version}; this infctl knows up to {FORMAT_VERSION}",
                hint="use the infctl that was used last on this stack; nothing was changed",
            )
        )
    _, _, _, lineage, serial = _HEADER.read(plain, "header")
    return Journal(lineage, serial)


def _record_from(plain: Plain) -> tuple[Record, int]:
    _, _, fence, step, what, put, drop, model, at = _RECORD.read(plain, "record")
    if what not in get_args(What):
        raise MalformedError("record.what", f"is {what!r}, which is none of {', '.join(get_args(What))}")
    resource = None if put is None else resource_from(put, "record.put")
    return Record(step, what, resource, drop, _model_from(model), at), fence


def _model_from(plain: Any) -> ModelState | None:
    if plain is None:
        return None
    if type(plain) is not dict or len(plain) != 1:
        raise MalformedError("record.model", "is not one model under its name")
    ((name, inside),) = plain.items()
    return model_from(name, inside, f"record.model.{name}")


def _damaged(file: str, number: int, wrong: MalformedError) -> InfctlError:
    problem = wrong.problem if wrong.path in {"sum", "seq"} else f"{wrong.path} {wrong.problem}"
    hint = "infctl state recover rebuilds the state from what runs, helped by the lines before this one"
    return damaged(file, problem, span=Span(file, number + 1, 1), hint=hint)
