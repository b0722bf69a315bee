"""Owns what a plan says of a model's arguments: in the words of its fields, where its engine has such a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infctl.engines.resolve import in_own_words

View = dict[str, Any]
_ARGS = "args"  # of a template


def settings(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of a template, said as its user would."""
    return in_own_words(template["engine"], template[_ARGS])


def said_fields(template: Mapping[str, Any], fields: Iterable[View]) -> list[View]:
    """Return `fields`, how a template came to be as it is, with an argument that stems from a field as that field.

    One that is derived from others, and whose own field stays as it is, is left out.
    """
    told, after = list(fields), settings(template)
    before = settings(_before(template, told))
    derived = [f for f in told if f["path"][0] == _ARGS and f["path"][-1] not in {*before, *after}]
    if not derived:
        return told
    kept = [field for field in told if field not in derived]
    own = {key for key in (*before, *after) if key not in template[_ARGS] and before.get(key) != after.get(key)}
    heard = {tuple(field["path"]) for field in kept}
    new = [
        {**derived[0], "path": [key], "from": derived[0]["path"], "before": before.get(key), "after": after.get(key)}
        for key in sorted(own)
        if (_ARGS, key) not in heard
    ]
    return [*new, *kept]


def _before(template: Mapping[str, Any], fields: Iterable[View]) -> dict[str, Any]:
    """Return the engine and the arguments that a template had before `fields` changed."""
    args, engine = dict(template[_ARGS]), template["engine"]
    for field in fields:
        if field["path"] == ["engine"]:
            engine = field["before"]
        elif field["path"][0] == _ARGS and field["before"] is None:
            args.pop(field["path"][-1], None)
        elif field["path"][0] == _ARGS:
            args[field["path"][-1]] = field["before"]
    return {"engine": engine, _ARGS: args}
