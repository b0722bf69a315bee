"""Owns the kinds of resource that give models their addresses, as data: a host's proxy, a model's route through it.

Pure. Knows nothing of how any of them is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from infctl.provider.kinds import FieldSpec, KindSpec, Role
from infctl_docker.kinds import NAME_LIMIT

PROXY, ROUTE = "docker_proxy", "docker_route"
RENDERED, EDITED = "rendered", "edited by hand"  # the two values of a proxy's field `config`

_IN_PLACE = FieldSpec()
_PROXY = KindSpec(
    role=Role.SUPPORT,
    fields=MappingProxyType(
        {
            "host": FieldSpec("a container stays on its host"),
            "image": FieldSpec("another image is another program"),
            "address": _IN_PLACE,
            "door": _IN_PLACE,  # whether there are other hosts that need one
            "restart": _IN_PLACE,
            "config": _IN_PLACE,
        }
    ),
    outputs=("container", "host", "door", "admin"),
    name_limit=NAME_LIMIT,
)
_ROUTE = KindSpec(
    role=Role.ROUTER,
    fields=MappingProxyType(
        {"host": FieldSpec("a route is part of its host's proxy")}
        | dict.fromkeys(
            ("model", "bind", "port", "served_names", "backends", "proxy", "doors", "health", "hold"), _IN_PLACE
        )
    ),
    outputs=("url", "port", "host"),
    backends="backends",
    url_output="url",
    url_fields=("bind", "port"),
    name_limit=NAME_LIMIT,
)

PROXY_KINDS: Mapping[str, KindSpec] = MappingProxyType({PROXY: _PROXY, ROUTE: _ROUTE})
