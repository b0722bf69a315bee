"""Owns the local target's three kinds of resource, as data: a replica's process, the relay, a model's route.

Pure. Knows nothing of how any of them is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from infctl.provider.kinds import FieldSpec, KindSpec, Role

PROCESS, RELAY, ROUTE = "local_process", "local_relay", "local_route"
LOWERING = 1
NAME_LIMIT = 63  # characters; with ".ID" it stays far below the 255 of a file name

_IN_PLACE = FieldSpec()
_AT_START = "the engine reads it once, at its start"

_PROCESS = KindSpec(
    role=Role.REPLICA,
    fields=MappingProxyType(
        {
            "revision": FieldSpec("a revision is never changed, only replaced by another"),
            "engine": FieldSpec("another engine is another program"),
            "engine_version": FieldSpec("the version of an engine is loaded once, at its start"),
            "model": FieldSpec("the engine loads its model once, at its start"),
            "model_sha256": FieldSpec("the model file has other contents"),
            "task": FieldSpec("the engine is started for one task"),
            "args": FieldSpec(_AT_START),
            "env": FieldSpec("a process gets its environment once, at its start"),
            "command": FieldSpec("another command is another program"),
            "port": FieldSpec("the engine listens on one port from its start"),
            "probe": FieldSpec("what counts as ready is part of the revision"),
            "memory": _IN_PLACE,  # what was promised; the engine takes what it takes
            "tags": _IN_PLACE,
        }
    ),
    outputs=("url", "port"),
    gated=True,
    exclusive="port",
    name_limit=NAME_LIMIT,
)
_RELAY = KindSpec(role=Role.SUPPORT, fields=MappingProxyType({}), outputs=("run",), name_limit=NAME_LIMIT)
_ROUTE = KindSpec(
    role=Role.ROUTER,
    fields=MappingProxyType(
        dict.fromkeys(("model", "bind", "port", "served_names", "backends", "relay", "hold"), _IN_PLACE)
    ),
    outputs=("url", "port"),
    backends="backends",
    url_output="url",
    url_fields=("bind", "port"),
    name_limit=NAME_LIMIT,
)

KINDS: Mapping[str, KindSpec] = MappingProxyType({PROCESS: _PROCESS, RELAY: _RELAY, ROUTE: _ROUTE})
