"""Owns the head of a shared state as value and text: who holds the lock, which snapshot counts, what was done since.

One small JSON document, replaced whole by compare-and-swap: whoever replaces it has seen all that came before, so a
lease that was taken over can write nothing more. Pure; knows no place.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from infctl.diagnostics import InfctlError, error
from infctl.frozen import dataclass, replace
from infctl.state.codec import MalformedError, Shape
from infctl.state.problems import STATE_TOO_NEW, damaged

FORM = 1  # of the head
_SHAPE = Shape(
    sum=str, form=int, seq=int, nonce=str, fence=int, lock=str, key=str,
    snapshot=object, history=list, segments=list, tail=str, records=int, lost=bool,
)  # fmt: skip
_PART = Shape(name=str, sum=str, text=str)
_SNAPSHOT = Shape(serial=int, lineage=str, part=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """A text that the head speaks of: kept under `name` with SHA-256 `sum`; where `name` is "", it is `text`."""

    name: str
    sum: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Current:
    """The snapshot that counts."""

    serial: int
    lineage: str
    part: Part


@dataclass(frozen=True, slots=True)
class Head:
    """`seq` counts the writes of this head and `nonce` is each write's own, so that no two heads are alike.

    `fence` is the last that was given; `lock` what a `lease.Cell` holds, "" while nobody does; `key` the sealed digest
    key. The journal since the snapshot is `segments` and then `tail`, sealed too; `records` counts its records.
    `history` names the snapshots before the current one, newest first. `lost` is whether it took the place of a head
    that could not be read, or was gone although there are snapshots.
    """

    seq: int = 0
    nonce: str = ""
    fence: int = 0
    lock: str = ""
    key: str = ""
    snapshot: Current | None = None
    history: tuple[str, ...] = ()
    segments: tuple[Part, ...] = ()
    tail: str = ""
    records: int = 0
    lost: bool = False
    broken: InfctlError | None = None  # what is wrong with one that cannot be read

    @property
    def serial(self) -> int:
        return self.snapshot.serial if self.snapshot else -1

    @property
    def named(self) -> frozenset[str]:
        """The names of all parts that count."""
        parts = (*self.segments, *((self.snapshot.part,) if self.snapshot else ()))
        return frozenset((*self.history, *(part.name for part in parts if part.name)))


def checksum(data: bytes) -> str:
    return sha256(data).hexdigest()


def encode(head: Head) -> bytes:
    plain = {"form": FORM, **asdict(head)}
    del plain["broken"]
    body = json.dumps(plain)
    return f'{{"sum": "{checksum(body.encode())}", {body[1:]}\n'.encode()


def decode(text: bytes, where: str) -> Head:
    """Return what a head says; one that cannot be read is said to be `broken`, and holds a lock that nobody confirms.

    Raises InfctlError (state-too-new).
    """
    try:
        return _read(json.loads(text), where)
    except (ValueError, RecursionError, MalformedError) as failure:
        problem = failure.problem if isinstance(failure, MalformedError) else "it is not JSON"
        return Head(lock=f"unreadable {checksum(text)}", broken=damaged(where, problem))


def _read(plain: Any, where: str) -> Head:
    if type(plain) is not dict:
        raise MalformedError("", "it is not a JSON object")
    form = plain.get("form")
    if type(form) is int and form > FORM:
        raise InfctlError(
            error(
                STATE_TOO_NEW,
                f"{where} was written by a newer infctl",
                f"its form is {form}; this infctl knows up to {FORM}",
                hint="use the infctl that was used last on this stack; nothing was changed",
            )
        )
    found, *row = _SHAPE.read(plain, "head")
    rest = {key: value for key, value in plain.items() if key != "sum"}
    if found != checksum(json.dumps(rest).encode()):
        raise MalformedError("sum", "its checksum does not fit: it was changed by something other than infctl")
    _, seq, nonce, fence, lock, key, snapshot, history, segments, tail, records, lost = row
    parts = tuple(_part(each, f"segments[{number}]") for number, each in enumerate(segments))
    return Head(seq, nonce, fence, lock, key, _current(snapshot), tuple(history), parts, tail, records, lost)


def _current(plain: Any) -> Current | None:
    if plain is None:
        return None
    serial, lineage, part = _SNAPSHOT.read(plain, "snapshot")
    return Current(serial, lineage, _part(part, "snapshot.part"))


def _part(plain: Any, where: str) -> Part:
    return Part(*_PART.read(plain, where))


def with_lock(head: Head, lock: bytes | None) -> Head:
    return replace(head, lock=(lock or b"").decode())
