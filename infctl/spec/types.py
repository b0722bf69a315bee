"""Owns what the language asks about types of targets, and the answer from what is installed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from infctl.provider import registry

if TYPE_CHECKING:
    from pydantic import BaseModel


class TargetTypes(Protocol):
    """Which types of targets there are. A provider is loaded only when its type is asked for."""

    def names(self) -> tuple[str, ...]:
        """Return the installed types, sorted."""
        ...

    def config(self, type_name: str) -> type[BaseModel] | None:
        """Return the fields of a target of this type, besides `type`; None where it is not installed.

        Raises InfctlError where it is installed and broken.
        """
        ...

    def serves(self, type_name: str) -> frozenset[str]:
        """Return the fields of a model that an installed type honours beyond the core's, as "expose.port"."""
        ...


class InstalledTypes:
    """The types whose packages are installed in this Python."""

    def names(self) -> tuple[str, ...]:
        return registry.installed()

    def config(self, type_name: str) -> type[BaseModel] | None:
        return registry.load(type_name).config if type_name in registry.installed() else None

    def serves(self, type_name: str) -> frozenset[str]:
        return registry.load(type_name).serves
