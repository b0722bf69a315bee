"""Owns what a provider reads: places with their devices and prices, the objects that stand there, and what could not
be read.

Knows neither what is wanted nor what is done about it.
"""

from __future__ import annotations

from dataclasses import field
from typing import Generic, Literal, TypeVar

from infctl.address import Address
from infctl.frozen import dataclass
from infctl.provider.plain import Values, digest

T = TypeVar("T")


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
    where that is from, and of when. `zone` is what fails together with it, "" where nobody says. `instance` is the type
    that it is rented as ("g6e.xlarge"), `region` where: the catalogue has prices for those that tell none. `most` is
    how many more places like it there may be where a platform begins them when they are asked for (None: as many as
    wanted), so that none of them stands yet; 1 is the place itself, which stands.
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
    instance: str = ""
    region: str = ""
    most: int | None = 1


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a target has: its places, and facts a provider's `lower` may need (`facts` is provider-private). `most` is
    how many places may be begun in all, of whatever kind, None where nobody says. `steady` is how many replicas of a
    model there must not be on spot places. `limit` says what allows no more places: a quota, a cap.
    """

    places: tuple[Place, ...] = ()
    facts: Values = field(default_factory=dict)
    most: int | None = None
    steady: int = 0
    limit: str = ""

    @property
    def stands(self) -> bool:
        """Whether its places are there already, all of them."""
        return all(place.most == 1 for place in self.places)


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
