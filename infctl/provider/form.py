"""Owns naming a provider's config model without importing it: pydantic costs more than planning a small stack anew.

Knows no provider.
"""

from __future__ import annotations

from importlib import import_module
from inspect import getattr_static
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from pydantic import BaseModel

    from infctl.provider.protocol import Provider


def form(module: str, name: str) -> type[BaseModel]:
    """Return a provider's `config` that is imported when it is first looked at: when a file is read anew.

    A provider that names its config model so must also take, for its `config`, what that model made of the file as
    plain values (`model_dump(mode="json")`): that is what it gets when a file is planned again.
    """
    return cast("type[BaseModel]", _Form(module, name))


def takes_plain_values(provider: type[Provider]) -> bool:
    """Return whether a provider can be made from plain values that its config model has passed before."""
    return isinstance(getattr_static(provider, "config", None), _Form)


class _Form:
    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> type[BaseModel]:
        found: type[BaseModel] = getattr(import_module(self._module), self._name)
        return found
