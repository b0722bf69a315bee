"""Owns the comparison of values: which fields differ, and what that means for the object.

Knows kinds only through their KindSpec.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infctl.address import Address
from infctl.plan.model import Effect, FieldChange
from infctl.provider.kinds import FieldSpec, KindSpec
from infctl.provider.values import Ref, Values
from infctl.secrets import UNKNOWN, SecretRef

_UNLISTED = FieldSpec()


def resolve(value: Any, outputs: Mapping[str, Values], ids: Mapping[Address, str]) -> Any:
    """Return `value` with each Ref replaced by what it points at, or UNKNOWN.

    `outputs` are by object id; `ids` says which object stands at an address when the Ref does not.
    """
    if isinstance(value, Ref):
        found = outputs.get(value.id or ids.get(value.address, ""))
        return UNKNOWN if found is None else found.get(value.path, UNKNOWN)
    if isinstance(value, Mapping):
        return {key: resolve(item, outputs, ids) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(resolve(item, outputs, ids) for item in value)
    return value


def pin_refs(value: Any, ids: Mapping[Address, str]) -> Any:
    """Return `value` with each Ref naming the object that `ids` (address -> id) says stands there."""
    if isinstance(value, Ref):
        return Ref(value.address, value.path, ids.get(value.address, value.id))
    if isinstance(value, Mapping):
        return {key: pin_refs(item, ids) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(pin_refs(item, ids) for item in value)
    return value


def with_digests(value: Any, digests: Mapping[str, str]) -> Any:
    """Return `value` with each secret reference carrying the digest known for it now."""
    if isinstance(value, SecretRef):
        return SecretRef(value.name, value.delivery, digests.get(value.name, ""))
    if isinstance(value, Mapping):
        return {key: with_digests(item, digests) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(with_digests(item, digests) for item in value)
    return value


def diff(kind: KindSpec, before: Values, after: Values) -> tuple[FieldChange, ...]:
    """Return the fields that differ, leaf by leaf, in order of their names; fields a platform owns never do."""
    if before == after:
        return ()
    changes: list[FieldChange] = []
    for name in sorted({*before, *after}):
        spec = kind.fields.get(name, _UNLISTED)
        if spec.owned_by_platform:
            continue
        effect = Effect.REPLACE if spec.forces_replace else Effect.IN_PLACE
        changes += (
            FieldChange(path, old, new, effect, spec.forces_replace)
            for path, old, new in _differences((name,), before.get(name), after.get(name))
        )
    return tuple(changes)


def _differences(path: tuple[str, ...], old: Any, new: Any) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _differences((*path, key), old.get(key), new.get(key))
    elif not same(old, new):
        yield path, old, new


def same(old: Any, new: Any) -> bool:
    """Return whether two values are equal; a secret whose digest is not known on one side is taken as equal."""
    if isinstance(old, SecretRef) and isinstance(new, SecretRef):
        return (old.name, old.delivery) == (new.name, new.delivery) and (
            not old.digest or not new.digest or old.digest == new.digest
        )
    if old is UNKNOWN or new is UNKNOWN:
        return False
    return bool(old == new)
