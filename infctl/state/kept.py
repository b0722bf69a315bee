"""Owns the form in which a large snapshot is kept beside itself: the same state, read in half the time. Pure.

A snapshot is written to be read by people and programs: every field has its name, and ten thousand models that run the
same say so ten thousand times. Here fields have places, and equal parts are written once. It holds for the bytes of one
snapshot, by their digest, and for the infctl that wrote it; anything else in its place is no kept state at all, and the
snapshot is read. Plain JSON: what stands in a folder that came from elsewhere cannot do more than what it says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from infctl import __version__
from infctl.address import parse_address
from infctl.provider import values
from infctl.state.codec import FAILURE, HOLD, MODEL, RESOURCE, REVISION, dump
from infctl.state.model import Failure, Hold, ModelState, Resource, Revision, State
from infctl.state.snapshot import Snapshot

LEAST = 1_000_000  # bytes of a snapshot for which it is worth it: a smaller one is read in a hundredth of a second
_FORM = [1, __version__, *(name for shape in (RESOURCE, MODEL, REVISION, HOLD, FAILURE) for name in shape.fields)]
_SHARED = slice(7, 10)  # of a resource's row: values, outputs, reach


def encode(state: State, fence: int, snapshot: bytes) -> bytes:
    """Return what is kept of `state`, whose snapshot under the lease `fence` has the bytes `snapshot`."""
    parts = _Parts()
    resources = []
    for thing in state.resources.values():
        row = [str(thing.address), *RESOURCE.of(thing)[1:]]
        row[_SHARED] = map(parts.number, row[_SHARED])
        resources.append(row)
    plain = {
        "of": _name(snapshot),
        "fence": fence,
        "state": [state.lineage, state.stack, state.workspace, state.serial, state.infctl_version],
        "resources": resources,
        "models": [_model_row(model, parts) for model in state.models.values()],
        "outputs": state.outputs,
        "released": state.released,
    }
    body = f'{dump(plain)[:-1]}, "parts": [{", ".join(parts.numbers)}]}}'.encode()
    return _digest(body) + b"\n" + body


def decode(text: bytes, snapshot: bytes) -> Snapshot | None:
    """Return what `snapshot` says, None where `text` is not what was kept of it."""
    checksum, _, body = text.partition(b"\n")
    if not body or checksum != _digest(body):
        return None
    plain = json.loads(body)
    return _snapshot(plain) if plain["of"] == _name(snapshot) else None


def _digest(data: bytes) -> bytes:
    return sha256(data).hexdigest().encode()


def _name(snapshot: bytes) -> list[Any]:
    return [*_FORM, sha256(snapshot).hexdigest()]


# ---------------------------------------------------------------- writing


class _Parts:
    """Values that are written once, however many say them: each has a number."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, value: Any) -> int:
        return self.numbers.setdefault(dump(value), len(self.numbers))


def _model_row(model: ModelState, parts: _Parts) -> list[Any]:
    return [
        model.name,
        model.revision,
        model.next_revision,
        [[each.number, each.spec_hash, _templates_row(each.template, parts), each.at] for each in model.revisions],
        model.hold and HOLD.of(model.hold),
        model.failure and FAILURE.of(model.failure),
        model.aliases,
    ]


def _templates_row(templates: Mapping[str, Any], parts: _Parts) -> dict[str, int | list[int]]:
    """Return each target's template as the number of its names and those of its values: most differ in one of them."""
    return {
        target: [parts.number(tuple(template)), *map(parts.number, template.values())]
        if isinstance(template, Mapping)
        else parts.number(template)
        for target, template in templates.items()
    }


# ---------------------------------------------------------------- reading


def _snapshot(plain: dict[str, Any]) -> Snapshot:
    parts = [values.decode(part) for part in plain["parts"]]
    lineage, stack, workspace, serial, version = plain["state"]
    resources = {}
    for address, ident, name, target, model, revision, spec_hash, holds, told, reach, *rest in plain["resources"]:
        resources[ident] = Resource(
            parse_address(address), ident, name, target, model, revision, spec_hash,
            parts[holds], parts[told], parts[reach], *rest,
        )  # fmt: skip
    models = {row[0]: _model(row, parts) for row in plain["models"]}
    outputs = {name: values.decode(value) for name, value in plain["outputs"].items()}
    released = tuple(plain["released"])
    return Snapshot(
        State(lineage, stack, workspace, serial, version, resources, models, outputs, released), plain["fence"]
    )


def _model(row: list[Any], parts: list[Any]) -> ModelState:
    name, revision, following, revisions, hold, failure, aliases = row
    return ModelState(
        name,
        revision,
        following,
        tuple([Revision(number, spec, _templates(said, parts), at) for number, spec, said, at in revisions]),
        hold and Hold(*hold),
        failure and Failure(*failure),
        tuple(aliases),
    )


def _templates(rows: dict[str, int | list[int]], parts: list[Any]) -> dict[str, Any]:
    return {
        target: parts[row]
        if isinstance(row, int)
        else dict(zip(parts[row[0]], map(parts.__getitem__, row[1:]), strict=True))
        for target, row in rows.items()
    }
