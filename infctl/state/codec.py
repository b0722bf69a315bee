"""Owns how resources and models are written as plain JSON, in snapshot and journal alike.

Strict both ways: what is read must have exactly the fields that are written, each of its type. Built for tens of
thousands of resources: one C-level comparison checks a whole object; only a wrong one is looked at field by field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from operator import attrgetter, itemgetter
from typing import Any, TypeVar

from infctl.address import parse_address
from infctl.diagnostics import InfctlError, did_you_mean
from infctl.provider import values
from infctl.state.model import Failure, Hold, ModelState, Resource, Revision

Plain = dict[str, Any]
T = TypeVar("T", Hold, Failure)
_SHORT = 40  # characters of a wrong value that a message shows
_JSON_NAMES = {dict: "an object", list: "a list", str: "a string", int: "a whole number", bool: "true or false"}


class MalformedError(ValueError):
    """What was read is not what infctl writes. `path` says where, as "resources[3].revision"."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class Shape:
    """The exact fields of a written object, and the JSON type of each (`object` for any)."""

    def __init__(self, **fields: type) -> None:
        self.fields = fields
        self.row = itemgetter(*fields)
        self.of = attrgetter(*fields)
        self._exact = tuple(type(None) if kind is object else kind for kind in fields.values())  # mostly nothing

    def read(self, plain: Any, path: str) -> tuple[Any, ...]:
        """Return the values of `plain` in the order of `fields`. Raises MalformedError."""
        try:
            row: tuple[Any, ...] = self.row(plain)
        except (KeyError, TypeError):
            raise self._wrong(plain, path) from None
        if tuple(map(type, row)) != self._exact or len(plain) != len(row):
            self._check(plain, path)
        return row

    def _check(self, plain: Plain, path: str) -> None:
        for name, kind in self.fields.items():
            if kind is not object and type(plain[name]) is not kind:
                raise MalformedError(f"{path}.{name}", f"is {_short(plain[name])}, not {_JSON_NAMES[kind]}")
        for name in plain:
            if name not in self.fields:
                near = did_you_mean(name, self.fields)
                raise MalformedError(f"{path}.{name}", f"is not a field of it{'; ' + near if near else ''}")

    def _wrong(self, plain: Any, path: str) -> MalformedError:
        if type(plain) is not dict:
            return MalformedError(path, f"is {_short(plain)}, not an object")
        missing = next(name for name in self.fields if name not in plain)
        return MalformedError(f"{path}.{missing}", "is missing")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHORT else f"{text[:37]}..."


RESOURCE = Shape(
    address=str,
    id=str,
    name=str,
    target=str,
    model=str,
    revision=int,
    spec_hash=str,
    values=dict,
    outputs=dict,
    reach=dict,
    lowering=int,
    inputs=str,
    fence=int,
    deposed=bool,
    pending=str,
    ready=bool,
)
MODEL = Shape(revision=int, next_revision=int, revisions=list, hold=object, failure=object, aliases=list)
REVISION = Shape(number=int, spec_hash=str, template=dict, at=str)
HOLD = Shape(revision=int, asked=str, by=str, at=str)
FAILURE = Shape(revision=int, spec_hash=str, reason=str, at=str)


_VALUES = ("values", "outputs", "reach")
_UNDECODABLE = (TypeError, ValueError, RecursionError, InfctlError)
_ENCODER = json.JSONEncoder(default=values.encode, check_circular=False)


def dump(plain: Any) -> str:
    """Return one line of JSON; refs, secret references and unknowns as `infctl.provider.values` writes them."""
    return _ENCODER.encode(plain)


def decode(plain: Any, *path: str) -> Any:
    """Return `infctl.provider.values.decode` of it. Raises MalformedError for a $ref or $secret that is not one."""
    try:
        return values.decode(plain)
    except _UNDECODABLE as failure:
        raise MalformedError(".".join(path), "holds a $ref or $secret that is not one") from failure


def resource_to_plain(resource: Resource) -> Plain:
    plain: Plain = dict(zip(RESOURCE.fields, RESOURCE.of(resource), strict=True))
    plain["address"] = str(resource.address)
    return plain


def resource_from(plain: Any, path: str) -> Resource:
    """Return the resource that `plain` describes. Raises MalformedError."""
    row = RESOURCE.read(plain, path)
    if not row[1]:
        raise MalformedError(f"{path}.id", "is empty")
    try:
        address = parse_address(row[0])
    except InfctlError as failure:
        raise MalformedError(f"{path}.address", failure.diagnostics[0].summary) from failure
    try:
        parts = [values.decode(part) for part in row[7:10]]
    except _UNDECODABLE:  # once more, to say which
        parts = [decode(part, path, name) for name, part in zip(_VALUES, row[7:10], strict=True)]
    return Resource(address, *row[1:7], *parts, *row[10:])


def model_to_plain(model: ModelState) -> Plain:
    return {
        "revision": model.revision,
        "next_revision": model.next_revision,
        "revisions": [_plain(REVISION, revision) for revision in model.revisions],
        "hold": model.hold and _plain(HOLD, model.hold),
        "failure": model.failure and _plain(FAILURE, model.failure),
        "aliases": list(model.aliases),
    }


def model_from(name: str, plain: Any, path: str) -> ModelState:
    """Return the model that `plain` describes. Raises MalformedError."""
    revision, following, revisions, hold, failure, aliases = MODEL.read(plain, path)
    for place, alias in enumerate(aliases):
        if type(alias) is not str:
            raise MalformedError(f"{path}.aliases[{place}]", f"is {_short(alias)}, not a string")
    return ModelState(
        name,
        revision,
        following,
        tuple(_revision_from(entry, f"{path}.revisions[{place}]") for place, entry in enumerate(revisions)),
        None if hold is None else Hold(*HOLD.read(hold, f"{path}.hold")),
        None if failure is None else Failure(*FAILURE.read(failure, f"{path}.failure")),
        tuple(aliases),
    )


def _revision_from(plain: Any, path: str) -> Revision:
    number, spec_hash, template, at = REVISION.read(plain, path)
    return Revision(number, spec_hash, decode(template, path, "template"), at)


def _plain(shape: Shape, value: object) -> Mapping[str, Any]:
    return dict(zip(shape.fields, shape.of(value), strict=True))
