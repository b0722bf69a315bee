"""Owns that a device is never promised twice, whoever runs infctl and from where: the daemon's names decide.

A reservation is a container that is created and never started. It is made under the device's lock, another such
container, and what all containers there were promised is counted again after it stands: a lock that was broken
costs time, never a second promise. It goes as soon as the container it is for stands, whose own labels then hold the
device. Knows nothing of plans.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Any

from infctl.provider.errors import ProviderError
from infctl.provider.values import Labels, Share
from infctl_docker.errors import DaemonError
from infctl_docker.facts.daemon import parse_time
from infctl_docker.hosts import Host
from infctl_docker.promises import (
    COPIES,
    DEVICES,
    FENCE,
    FOR,
    LEASE,
    LINEAGE,
    Promise,
    promised,
    read_promise,
    read_promises,
    write_shares,
)

if TYPE_CHECKING:
    from infctl_docker.client import Api

PREFIX = "infctl-gpu-"
LEASE_SECONDS = 900  # how long a reservation outlives a run that was killed: longer than a container takes to make
LOCK_SECONDS = 30  # the same for a lock, which is held for a few calls
PATIENCE = 90.0  # seconds to wait for a lock: longer than LOCK_SECONDS, so that a killed run's lock is taken over
PAUSE = 0.02, 0.25  # seconds between two tries: the shortest and the longest


@dataclass(frozen=True, slots=True)
class Asker:
    """Where, for what and by whom devices are reserved: the object's id, and the lineage and fence of the run."""

    host: Host
    id: str
    lineage: str
    fence: int
    image: str = ""

    def labels(self, lease: int) -> dict[str, str]:
        return {FOR: self.id, LINEAGE: self.lineage, FENCE: str(self.fence), LEASE: str(lease)}

    def succeeds(self, other: Promise) -> bool:
        """Return whether `other` is what an earlier run of the same stack left: there is only one at a time."""
        return other.reservation and other.labels.get(LINEAGE) == self.lineage and other.fence < self.fence


@contextmanager
def reserved(
    host: Host, shares: Iterable[Share], labels: Labels, *, image: str, room: Mapping[str, int]
) -> Iterator[None]:
    """Hold `shares` of the devices of `host` while the container with these `labels` is made or started in the block.

    `image` is any that is on the host; `room` says, by uuid, how many bytes all replicas together may be promised of
    a device. Raises ProviderError when a device has become taken, or its lock cannot be had.
    """
    asker = Asker(host, labels.id, labels.lineage, labels.fence, image)
    with ExitStack() as held:
        for share in sorted(shares):  # one order for all, so that of two that want the same the second holds nothing
            held.callback(_remove, host.api, _reserve(share, asker, room))
        yield


def sweep(host: Host, lineage: str, fence: int) -> None:
    """Remove what an earlier run of this stack made for a while on `host` and did not live to remove: what it reserved,
    and what was to bring models, unless that goes on without it.
    """
    listed = host.api.containers(all=True, filters={"label": f"{LINEAGE}={lineage}"})
    for left in map(read_promise, listed):
        brings = left.labels.get(COPIES)
        void = left.reservation or brings == "copy" or (brings and left.state != "running")
        if void and left.fence < fence:
            _remove(host.api, left.container)


def _reserve(share: Share, asker: Asker, room: Mapping[str, int]) -> str:
    """Return the id of the container that now holds the share."""
    if share.device not in room:
        raise _gone(share, asker)
    names = _names(share.device)
    for _ in _tries(f"{share.device} on {asker.host.name}"):
        with _locked(share.device, asker):
            if others := _in_the_way(share, asker, room):
                raise _taken(share, asker, others)
            container = ""
            while not container:  # which numbers are free, the daemon says
                container = _create(next(names), {DEVICES: write_shares([share])}, asker, LEASE_SECONDS)
            if not _in_the_way(share, asker, room):
                return container
            _remove(asker.host.api, container)  # the lock was broken: somebody else counted at the same time
    raise AssertionError  # _tries ends by raising


def _in_the_way(share: Share, asker: Asker, room: Mapping[str, int]) -> tuple[Promise, ...]:
    """Return what others were promised, unless the share fits beside it."""
    listed = asker.host.api.containers(all=True, filters={"label": DEVICES})
    others = _others(share, asker, listed, 0.0)
    if not _fits(share, others, room):
        others = _others(share, asker, listed, _clock(asker))  # asked only now: most often nothing has expired
    return () if _fits(share, others, room) else others


