"""Owns how a provider marks a field of its target's config that the language has and no code serves yet.

Usage: `Field(…, json_schema_extra=NOT_SERVED)`; who writes such a field is told, with its line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # as in protocol: planning does without it
    from pydantic import BaseModel

_MARK = "x-infctl-served"
NOT_SERVED: dict[str, Any] = {_MARK: False}


def unserved(config: type[BaseModel]) -> Iterator[str]:
    """Yield the fields of a target's config that are marked."""
    for name, field in config.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get(_MARK) is False:
            yield name
