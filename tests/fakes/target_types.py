"""Owns types of targets for tests of the language: `local` serves an address, `basic` nothing, `rack` runs images."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ByteSize, ConfigDict


class LocalConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    memory: ByteSize | None = None
    ports: tuple[int, int] = (20_000, 29_999)


class BasicConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    login: str = ""
    hosts: tuple[str | dict[str, Any], ...] = ()


CONFIGS: dict[str, type[BaseModel]] = {"basic": BasicConfig, "local": LocalConfig}
SERVES = {"basic": frozenset[str](), "local": frozenset({"expose.port", "expose.bind", "served_names", "tags"})}


CONTAINERS = frozenset(
    {"image", "uri", "engine", "quantization", "task", "gpu", "expose.port", "expose.bind", "served_names", "tags"}
)


class FakeTypes:
    """Implements infctl.spec.types.TargetTypes."""

    def names(self) -> tuple[str, ...]:
        return tuple(CONFIGS)

    def config(self, type_name: str) -> type[BaseModel] | None:
        return CONFIGS.get(type_name)

    def serves(self, type_name: str) -> frozenset[str]:
        return SERVES[type_name]


class RackTypes(FakeTypes):
    """The same, and `rack`, whose replicas are containers of images."""

    def names(self) -> tuple[str, ...]:
        return (*super().names(), "rack")

    def config(self, type_name: str) -> type[BaseModel] | None:
        return BasicConfig if type_name == "rack" else super().config(type_name)

    def serves(self, type_name: str) -> frozenset[str]:
        return CONTAINERS if type_name == "rack" else super().serves(type_name)
