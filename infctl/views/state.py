"""Owns how state looks: one resource with what it has, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infctl.provider.values import encode
from infctl.state.model import Resource
from infctl.views.style import Style


def resource_json(thing: Resource) -> dict[str, Any]:
    """Return one resource in Terraform's names, ours under `infctl`."""
    return {
        "address": str(thing.address),
        "mode": "managed",
        "type": thing.address.kind,
        "name": thing.address.name,
        "index": thing.address.key or None,
        "provider_name": thing.reach.get("type", ""),
        "values": {**encode(thing.values), **encode(thing.outputs)},
        "infctl": {
            "id": thing.id,
            "name": thing.name,
            "target": thing.target,
            "model": thing.model,
            "revision": thing.revision,
            "deposed": thing.deposed,
            "pending": thing.pending,
            "ready": thing.ready,
        },
    }


def show_resource(thing: Resource, style: Style) -> list[str]:
    """Return one resource as text, its values and outputs below its address."""
    view = resource_json(thing)
    ours = view["infctl"]
    notes = [f"r{thing.revision}"] if thing.revision else []
    notes += [word for word, is_so in (("deposed", thing.deposed), ("not ready", not thing.ready)) if is_so]
    notes += [f"{thing.pending} begun, end unknown"] if thing.pending else []
    lines = [style.paint(f"# {view['address']}", "bold") + (f"  ({', '.join(notes)})" if notes else "")]
    facts = {"id": ours["id"], "name": ours["name"], "target": ours["target"], **view["values"]}
    width = max(len(name) for name in facts)
    for name in ("id", "name", "target", *sorted(view["values"])):
        lines += _field(name.ljust(width), facts[name], style)
    return lines


def _field(name: str, value: Any, style: Style) -> Iterator[str]:
    if isinstance(value, Mapping) and value and not any(key.startswith("$") for key in value):
        yield f"    {name} ="
        width = max(len(key) for key in value)
        for key in sorted(value):
            yield from (f"    {line}" for line in _field(key.ljust(width), value[key], style))
    else:
        yield style.cut(f"    {name} = {plain(value)}")


def plain(value: Any) -> str:
    """Return an encoded value as one short word: a reference by what it points at, a secret by its name."""
    if isinstance(value, Mapping):
        if "$ref" in value:
            return f"{value['$ref'][0]}.{value['$ref'][1]}"
        if "$secret" in value:
            return f"secret://{value['$secret'][0]}"
        if "$unknown" in value:
            return "(known after apply)"
    return json.dumps(value, ensure_ascii=False)
