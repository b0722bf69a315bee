"""Owns what a container of an engine's image needs besides image, command and the user's environment, as a value.

`values` is what stands in `Template.container`, and is all that a provider reads; it knows no engine and no provider.
Keys that have their default are left out of it:

- `arguments_only` (bool): `Template.command` follows the image's own entrypoint; else it takes the entrypoint's place.
- `shm_size` (bytes): the size of /dev/shm; 0 leaves it to the provider.
- `read_only` (bool): the engine runs on a read-only root file system, given `tmpfs` and `cache`.
- `tmpfs` (list of folders): must be writable, and may be lost with the container.
- `cache` (folder): must be writable, and is worth keeping for the next replica: what the engine downloads and compiles.
- `env` (mapping): environment variables of the engine itself; those of the model win over them.
- `caps` (list): Linux capabilities that the engine needs of those that are dropped.
- `health_path` (path): where the engine says that it is well, if not at /health.
- `download` (bool): `{model}` is a name that the engine downloads by itself into `cache`; else the provider puts files
  there and `{model}` stands for their path in the container.

Beside them, of a model that is no local file (see `pin.what_to_fetch`): `model_revision`, the commit, ETag or version
that was pinned and no other may be fetched; `model_bytes`, its size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any

from infctl.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Container:
    """Fields as the module says. Nothing here is secret: it is shown, and kept in state."""

    arguments_only: bool = False
    shm_size: int = 0
    read_only: bool = False
    tmpfs: tuple[str, ...] = ()
    cache: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    caps: tuple[str, ...] = ()
    health_path: str = ""
    download: bool = False

    def values(self) -> Mapping[str, Any]:
        """Return the fields that are not at their default, as plain values for a Template."""
        said = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in said.items() if value}
