"""Owns what our containers were promised of a host: how labels say it, and which containers hold it.

Pure: works on what the daemon lists and inspects. Knows no connection.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from infctl.provider.values import Change, Share

DEVICES = "infctl.devices"
VALUES = "infctl.values"
ID = "infctl.id"
LINEAGE = "infctl.lineage"
FENCE = "infctl.fence"
COPIES = "infctl.copies"  # of a container that brings a model: "copy" where the run feeds it, else "fetch"
FOR = "infctl.for"  # of a reservation: the id of the object it is for
LEASE = "infctl.lease"  # of a reservation: how many seconds after its creation it is void

GONE = frozenset({"dead", "removing"})  # states that no container comes back from
DOWN = "exited"


class Promise(NamedTuple):
    """What one container holds, used or not. `memory` is the host's, in bytes; `state` the daemon's word for it."""

    container: str
    name: str
    state: str
    labels: Mapping[str, str]
    shares: tuple[Share, ...]
    memory: int

    created: int = 0

    @property
    def id(self) -> str:
        """The infctl.id of the object it is made for."""
        return self.labels.get(ID, "") or self.labels.get(FOR, "")

    @property
    def reservation(self) -> bool:
        """Whether it only keeps the place of a container that is about to be made."""
        return LEASE in self.labels

    @property
    def fence(self) -> int:
        fence = self.labels.get(FENCE, "")
        return int(fence) if fence.isdigit() else 0

    def expired(self, clock: float) -> bool:
        """Return whether a reservation's time is over; both times are the daemon's own."""
        lease = self.labels.get(LEASE, "")
        return lease.isdigit() and clock > self.created + int(lease)


def fence_of(change: Change) -> int:
    """Return the fence of the run: an object may be older, and what lies in the way younger than the object."""
    return max(change.fence, change.labels.fence)


def run_labels(change: Change) -> dict[str, str]:
    """Return what says which run made a container that is not to outlive it."""
    return {LINEAGE: change.labels.lineage, FENCE: str(fence_of(change))}


def write_shares(shares: Iterable[Share]) -> str:
    """Return the text of the label infctl.devices."""
    return json.dumps([[share.device, share.memory] for share in shares], separators=(",", ":"))


def read_shares(labels: Mapping[str, str]) -> tuple[Share, ...]:
    """Return what `write_shares` wrote; nothing where a stranger wrote something else."""
    try:
        return tuple(Share(str(device), int(memory)) for device, memory in json.loads(labels.get(DEVICES) or "[]"))
    except (ValueError, TypeError):
        return ()


def read_promises(listed: Iterable[Mapping[str, Any]], clock: float, lineage: str) -> tuple[Promise, ...]:
    """Return what the containers in GET /containers/json?all=1 hold, whosever stack and lineage they are of.

    `clock` is the daemon's own, in seconds since 1970: a reservation that has expired by it holds nothing. Nor does a
    container of our own `lineage` that is down: who starts it again reserves again. Another stack's may be one that
    the daemon starts again by itself in a moment, as after a reboot: it keeps what it was promised.
    """
    ours = (read_promise(one) for one in listed if is_ours(one) and one.get("State") not in GONE)
    return tuple(
        one for one in ours if not one.expired(clock) and not (one.state == DOWN and one.labels.get(LINEAGE) == lineage)
    )


def is_ours(listed: Mapping[str, Any]) -> bool:
    """Return whether infctl made a container, of whatever stack: its labels say what it holds."""
    labels = listed.get("Labels") or {}
    return DEVICES in labels or ID in labels


def promised(promises: Iterable[Promise], device: str, whole: int) -> int:
    """Return the bytes of a device that are promised; a share of the whole device is all `whole` of them."""
    return sum(share.memory or whole for one in promises for share in one.shares if share.device == device)


def read_promise(listed: Mapping[str, Any]) -> Promise:
    """Return what one container of GET /containers/json holds."""
    labels = listed.get("Labels") or {}
    name = (listed.get("Names") or [""])[0].removeprefix("/")
    shares, memory = read_shares(labels), _memory(labels)
    return Promise(listed["Id"], name, listed.get("State", ""), labels, shares, memory, int(listed.get("Created", 0)))


def _memory(labels: Mapping[str, str]) -> int:
    try:
        return int(json.loads(labels.get(VALUES) or "{}").get("memory") or 0)
    except (ValueError, TypeError, AttributeError):
        return 0