def _others(share: Share, asker: Asker, listed: Sequence[Mapping[str, Any]], clock: float) -> tuple[Promise, ...]:
    return tuple(
        one
        for one in read_promises(listed, clock, asker.lineage)
        if one.id != asker.id and not asker.succeeds(one) and any(held.device == share.device for held in one.shares)
    )


def _fits(share: Share, others: Sequence[Promise], room: Mapping[str, int]) -> bool:
    if not share.memory:
        return not others
    return promised(others, share.device, room[share.device]) + share.memory <= room[share.device]


@contextmanager
def _locked(device: str, asker: Asker) -> Iterator[None]:
    name = f"{_prefix(device)}lock"
    for _ in _tries(f"the lock of {device} on {asker.host.name}"):
        if lock := _create(name, {}, asker, LOCK_SECONDS):
            try:
                yield
            finally:
                _remove(asker.host.api, lock)
            return
        _break_void(name, asker)


def _break_void(name: str, asker: Asker) -> None:
    """Remove a lock that nobody holds any more. Raises ProviderError when a later run of this stack holds it."""
    inspected = _unless({HTTPStatus.NOT_FOUND}, lambda: asker.host.api.inspect_container(name))
    if inspected is None:
        return
    created = int(parse_time(inspected["Created"]))
    lock = read_promise({"Id": inspected["Id"], "Labels": inspected["Config"]["Labels"], "Created": created})
    if lock.labels.get(LINEAGE) == asker.lineage and lock.fence > asker.fence:
        raise ProviderError(
            "A later run of this stack is at work",
            f"on {asker.host.name} it holds {name}",
            hint="this run lost its lock; run `infctl plan` to see how things stand",
        )
    if asker.succeeds(lock) or lock.expired(_clock(asker)):
        _remove(asker.host.api, lock.container)


def _create(name: str, labels: Mapping[str, str], asker: Asker, lease: int) -> str:
    """Return the id of a container of this name that is never started, "" where there is one already."""
    api = asker.host.api
    made = _unless(
        {HTTPStatus.CONFLICT},
        lambda: api.create_container(
            asker.image,
            command=["true"],
            name=name,
            labels={**labels, **asker.labels(lease)},
            host_config=api.create_host_config(network_mode="none"),
        ),
    )
    return str(made["Id"]) if made else ""


def _remove(api: Api, container: str) -> None:
    """Remove a container that was never started; one that is gone, or just being removed by others, is as well."""
    _unless({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}, lambda: api.remove_container(container, v=True, force=True))


def _unless(answers: Collection[HTTPStatus], call: Callable[[], Any]) -> Any:
    """Return what `call` gives, None when the daemon says no in one of these ways."""
    try:
        return call()
    except DaemonError as failure:
        if failure.status in answers:
            return None
        raise


def _clock(asker: Asker) -> float:
    """Return the daemon's own time: ours and another machine's are never compared with it."""
    return parse_time(str(asker.host.api.info().get("SystemTime", "")))


def _names(device: str) -> Iterator[str]:
    return (f"{_prefix(device)}{number}" for number in count())


def _prefix(device: str) -> str:
    return f"{PREFIX}{re.sub(r'[^a-zA-Z0-9_.-]', '.', device)}-"


def _tries(what: str) -> Iterator[None]:
    """Yield again and again, with growing pauses, until PATIENCE is over; then raise ProviderError."""
    until, pause = time.monotonic() + PATIENCE, PAUSE[0]
    while time.monotonic() < until:
        yield
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  -- so that two do not keep step
        pause = min(2 * pause, PAUSE[1])
    raise ProviderError(
        f"{what} is not to be had",
        f"others held it for {PATIENCE:.0f} s",
        hint="another infctl makes replicas there: run the same command again when it is done",
        retryable=True,
    )


def _taken(share: Share, asker: Asker, others: Sequence[Promise]) -> ProviderError:
    who = ", ".join(sorted(one.labels.get(FOR) or one.name for one in others)) or "others"
    return ProviderError(
        f"{share.device} on {asker.host.name} was promised to others",
        f"since the plan was made {who} took what was to be this replica's",
        hint="run `infctl plan` again: it places the replica where there is room",
    )


def _gone(share: Share, asker: Asker) -> ProviderError:
    return ProviderError(
        f"{asker.host.name} has no device {share.device} to give",
        "it is gone, cut in slices, or left out by gpu_reserve",
        hint="run `infctl plan` again: it places the replica on what is there",
    )
