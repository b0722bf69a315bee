"""Owns the values that pass between the core and a provider: wishes, sightings, changes.

All are frozen; mappings in them are treated as frozen too. Knows no provider and does no I/O.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass as standard
from dataclasses import field
from enum import StrEnum
from functools import cached_property
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from infctl.address import Address, parse_address
from infctl.frozen import dataclass
from infctl.secrets import UNKNOWN, Secret, SecretRef, Unknown

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ref:
    """An output of another resource, as `Ref(address, "url")`: an edge of the graph, unknown until applied.

    `id` names one object where two revisions stand at one address; the planner fills it in.
    """

    address: Address
    path: str
    id: str = ""


# JSON values, and within them Ref, SecretRef, UNKNOWN and (only inside a Change) Secret.
Values = Mapping[str, Any]


def encode(value: Any) -> Any:
    """Return `value` as plain JSON: `{"$ref": [address, path, id]}`, `{"$secret": [name, delivery, digest]}`.

    Raises TypeError for a Secret or anything else that must not be written down.
    """
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, Ref):
        return {"$ref": [str(value.address), value.path, value.id]}
    if isinstance(value, SecretRef):
        return {"$secret": [value.name, value.delivery, value.digest]}
    if isinstance(value, Unknown):
        return {"$unknown": True}
    msg = f"{type(value).__name__} cannot be written down"
    raise TypeError(msg)


_CONTAINERS = frozenset({dict, list})  # asked inline: leaves outnumber containers, and a call each is what costs


def decode(value: Any) -> Any:
    """Return what `encode` was given; lists become tuples. What holds neither lists nor tags is given back as it is."""
    if type(value) is list:
        return tuple([decode(item) if type(item) in _CONTAINERS else item for item in value])
    if type(value) is not dict:
        return value
    if len(value) == 1:
        if "$ref" in value:
            address, path, ident = value["$ref"]
            return Ref(parse_address(address), path, ident)
        if "$secret" in value:
            return SecretRef(*value["$secret"])
        if "$unknown" in value:
            return UNKNOWN
    made = value
    for key, item in value.items():
        if type(item) in _CONTAINERS and (new := decode(item)) is not item:
            if made is value:
                made = value.copy()
            made[key] = new
    return made


# `encode` is asked only for what JSON has no word for: the same text as of `encode(value)`, in a third of the time.
_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False, default=encode
)


def digest(value: Any) -> str:
    """Return 16 hex characters of SHA-256 over the canonical JSON of `value`."""
    return hashlib.sha256(_CANONICAL.encode(value).encode()).hexdigest()[:16]


def leaves(value: Any) -> Iterator[Any]:
    """Yield every non-container value inside `value`."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def without_secrets(value: Any) -> Any:
    """Return a Change's values as they may be written down: each secret as its reference."""
    if isinstance(value, Secret):
        if value.ref is None:
            raise ValueError("a secret came without its reference, so it cannot be written down")
        return value.ref
    if isinstance(value, Mapping):
        return {key: without_secrets(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(without_secrets(item) for item in value)
    return value


def refs(value: Any) -> tuple[Ref, ...]:
    return tuple(leaf for leaf in leaves(value) if isinstance(leaf, Ref))


# ---------------------------------------------------------------- what is read


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place that could not be read: never the same as an empty place."""

    place: str
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What was read, and which places could not be."""

    value: T
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator, or a slice of one (`parent` is then the uuid of the whole). Memory in bytes.

    `memory_free` is what can still be promised: without what others use, what is reserved, and what our own replicas
    were promised, whether they use it yet or not. `taken` is whether anybody at all has a part of it, so that it can
    no longer be promised whole. `compute` is the compute capability ("9.0"), "" where there is no such thing.
    `island` tells the devices of a place apart that no fast link (NVLink, Infinity Fabric) joins; "" for all is one.
    """

    index: int
    uuid: str
    product: str
    memory_total: int
    memory_free: int
    taken: bool = False
    parent: str = ""
    compute: str = ""
    island: str = ""


Purchase = Literal["owned", "reserved", "on_demand", "spot"]  # how a device is paid for


@dataclass(frozen=True, slots=True)
class Place:
    """A host or node. Memory in bytes, free as the operating system would give it to a new process.

    `price` is what an hour of one whole device there costs in dollars, None where nobody says; `priced` tells
    where that is from, and of when. `zone` is what fails together with it, "" where nobody says.
    """

    name: str
    cpus: int
    memory_total: int
    memory_free: int
    devices: tuple[Device, ...] = ()
    price: float | None = None
    purchase: Purchase = "owned"
    zone: str = ""
    priced: str = ""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a target has: its places, and facts a provider's `lower` may need (`facts` is provider-private)."""

    places: tuple[Place, ...] = ()
    facts: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Labels:
    """How an object describes itself, so that a lost state can be rebuilt from the world.

    `id` is given once; `fence` is the fencing token of the run that made it. `address`, `model` and
    `revision` are informative and renew at the next replacement.
    """

    id: str
    lineage: str
    stack: str
    workspace: str
    address: str
    model: str
    revision: int
    spec_hash: str
    fence: int


@dataclass(frozen=True, slots=True)
class Observed:
    """A live object. `values` are the fields of its KindSpec as they stand, `outputs` what only the world knows
    (pid, port, url, container id). `labels` is None for a stranger's object. `running` is whether the thing
    is up at all; whether it is ready is `probe`'s to say.
    """

    address: Address
    id: str
    name: str
    target: str
    values: Values
    outputs: Values
    labels: Labels | None
    running: bool = True
    place: str = ""

    @property
    def fingerprint(self) -> str:
        """What a pinned plan saw: identity, values and outputs, in 16 hex characters."""
        return digest([self.id, self.name, self.values, self.outputs, self.running])


@dataclass(frozen=True, slots=True)
class Known:
    """An object that state knows: enough to find it when it carries no labels."""

    address: Address
    id: str
    name: str
    outputs: Values


@dataclass(frozen=True, slots=True)
class Scope:
    """What to look for: everything with this lineage's labels, and the ids state knows.

    A `lineage` of "" is that of a lost state: then every object of this stack and workspace is looked for.
    """

    lineage: str
    stack: str
    workspace: str
    known: tuple[Known, ...] = ()

    def covers(self, labels: Labels | None) -> bool:
        """Return whether an object with these labels is looked for, known to state or not."""
        if labels is None:
            return False
        if self.lineage:
            return labels.lineage == self.lineage
        return (labels.stack, labels.workspace) == (self.stack, self.workspace)


# ---------------------------------------------------------------- what is wanted


@dataclass(frozen=True, slots=True)
class Probe:
    """What counts as an answer: `kind` is completions | embeddings | http; `path` is under the engine's address.

    `model` is the name sent with the request; `requests` is how many must succeed (1 + warmup).
    """

    kind: str
    path: str
    model: str = ""
    requests: int = 1


class Share(NamedTuple):
    """What a replica is promised of one device, by uuid. `memory` in bytes; 0 is the whole device."""

    device: str
    memory: int = 0


class Spot(NamedTuple):
    """Where one replica runs: a place by its name, and what it has of the devices there."""

    place: str = ""
    devices: tuple[Share, ...] = ()


@standard(frozen=True)  # without slots: `identity` is kept, for a plan asks it of every replica
class Template:
    """What a replica runs, fully resolved by `infctl.engines`: the part of a model whose change is a new revision.

    `command` is argv, empty where the provider embeds the engine; in it `{port}`, `{model}` and `{gpu_share}` stand
    for the port to listen on, where the provider put the model's files, and the part (0 to 1) of each device that is
    the replica's. `args` are typed engine arguments under the engine's own names. `env` values are str or SecretRef.
    `memory` is the bytes one replica needs. `port` is the engine's own port, or 0 where the provider chooses.
    `gpus` devices are needed, of the product `gpu_product` if it is said; of each of them `gpu_memory` bytes, else the
    part `gpu_fraction`, else the whole.
    `container` is what else a container of the engine's image needs: see `infctl.engines.container`.
    """

    engine: str
    engine_version: str
    model_uri: str
    model_sha256: str
    task: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: Values = field(default_factory=dict)
    env: Values = field(default_factory=dict)
    port: int = 0
    probe: Probe = Probe("http", "/health")  # noqa: RUF009  -- frozen
    metrics_path: str = ""
    memory: int = 0
    gpus: int = 0
    gpu_memory: int = 0
    gpu_fraction: float = 0.0
    gpu_product: str = ""
    container: Values = field(default_factory=dict)

    @cached_property
    def identity(self) -> str:
        plain = template_values(self)
        del plain["memory"], plain["probe"]["model"]
        return digest(plain)

    def named(self, model: str) -> Template:
        """Return the same for another model: its probe asks for that name, and the identity need not be made again."""
        if self.probe.model in {"", model}:
            return self
        probe = Probe(self.probe.kind, self.probe.path, model, self.probe.requests)
        twin = object.__new__(Template)
        vars(twin).update(vars(self), probe=probe, identity=self.identity)
        return twin


@dataclass(frozen=True, slots=True)
class Deployment:
    """One model on one target. `slots` are the stable replica numbers that live here; `spots` says where each of
    them runs, in the same order, and is empty on targets that have one place or choose it themselves.

    `port` 0 means "choose one and keep it": the router's output says which, and `Change.before` keeps it.
    Timeouts in seconds; `pull_timeout` 0 is as long as it takes. `tags` are informative labels.
    """

    model: str
    revision: int
    template: Template
    slots: tuple[int, ...]
    served_names: tuple[str, ...]
    bind: str = "127.0.0.1"
    port: int = 0
    ready_timeout: float = 600.0
    drain_timeout: float = 120.0
    pull_timeout: float = 0.0
    tags: Values = field(default_factory=dict)
    spots: tuple[Spot, ...] = ()

    @property
    def spec_hash(self) -> str:
        return template_hash(self.template)


def template_hash(template: Template) -> str:
    """Return the identity of a revision: the digest of all that a replica runs.

    Left out are `memory`, our estimate (a better one in a new infctl is no other revision), and the name that
    the probe asks for (a renamed model is no other revision).
    """
    return template.identity


# Not written where unused: older templates stay equal.
_LATER = ("gpus", "gpu_memory", "gpu_fraction", "gpu_product", "container")


def template_values(template: Template) -> dict[str, Any]:
    """Return a template as plain values, for state, plan and diff; `template_from` is its inverse."""
    plain = {name: getattr(template, name) for name in Template.__dataclass_fields__}
    for name in _LATER:
        if not plain[name]:
            del plain[name]
    plain["probe"] = {name: getattr(template.probe, name) for name in Probe.__dataclass_fields__}
    return plain


def template_from(values: Values) -> Template:
    return Template(**{**values, "command": tuple(values["command"]), "probe": Probe(**values["probe"])})


@dataclass(frozen=True, slots=True)
class TargetWant:
    """Everything wanted on one target."""

    target: str
    deployments: tuple[Deployment, ...] = ()


@dataclass(frozen=True, slots=True)
class Desired:
    """One native resource that should exist. `values` holds exactly the fields of its KindSpec."""

    address: Address
    target: str
    values: Values
    model: str = ""
    revision: int = 0
    spec_hash: str = ""


# ---------------------------------------------------------------- what is done


class Do(StrEnum):
    """What a step does. `switch` sets a router's values; `drain` waits until an object serves nobody;
    `stop` takes an object down but keeps it; `delete` removes it.
    """

    CREATE = "create"
    UPDATE = "update"
    SWITCH = "switch"
    DRAIN = "drain"
    STOP = "stop"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One mutation, everything known: refs are resolved and secrets are values by now.

    `before` is the object as state knows it; for a create it is the predecessor at this address, if there was one
    (so that an automatic port can be kept). `after` are the values it must have (None for drain, stop, delete);
    each Secret in it carries its `ref`, which `observe` gives back in the Secret's place. Safe to repeat: a create
    whose `labels.id` already stands is a success, and so is a delete of what is gone. `timeout` in seconds; of the
    create of a replica that for fetching image and model, 0 for as long as it takes. `fence` is the fencing token of
    the run that makes the change; `labels.fence` is of the run that made the object.
    """

    do: Do
    address: Address
    target: str
    name: str
    labels: Labels
    after: Values | None = None
    before: Known | None = None
    timeout: float = 600.0
    fence: int = 0

    @property
    def id(self) -> str:
        return self.labels.id

    def __repr__(self) -> str:
        return f"Change({self.do} {self.address} {self.labels.id})"  # values may hold secrets


@dataclass(frozen=True, slots=True)
class Progress:
    """A word from a long action: "pull", "load", "drain". `done` and `total` in `unit`, of which "bytes" are shown in
    KiB to GiB; total 0 is unknown.
    """

    phase: str
    detail: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""


Emit = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether an object answers. `dead` means waiting longer is no use; `log` are the lines that say why."""

    ready: bool
    detail: str = ""
    dead: bool = False
    log: tuple[str, ...] = ()
