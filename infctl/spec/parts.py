"""Owns the building blocks of the language's models: strict scalars, quantities with units, and the base class.

YAML has types, so nothing is converted: `"8"` is no number and `1` is not true. Imports pydantic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    Strict,
    StrictBool,
    StrictInt,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from infctl.spec import units


class Part(BaseModel):
    """A mapping of the language: closed, immutable. `noun` is what messages call it."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, protected_namespaces=())
    noun: ClassVar[str] = "this mapping"


class Through:
    """An annotation: a value goes through `take`, which may ask the model `form` for what is written as a mapping."""

    def __init__(self, form: type[BaseModel], take: Callable[[Any, ValidatorFunctionWrapHandler], Any]) -> None:
        self.form = form
        self._take = take

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._take, handler(self.form))


def _written(pattern: str, *, number: bool = False) -> WithJsonSchema:
    """Return the JSON Schema of a quantity as it is written."""
    text = {"type": "string", "pattern": pattern}
    return WithJsonSchema({"anyOf": [{"type": "number"}, text]} if number else text)


Whole = Annotated[StrictInt, Field(ge=0)]
Count = Annotated[StrictInt, Field(ge=1)]
Port = Annotated[StrictInt, Field(ge=1, le=65_535)]
Number = Annotated[float, Strict(), Field(ge=0)]
Flag = StrictBool
Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, BeforeValidator(units.seconds), _written(r"^(\d+(\.\d+)?(ms|s|m|h|d))+$")]
Bytes = Annotated[int, BeforeValidator(units.size), _written(r"^\d+(\.\d+)?\s*[KMGTP]?i?B$")]
Rate = Annotated[float, BeforeValidator(units.rate), _written(r"^\d+(\.\d+)?\s*/\s*[smh]$")]
Share = Annotated[float, BeforeValidator(units.fraction), _written(r"^\d+(\.\d+)?\s*%$", number=True)]
