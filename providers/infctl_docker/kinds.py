"""Owns the kinds of resource on a Docker host that this part makes, as data: a replica's container, its network.

Pure. Knows nothing of how any of them is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from infctl.provider.kinds import FieldSpec, KindSpec, Role

CONTAINER, NETWORK = "docker_container", "docker_network"
LOWERING = 1
NAME_LIMIT = 63  # characters: a container's name is its host name too (RFC 1123)

_IN_PLACE = FieldSpec()
_AT_START = "the engine reads it once, at its start"
_AT_CREATION = "Docker sets it once, when a container is created"

_CONTAINER = KindSpec(
    role=Role.REPLICA,
    fields=MappingProxyType(
        {
            "host": FieldSpec("a container stays on its host"),
            "revision": FieldSpec("a revision is never changed, only replaced by another"),
            "image": FieldSpec("another image is another program"),
            "engine": FieldSpec("another engine is another program"),
            "engine_version": FieldSpec("the version of an engine is loaded once, at its start"),
            "model": FieldSpec("the engine loads its model once, at its start"),
            "model_sha256": FieldSpec("the model file has other contents"),
            "task": FieldSpec("the engine is started for one task"),
            "args": FieldSpec(_AT_START),
            "env": FieldSpec("a container gets its environment once, when it is created"),
            "command": FieldSpec("another command is another program"),
            "port": FieldSpec(_AT_CREATION),
            "probe": FieldSpec("what counts as ready is part of the revision"),
            "sandbox": FieldSpec(_AT_CREATION),
            "devices": FieldSpec("a container gets its devices once, when it is created"),
            "mounts": FieldSpec(_AT_CREATION),
            "health": FieldSpec(_AT_CREATION),
            "log": FieldSpec(_AT_CREATION),
            "memory": _IN_PLACE,  # what was promised: the daemon takes it back first from whoever has more
            "memory_limit": _IN_PLACE,
            "cpus": _IN_PLACE,
            "restart": _IN_PLACE,
            "network": _IN_PLACE,
            "renamed_to": _IN_PLACE,
            "tags": FieldSpec("Docker writes labels once, when a container is created"),
        }
    ),
    outputs=("container", "host", "endpoint"),
    gated=True,
    place="host",
    devices="devices",
    name_limit=NAME_LIMIT,
)
_NETWORK = KindSpec(
    role=Role.SUPPORT,
    fields=MappingProxyType(dict.fromkeys(("host", "options"), FieldSpec("Docker sets it once, when it is created"))),
    outputs=("network",),
    name_limit=NAME_LIMIT,
)

KINDS: Mapping[str, KindSpec] = MappingProxyType({CONTAINER: _CONTAINER, NETWORK: _NETWORK})
