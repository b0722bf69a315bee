"""Owns the JSON Schema of the language (draft 2020-12): what an editor completes and checks with.

Made from the same models that check a file, and from the installed types of targets. It is no stricter than infctl:
a `${var.x}` may stand for any value, null may take away what is inherited, and targets of types that are not
installed are let through. Imports pydantic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from infctl.address import NAME_PATTERN
from infctl.spec.backends import BACKENDS
from infctl.spec.file import File
from infctl.spec.interpolate import NAME
from infctl.spec.types import TargetTypes

Schema = dict[str, Any]
LOCAL = "local"  # the backend of a state that names none
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = {"type": "string", "pattern": r"\$\{\s*var\.", "description": "the value of a variable"}
_SPOKEN = ("description", "default")  # what stays beside a choice
_NAMED = {
    "models": f"^{NAME_PATTERN}$",
    "targets": f"^{NAME_PATTERN}$",
    "secrets": f"^{NAME}$",
    "variables": f"^{NAME}$",
}
_AS_WRITTEN = frozenset({"apiVersion", "requires", "variables", "state"})


def json_schema(types: TargetTypes) -> Schema:
    """Return the schema of a whole file. Raises InfctlError where an installed provider is broken."""
    whole = File.model_json_schema(by_alias=True)
    parts: Schema = {"Variable": _VARIABLE}
    for name, part in whole["$defs"].items():
        parts[name] = _tidy(part) if name in {"VariableSpec", "StateSpec"} else _opened(part)
    properties: Schema = {}
    for name, field in whole["properties"].items():
        properties[name] = _tidy(field) if name in _AS_WRITTEN else _choice(_opened(field), nullable=False)
    name_form = {"type": "string", "pattern": f"^{NAME_PATTERN}$"}
    properties["name"] = _choice({**_tidy(whole["properties"]["name"]), **name_form}, nullable=False)
    for name, pattern in _NAMED.items():
        properties[name] = {**_tidy(whole["properties"][name]), "propertyNames": {"pattern": pattern}}
    properties["targets"]["additionalProperties"] = _target(types, parts)
    parts["StateSpec"]["allOf"] = [_backend(kind, form, parts) for kind, form in BACKENDS.items()]
    return {
        "$schema": _DRAFT,
        "title": "inference.yaml",
        "type": "object",
        "properties": properties,
        "required": whole["required"],
        "additionalProperties": False,
        "$defs": parts,
    }


def _target(types: TargetTypes, parts: Schema) -> Schema:
    """Return the schema of one target. Its types' own schemas, and what they refer to, go into `parts`."""
    rules = []
    for kind in types.names():
        form = types.config(kind)
        if form is None:
            continue
        name = f"target-{kind}"
        fields = form.model_json_schema(by_alias=True, ref_template=f"#/$defs/{name}-{{model}}")
        parts |= {f"{name}-{inner}": _opened(part) for inner, part in fields.pop("$defs", {}).items()}
        fields["properties"] = {"type": {"const": kind}, **fields.get("properties", {})}
        parts[name] = _opened(fields)
        parts[name]["properties"]["type"] = {"const": kind}
        rules.append({"if": {"properties": {"type": {"const": kind}}}, "then": {"$ref": f"#/$defs/{name}"}})
    kinds = {"anyOf": [{"enum": list(types.names())}, {"type": "string"}], "description": "what kind of place it is"}
    return {"type": "object", "properties": {"type": kinds}, "required": ["type"], "allOf": rules}


def _backend(kind: str, form: type[BaseModel], parts: Schema) -> Schema:
    """Return the rule of one backend of state. Its fields hold no variables: they are as they are written."""
    fields = _tidy(form.model_json_schema(by_alias=True))
    fields["properties"] = {name: _tidy(inner) for name, inner in fields["properties"].items()}
    common = dict.fromkeys(("backend", "encryption"), True)
    parts[f"state-{kind}"] = {**fields, "properties": {**common, **fields["properties"]}}
    said: Schema = {"properties": {"backend": {"const": kind}}}
    if kind != LOCAL:
        said["required"] = ["backend"]
    return {"if": said, "then": {"$ref": f"#/$defs/state-{kind}"}}


def _opened(schema: Schema) -> Schema:
    """Return `schema` with a variable or null allowed wherever a value stands inside of it."""
    made = _tidy(schema)
    if "properties" in made:
        made["properties"] = {name: _choice(_opened(inner)) for name, inner in made["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            made[key] = _choice(_opened(made[key]))
    if "prefixItems" in made:
        made["prefixItems"] = [_choice(_opened(inner)) for inner in made["prefixItems"]]
    if "anyOf" in made:
        made["anyOf"] = [_opened(inner) for inner in made["anyOf"]]
    return made


def _choice(schema: Schema, *, nullable: bool = True) -> Schema:
    """Return a schema of a value that may also be a variable, or null where something can be inherited."""
    if not schema.keys() - set(_SPOKEN):
        return schema  # takes everything as it is
    spoken = {key: schema[key] for key in _SPOKEN if key in schema}
    bare = {key: value for key, value in schema.items() if key not in _SPOKEN}
    choices = bare["anyOf"] if bare.keys() == {"anyOf"} else [bare]
    any_text = any(one.get("type") == "string" and not one.keys() & {"pattern", "enum", "const"} for one in choices)
    extra = [] if any_text else [{"$ref": "#/$defs/Variable"}]
    if nullable and {"type": "null"} not in choices:
        extra.append({"type": "null"})
    return {**spoken, "anyOf": [*choices, *extra]} if extra else schema


def _tidy(schema: Mapping[str, Any]) -> Schema:
    """Return `schema` without pydantic's titles and without defaults that say nothing."""
    return {
        key: value
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and value in (None, {}, []))
    }
