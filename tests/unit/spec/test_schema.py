"""The JSON Schema takes what infctl takes, and refuses what an editor should underline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from infctl.spec.loader import load_bytes
from infctl.spec.schema import json_schema
from tests.fakes.target_types import FakeTypes
from tests.unit.spec.test_stack import FULL

CASES = Path(__file__).parents[2] / "cases"
SCHEMA = json_schema(FakeTypes())
CHECK = Draft202012Validator(SCHEMA)


def value_of(text: str) -> dict[str, Any]:
    source, problems = load_bytes(text.encode(), "inference.yaml")
    assert not problems
    assert source is not None
    return source.value


def wrong_places(value: Any) -> list[str]:
    return sorted({"/".join(map(str, each.path)) for each in CHECK.iter_errors(value)})


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", ["hello.yaml", "north-star.yaml"])
def test_the_given_files_are_right(name: str) -> None:
    assert wrong_places(value_of((CASES / name).read_text())) == []


def test_a_file_with_variables_and_inheritance_is_right() -> None:
    text = "  next: {like: chat, owner: null, replicas: null, timeouts: {pull: null}, protect: '${var.port}'}\n"
    assert wrong_places({**value_of("apiVersion: infctl/v1\nname: shop\n" + FULL)}) == []
    assert wrong_places(value_of("apiVersion: infctl/v1\nname: a\nmodels:\n" + text)) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("apiVersion: infctl/v2\nname: a\n", "apiVersion"),
        ("apiVersion: infctl/v1\n", ""),
        ("apiVersion: infctl/v1\nname: Shop\n", "name"),
        ("apiVersion: infctl/v1\nname: a\nmodles: {}\n", ""),
        ("apiVersion: infctl/v1\nname: a\nmodels: {Chat: {}}\n", "models"),
        ("apiVersion: infctl/v1\nname: a\nmodels: {chat: {replica: 1}}\n", "models/chat"),
        ("apiVersion: infctl/v1\nname: a\nmodels: {chat: {name: x}}\n", "models/chat"),
        ("apiVersion: infctl/v1\nname: a\nmodels: {chat: {replicas: -1}}\n", "models/chat/replicas"),
        ("apiVersion: infctl/v1\nname: a\nmodels: {chat: {protect: yes}}\n", "models/chat/protect"),
        ("apiVersion: infctl/v1\nname: a\nmodels: {chat: {engine: vlm}}\n", "models/chat/engine"),
        ("apiVersion: infctl/v1\nname: a\nmodels: {chat: {timeouts: {pull: 30}}}\n", "models/chat/timeouts"),
        ("apiVersion: infctl/v1\nname: a\nmodels: {chat: {slo: {ttft: {p96: 1s}}}}\n", "models/chat/slo"),
        ("apiVersion: infctl/v1\nname: a\nmodels: {chat: {env: {A: 1}}}\n", "models/chat/env"),
        ("apiVersion: infctl/v1\nname: a\ntargets: {here: {}}\n", "targets/here"),
        ("apiVersion: infctl/v1\nname: a\ntargets: {here: {type: local, memry: 1}}\n", "targets/here"),
        ("apiVersion: infctl/v1\nname: a\nvariables: {a: {type: int}}\n", "variables/a/type"),
    ],
)
def test_a_wrong_file_is_refused_where_it_is_wrong(text: str, where: str) -> None:
    assert wrong_places(value_of(text)) == [where]


def test_every_field_says_what_it_is_for() -> None:
    model = SCHEMA["$defs"]["Model"]["properties"]
    assert [name for name, field in model.items() if not field.get("description")] == []
    assert [name for name, field in SCHEMA["properties"].items() if not field.get("description")] == []


def test_an_editor_can_complete_the_installed_types() -> None:
    kinds = SCHEMA["properties"]["targets"]["additionalProperties"]["properties"]["type"]["anyOf"]
    assert kinds[0] == {"enum": ["basic", "local"]}
    assert set(SCHEMA["$defs"]["target-local"]["properties"]) == {"type", "memory", "ports"}
