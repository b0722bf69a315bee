"""Owns a pretend target whose replicas are containers of images, and a pretend registry: registry.json of the stack.

Everything else is as in memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar

from infctl.provider.errors import ProviderError
from tests.fakes.memory import MemoryProvider
from tests.fakes.target_types import CONTAINERS

REGISTRY = "registry.json"  # image -> digest; what is not in it is not there


class RackProvider(MemoryProvider):
    serves: ClassVar[frozenset[str]] = CONTAINERS

    def resolve_image(self, image: str) -> str:
        images: Mapping[str, str] = json.loads((self.context.root / REGISTRY).read_text())
        if image not in images:
            raise ProviderError(f"{image} is not in the registry", hint="push it, or mend its name")
        return f"{image.rpartition(':')[0]}@sha256:{images[image]}"
