"""Owns the plan as a value: net changes in Terraform's shape, and the steps that make them.

Knows neither how a plan is made (`planner`) nor how it is stored (`file`) or shown (`views`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from infctl.address import Address
from infctl.diagnostics import Diagnostic
from infctl.frozen import dataclass
from infctl.placement.room import Rollout
from infctl.provider.values import Do, Unreadable, Values
from infctl.state.model import ModelState, Resource


class Mode(StrEnum):
    NORMAL = "normal"
    DESTROY = "destroy"
    REFRESH_ONLY = "refresh-only"


class Action(StrEnum):
    """The net change of one address. Terraform's `actions` are `ACTIONS[action]`."""

    NOOP = "no-op"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"  # the old one goes first: -/+
    REPLACE_BESIDE = "replace-beside"  # the new one stands first: +/-
    FORGET = "forget"  # gone from the world: leaves state only


ACTIONS: Mapping[Action, tuple[str, ...]] = {
    Action.NOOP: ("no-op",),
    Action.CREATE: ("create",),
    Action.UPDATE: ("update",),
    Action.DELETE: ("delete",),
    Action.REPLACE: ("delete", "create"),
    Action.REPLACE_BESIDE: ("create", "delete"),
    Action.FORGET: ("forget",),
}


REPLACE_ASKED_FOR = "asked for"  # the reason of a change that -replace or a restart asks for


