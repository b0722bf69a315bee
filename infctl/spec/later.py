"""Owns fields whose vocabulary is loaded only when a file uses them.

Building the models of what no code serves yet costs more than planning a small stack.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


@cache
def adapter(name: str) -> TypeAdapter[Any]:
    """Return what checks the vocabulary's type `name`."""
    return TypeAdapter(type_of(name))


def type_of(name: str) -> Any:
    from infctl.spec import vocabulary  # noqa: PLC0415  -- the point of this module

    return getattr(vocabulary, name)


class Later:
    """An annotation: checked as the type `name` of `vocabulary`, which is loaded for the first value."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def form(self) -> Any:
        return type_of(self.name)

    def check(self, value: Any) -> Any:
        return adapter(self.name).validate_python(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(adapter(self.name).core_schema)
