"""Owns the kinds of resource on AWS, as data. Pure; knows nothing of how any of them is made."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from infctl.provider.kinds import FieldSpec, KindSpec, Role

GROUP, ROUTE, BALANCER = "aws_autoscaling_group", "aws_target_group", "aws_load_balancer"
WALL, ROLE, LOGS = "aws_security_group", "aws_iam_role", "aws_log_group"
LOWERING = 1

_IN_PLACE = FieldSpec()
_AT_START = "an instance gets it once, when it starts"
_LONG = 255  # AWS allows 32 characters: see `parts.short_name`
_FOR_LIFE = "AWS sets it once, when it is created"

_GROUP = KindSpec(
    role=Role.REPLICA,
    fields=MappingProxyType(
        {
            "revision": FieldSpec("a revision is never changed, only replaced by another"),
            "image": FieldSpec("another image is another program"),
            "engine": FieldSpec("another engine is another program"),
            "engine_version": FieldSpec("the version of an engine is loaded once, at its start"),
            "model": FieldSpec("the engine loads its model once, at its start"),
            "model_sha256": FieldSpec("the model file has other contents"),
            "task": FieldSpec("the engine is started for one task"),
            "args": FieldSpec("the engine reads it once, at its start"),
            "env": FieldSpec("a container gets its environment once, when it is created"),
            "command": FieldSpec("another command is another program"),
            "port": FieldSpec(_AT_START),
            "probe": FieldSpec("what counts as ready is part of the revision"),
            "sandbox": FieldSpec(_AT_START),
            "gpus": FieldSpec(_AT_START),
            "ready_timeout": _IN_PLACE,
            "ami": FieldSpec(_AT_START),
            "disk": FieldSpec(_AT_START),
            "instance_types": _IN_PLACE,  # the next instances are of these
            "subnets": _IN_PLACE,
            "purchase": _IN_PLACE,
            "security_group": FieldSpec(_AT_START),
            "profile": FieldSpec(_AT_START),
            "log_group": FieldSpec(_AT_START),
            "replicas": _IN_PLACE,
            "tags": _IN_PLACE,
        }
    ),
    outputs=("group", "ami"),
    gated=True,
    count="replicas",
    devices="gpus",
    begins="instance_types",
    name_limit=128,  # of a launch template, which has the name of its group
)
_ROUTE = KindSpec(
    role=Role.ROUTER,
    fields=MappingProxyType(
        dict.fromkeys(("vpc", "engine_port", "load_balancer", "host"), FieldSpec(_FOR_LIFE))
        | dict.fromkeys(("model", "port", "served_names", "health", "backends", "drain"), _IN_PLACE)
    ),
    outputs=("url", "port", "arn"),
    backends="backends",
    url_output="url",
    url_fields=("port",),
    name_limit=_LONG,
)
_BALANCER = KindSpec(
    role=Role.SUPPORT,
    fields=MappingProxyType(dict.fromkeys(("subnets", "public", "security_group"), FieldSpec(_FOR_LIFE))),
    outputs=("arn", "dns"),
    name_limit=_LONG,
)
_WALL = KindSpec(
    role=Role.SUPPORT,
    fields=MappingProxyType({"vpc": FieldSpec(_FOR_LIFE), "ingress": _IN_PLACE}),
    outputs=("group",),
    name_limit=255,
)
_ROLE = KindSpec(
    role=Role.SUPPORT,
    fields=MappingProxyType(dict.fromkeys(("reads", "secrets", "log_group", "pulls"), _IN_PLACE)),
    outputs=("profile",),
    name_limit=64,
)
_LOGS = KindSpec(
    role=Role.SUPPORT,
    fields=MappingProxyType({"days": _IN_PLACE}),
    outputs=("log_group",),
    name_limit=255,
)

KINDS: Mapping[str, KindSpec] = MappingProxyType(
    {GROUP: _GROUP, ROUTE: _ROUTE, BALANCER: _BALANCER, WALL: _WALL, ROLE: _ROLE, LOGS: _LOGS}
)