class Effect(StrEnum):
    IN_PLACE = "in-place"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs. `path` is from the resource's values down; `why` says what the effect is for."""

    path: tuple[str, ...]
    old: Any
    new: Any
    effect: Effect = Effect.IN_PLACE
    why: str = ""


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """What an object has of a device: `memory` bytes, 0 for the whole. `index` is -1 where the device is not seen."""

    uuid: str
    index: int
    memory: int = 0


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """The net change of one address. `before` and `after` are values (None: not there); `reason` is a short
    phrase ("engine args", "gone from the host", "requested by -replace", "late write of run 7"). `place` and
    `devices` are where it will be, or was when it goes, where the core chooses that.
    """

    address: Address
    target: str
    provider: str  # the target's type
    model: str
    action: Action
    before: Values | None
    after: Values | None
    fields: tuple[FieldChange, ...] = ()
    reason: str = ""
    id_before: str = ""
    id_after: str = ""
    revision_before: int = 0
    revision_after: int = 0
    place: str = ""
    devices: tuple[DeviceUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Gate:
    """After the step, the object must answer within `timeout` seconds, or the model's rollout is undone."""

    timeout: float


@dataclass(frozen=True, slots=True)
class Undo:
    """How a step is taken back: the same as a step, on `id`. A `create` here starts the old object again."""

    do: Do
    id: str
    set: Values | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One action of the executor. `id` is "s1", "s2" ... in a valid order; `needs` are ids of earlier steps.

    `object` is the infctl.id acted on, `name` its native name; `set` the values it must have (refs name objects
    by id); `seen` is the fingerprint the plan saw ("" when the object does not exist yet). `timeout` in seconds.
    `spec_hash`, `revision`, `lowering`, `inputs` describe a created or updated object, as in `Resource`.
    `replaces` is the id of the object that a create stands beside: deposed from then on.
    """

    id: str
    address: Address
    target: str
    model: str
    do: Do
    object: str
    name: str
    set: Values | None = None
    gate: Gate | None = None
    needs: tuple[str, ...] = ()
    undo: Undo | None = None
    seen: str = ""
    revision: int = 0
    spec_hash: str = ""
    lowering: int = 1
    inputs: str = ""
    replaces: str = ""
    timeout: float = 600.0
    resuming: bool = False  # an earlier run began this and did not see its end
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ModelChange:
    """What happens to one model as its owner sees it. Memory in bytes; `downtime` is whether it answers nobody
    for a while, `in_turn` whether each of its addresses does so for a moment, one place after the other. `fields` are
    the changes of the template; `where` counts replicas by target after the change, and `places` by place, as
    "TARGET/PLACE", where the core chooses these. `gpus_needed` are the devices that all new replicas need,
    `gpus_free` those that can be had now.
    """

    name: str
    action: Action
    revision_before: int
    revision_after: int
    replicas_before: int
    replicas_after: int
    spec_hash_before: str = ""
    spec_hash_after: str = ""
    template: Values = field(default_factory=dict)  # after
    fields: tuple[FieldChange, ...] = ()
    where: Mapping[str, int] = field(default_factory=dict)
    rollout: Rollout = Rollout.NONE
    downtime: bool = False
    in_turn: bool = False
    memory_needed: int = 0
    memory_free: int = 0
    why_rollout: str = ""
    memory: Values = field(default_factory=dict)  # the parts of one replica's, where they are known
    places: Mapping[str, int] = field(default_factory=dict)
    gpus_needed: int = 0
    gpus_free: int = 0
    served_names: tuple[str, ...] = ()  # what clients send as "model", the first one first
    decision: Values = field(default_factory=dict)  # what it is to do beside what it owes (infctl.sizing.told)


@dataclass(frozen=True, slots=True)
class Drift:
    """What the world changed behind infctl's back, in fields that infctl owns; `place` where its target has several."""

    address: Address
    kind: str  # "changed" | "gone" | "stopped"
    fields: tuple[FieldChange, ...] = ()
    place: str = ""


@dataclass(frozen=True, slots=True)
class Assumption:
    """What the plan took for granted, checked again by apply: `what` is stable ("memory:local/this-machine",
    "checksum:file:models/x.gguf", "secret:hf_token"), `value` what it was then. A broken one is plan-stale.
    """

    what: str
    value: Any
    needs: int = 0  # for memory: the bytes that must be free; then `value` is informative


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars an hour of one model's replicas on one target that are paid for alike ("owned", "reserved", "on_demand",
    "spot").
    """

    model: str
    target: str
    purchase: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Unpriced:
    """How many devices replicas have on a target of which nobody tells a price, shares as their parts."""

    target: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class TargetRef:
    """How apply reaches a target: the provider's type and its config, no secret in it."""

    name: str
    type: str
    config: Values


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything apply needs, and everything a reviewer reads. The same inputs give the same bytes."""

    lineage: str
    serial: int
    stack: str
    workspace: str
    infctl_version: str
    mode: Mode = Mode.NORMAL
    targets: tuple[TargetRef, ...] = ()
    resource_changes: tuple[ResourceChange, ...] = ()
    steps: tuple[Step, ...] = ()
    models: tuple[ModelChange, ...] = ()
    model_states: tuple[ModelState, ...] = ()  # what state says of each changed model once its steps are done
    forgotten_models: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()  # ids of objects that are gone: they leave state, no provider is asked
    refreshed: tuple[Resource, ...] = ()  # what state says from then on, no provider asked
    moved: tuple[tuple[str, str], ...] = ()  # model renames, from -> to: state only
    drift: tuple[Drift, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    holds: tuple[str, ...] = ()  # sentences
    notes: tuple[str, ...] = ()  # sentences
    unreachable: tuple[Unreadable, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)  # hello.url -> value, UNKNOWN or Ref
    outputs_before: Mapping[str, Any] = field(default_factory=dict)  # those of changed models
    protected: tuple[str, ...] = ()
    secrets: Mapping[str, Values] = field(default_factory=dict)  # name -> source (env, file, command): references only
    costs: tuple[Cost, ...] = ()  # of every model that has a price, changed or not
    priced: tuple[str, ...] = ()  # where prices are from, and of when
    unpriced: tuple[Unpriced, ...] = ()

    @property
    def changes(self) -> tuple[ResourceChange, ...]:
        return tuple(change for change in self.resource_changes if change.action is not Action.NOOP)

    @property
    def is_empty(self) -> bool:
        """Whether applying would change neither the world nor state."""
        return not (
            self.steps
            or self.changes
            or self.moved
            or self.model_states
            or self.forgotten_models
            or self.forget
            or self.refreshed
        )
