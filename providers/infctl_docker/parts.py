"""Owns what the parts of this provider share: the hosts, how a kind of object is handled, what was read of a host.

A kind is handled by one `Part`; `provider` finds it by the kind's name. Knows no kind in particular.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infctl.provider.errors import ProviderError
from infctl.provider.protocol import Context
from infctl.provider.values import Change, Emit, Observed, Scope, Values
from infctl_docker.config import RackTarget
from infctl_docker.hosts import Fleet, Host
from infctl_docker.images import Image
from infctl_docker.inventory import Sights
from infctl_docker.labels import Described
from infctl_docker.ports import Ports

Doc = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rack:
    """What all changes on one target need."""

    config: RackTarget
    context: Context
    fleet: Fleet
    sights: Sights
    copying: Mapping[str, threading.Lock]  # by host: one model at a time, and none twice
    ports: Ports
    images: dict[tuple[str, str], Image] = field(default_factory=dict)  # by host and name: those seen in this run
    brought: set[tuple[str, str]] = field(default_factory=set)  # host and path of the models that this run saw there

    @property
    def logs(self) -> Path:
        """The folder of the logs of replicas that were removed."""
        return self.context.data / "logs"

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(host.name for host in self.fleet.hosts)


@dataclass(frozen=True, slots=True)
class Found:
    """What one reading of a host found: the inspects of containers and networks, and what was looked for.

    `archives` are the files of the proxies that state knows here, as tar, by container.
    """

    host: Host
    containers: tuple[Doc, ...]
    networks: tuple[Doc, ...]
    scope: Scope
    archives: Mapping[str, bytes] = field(default_factory=dict)

    def is_ours(self, described: Described, target: str) -> bool:
        """Return whether an object that describes itself so is looked for on this target."""
        labels = described.labels
        known = any(one.id == labels.id for one in self.scope.known)
        return described.target == target and (known or self.scope.covers(labels))


Make = Callable[[Rack, Host, Change, Emit], Observed]
TakeDown = Callable[[Rack, Host, Change, Emit], Observed | None]


@dataclass(frozen=True, slots=True)
class Part:
    """How one kind is handled. `make` creates, updates or switches and returns what stands then; `drain` waits until
    an object serves nobody; `take_down` stops or deletes. All may be repeated, and raise ProviderError.
    `observe` says which objects of the kind are among what was found on a host.
    """

    make: Make
    take_down: TakeDown
    observe: Callable[[Rack, Found], Iterable[Observed]]
    drain: TakeDown


def wanted(change: Change, fields: Iterable[str]) -> Values:
    """Return the values that the object must have. Raises ProviderError when they are not those of its kind."""
    if change.after is None or set(change.after) != set(fields):
        wrong = ", ".join(sorted(set(fields) ^ set(change.after or ())))
        raise ProviderError(f"{change.address} cannot be made from these values", f"missing or unknown: {wrong}")
    return change.after
