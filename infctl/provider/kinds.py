"""Owns how a provider describes its kinds of resource: as data, so that the core never asks which provider it is.

Knows nothing of any kind in particular.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from infctl.frozen import dataclass


class Role(StrEnum):
    """How a kind takes part in a rollout.

    REPLICA serves a model and is replaced beside its predecessor; ROUTER sends traffic to replicas, whose refs
    it holds, and is switched; SUPPORT is anything else that others need (a network, a relay process).
    """

    REPLICA = "replica"
    ROUTER = "router"
    SUPPORT = "support"


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """`forces_replace` says why a change of this field needs a new object ("" = updated in place).

    `owned_by_platform` names who owns the field (an autoscaler): shown, never diffed, never reset.
    """

    forces_replace: str = ""
    owned_by_platform: str = ""


@dataclass(frozen=True, slots=True)
class KindSpec:
    """`fields` are all the values a resource of this kind has, by top-level name; any other is a defect.

    `outputs` names what only the world knows. Of a router, `backends` is the field whose items hold the refs to
    replicas, `url_output` the output that is the model's address, `url_fields` the fields that it is made of.
    `gated` says that a created object must pass `probe` before others may need it. `name_limit` is the
    platform's limit on native names, in characters.
    `exclusive` is a field whose value (unless 0) no two objects at a place may have, as a fixed port.
    `place` is the field that says at which place an object is, `devices` the one with its shares of devices, as
    pairs (uuid, bytes; 0 is the whole): both from its `Spot`. A kind of replica without `place` is put by its target.
    `count` is the field that says how many replicas one object stands for, where that is not one: such an object is
    all of a model's replicas on its target, so its address has no slot; `devices` is then how many each of them has.
    `begins` is the field with the names of the places (`Place.most` is not 1) of which each replica gets one for
    itself, the likeliest first: it costs what that place costs.
    """

    role: Role
    fields: Mapping[str, FieldSpec]
    outputs: tuple[str, ...] = ()
    backends: str = ""
    url_output: str = ""
    url_fields: tuple[str, ...] = ()
    gated: bool = False
    exclusive: str = ""
    place: str = ""
    devices: str = ""
    count: str = ""
    begins: str = ""
    name_limit: int = 63
