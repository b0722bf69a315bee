"""Owns what of a live object is ours: the fields that we wrote, with the values that they have now. Pure.

So what a cluster fills in by default, what admission adds (a side container, a variable) and what others own is no
difference; what somebody changed of ours is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What the items of a list are told apart by: the list-map-keys of Pod's schema, the first that is in all of them.
_KEYS = ("name", "mountPath", "containerPort", "topologyKey")


def as_seen(ours: Any, live: Any) -> Any:
    """Return `live` in the form of `ours`: of mappings only our keys, of lists of named items only our items.

    Any other list is whole, as the API server takes it; what is gone is None, or missing in its list.
    """
    if isinstance(ours, Mapping):
        return (
            {key: as_seen(value, live.get(key)) for key, value in ours.items()} if isinstance(live, Mapping) else live
        )
    if isinstance(ours, (list, tuple)):
        return _items(tuple(ours), live) if isinstance(live, list) else live
    return live


def _items(ours: tuple[Any, ...], live: list[Any]) -> Any:
    key = _key_of(ours)
    if key:
        there = {item.get(key): item for item in live if isinstance(item, Mapping)}
        return tuple(as_seen(item, there[item[key]]) for item in ours if item[key] in there)
    if len(ours) != len(live):
        return _frozen(live)
    return tuple(as_seen(mine, its) for mine, its in zip(ours, live, strict=True))


def _key_of(items: tuple[Any, ...]) -> str:
    if not items or not all(isinstance(item, Mapping) for item in items):
        return ""
    return next((key for key in _KEYS if all(key in item for item in items)), "")


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    return {key: _frozen(item) for key, item in value.items()} if isinstance(value, dict) else value
