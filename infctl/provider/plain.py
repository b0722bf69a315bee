"""Owns what values are made of: plain JSON, and within it refs, references to secrets, and what is not known yet; how
that is written down, read again, and told apart by a digest.

Knows no value in particular.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from infctl.address import Address, parse_address
from infctl.frozen import dataclass
from infctl.secrets import UNKNOWN, Secret, SecretRef, Unknown


@dataclass(frozen=True, slots=True)
class Ref:
    """An output of another resource, as `Ref(address, "url")`: an edge of the graph, unknown until applied.

    `id` names one object where two revisions stand at one address; the planner fills it in.
    """

    address: Address
    path: str
    id: str = ""


# JSON values, and within them Ref, SecretRef, UNKNOWN and (only inside a Change) Secret.
Values = Mapping[str, Any]


def encode(value: Any) -> Any:
    """Return `value` as plain JSON: `{"$ref": [address, path, id]}`, `{"$secret": [name, delivery, digest]}`.

    Raises TypeError for a Secret or anything else that must not be written down.
    """
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, Ref):
        return {"$ref": [str(value.address), value.path, value.id]}
    if isinstance(value, SecretRef):
        return {"$secret": [value.name, value.delivery, value.digest]}
    if isinstance(value, Unknown):
        return {"$unknown": True}
    msg = f"{type(value).__name__} cannot be written down"
    raise TypeError(msg)


_CONTAINERS = frozenset({dict, list})  # asked inline: leaves outnumber containers, and a call each is what costs


def decode(value: Any) -> Any:
    """Return what `encode` was given; lists become tuples. What holds neither lists nor tags is given back as it is."""
    if type(value) is list:
        return tuple([decode(item) if type(item) in _CONTAINERS else item for item in value])
    if type(value) is not dict:
        return value
    if len(value) == 1:
        if "$ref" in value:
            address, path, ident = value["$ref"]
            return Ref(parse_address(address), path, ident)
        if "$secret" in value:
            return SecretRef(*value["$secret"])
        if "$unknown" in value:
            return UNKNOWN
    made = value
    for key, item in value.items():
        if type(item) in _CONTAINERS and (new := decode(item)) is not item:
            if made is value:
                made = value.copy()
            made[key] = new
    return made


# `encode` is asked only for what JSON has no word for: the same text as of `encode(value)`, in a third of the time.
_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False, default=encode
)


def digest(value: Any) -> str:
    """Return 16 hex characters of SHA-256 over the canonical JSON of `value`."""
    return hashlib.sha256(_CANONICAL.encode(value).encode()).hexdigest()[:16]


def leaves(value: Any) -> Iterator[Any]:
    """Yield every non-container value inside `value`."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def without_secrets(value: Any) -> Any:
    """Return a Change's values as they may be written down: each secret as its reference."""
    if isinstance(value, Secret):
        if value.ref is None:
            raise ValueError("a secret came without its reference, so it cannot be written down")
        return value.ref
    if isinstance(value, Mapping):
        return {key: without_secrets(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(without_secrets(item) for item in value)
    return value


def refs(value: Any) -> tuple[Ref, ...]:
    return tuple(leaf for leaf in leaves(value) if isinstance(leaf, Ref))
