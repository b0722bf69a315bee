"""Owns how outputs look: Terraform's JSON, text, and one raw value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infctl.views.style import columns


def type_name(value: Any) -> str | list[Any]:
    """Return Terraform's name for the type of an output's value: ["map", ["list", "string"]] for MODEL.urls."""
    if isinstance(value, Mapping):
        return ["map", type_name(next(iter(value.values()), ""))]
    if isinstance(value, (list, tuple)):
        return ["list", type_name(next(iter(value), ""))]
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, (int, float)) else "string"


def outputs_json(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return outputs in the shape of `terraform output -json`."""
    return {
        name: {"sensitive": False, "type": type_name(value), "value": value} for name, value in sorted(outputs.items())
    }


def show_outputs(outputs: Mapping[str, Any]) -> list[str]:
    return columns([(name, f"= {json.dumps(value, ensure_ascii=False)}") for name, value in sorted(outputs.items())], 1)


def raw(value: Any) -> str:
    """Return one value for a shell: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
