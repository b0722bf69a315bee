"""Owns what a provider does: one change, the words it says meanwhile, and whether the object then answers.

Knows no plan: which changes, and in which order, is the executor's.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from infctl.address import Address
from infctl.frozen import dataclass
from infctl.provider.plain import Values
from infctl.provider.seen import Known, Labels


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
