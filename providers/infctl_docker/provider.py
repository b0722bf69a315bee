"""Owns the docker target: a rack of Docker hosts, and what runs on them.

Ties the parts together and keeps none of them; no SDK is loaded before a host is asked.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from types import MappingProxyType
from typing import ClassVar

from pydantic import BaseModel

from infctl.provider.errors import ProviderError
from infctl.provider.kinds import KindSpec
from infctl.provider.protocol import Context, Finding
from infctl.provider.values import (
    Change,
    Desired,
    Do,
    Emit,
    Health,
    Inventory,
    Observed,
    Reading,
    Scope,
    TargetWant,
    Unreadable,
)
from infctl_docker import containers, networks
from infctl_docker.config import RackTarget
from infctl_docker.doctor import check_host
from infctl_docker.errors import DaemonError, HostDown, hint_for
from infctl_docker.hosts import Fleet, Host
from infctl_docker.images import resolve
from infctl_docker.inventory import Sights
from infctl_docker.kept_logs import kept_lines
from infctl_docker.kinds import CONTAINER, KINDS, LOWERING, NETWORK
from infctl_docker.lower import House, lower
from infctl_docker.model_cache import check_caches
from infctl_docker.model_folders import find_mounted
from infctl_docker.parts import Found, Part, Rack
from infctl_docker.ports import Ports
from infctl_docker.probing import log_lines, probe_replica
from infctl_docker.promises import fence_of
from infctl_docker.proxy_kinds import PROXY_KINDS
from infctl_docker.proxy_lower import lower_proxy
from infctl_docker.proxy_parts import PROXY_PARTS, drain_replica
from infctl_docker.reading import read_host

PARTS: Mapping[str, Part] = MappingProxyType(
    {CONTAINER: replace(containers.PART, drain=drain_replica), NETWORK: networks.PART, **PROXY_PARTS}
)
SERVED = (
    *("image", "engine", "uri", "quantization", "task", "gpu", "served_names", "tags"),
    *("expose.port", "expose.bind"),
)


class DockerProvider:
    """The six methods for a rack, with logs, images and check."""

    config: ClassVar[type[BaseModel]] = RackTarget
    kinds: ClassVar[Mapping[str, KindSpec]] = MappingProxyType({**KINDS, **PROXY_KINDS})
    serves: ClassVar[frozenset[str]] = frozenset(SERVED)
    lowering: ClassVar[int] = LOWERING

    def __init__(self, config: BaseModel, context: Context) -> None:
        assert isinstance(config, RackTarget)  # noqa: S101  # the registry's contract: built with our own config
        fleet = Fleet(tuple(Host(host, context.root, context.looking) for host in config.hosts))
        price = config.price_per_gpu_hour
        sights = Sights(fleet, config.gpu_reserve, (config.proxy.image,), context.lineage, price)
        copying = {host.name: threading.Lock() for host in fleet.hosts}
        self._rack = Rack(config, context, fleet, sights, copying, Ports(config.ports))

    def inventory(self) -> Reading[Inventory]:
        return self._rack.sights.inventory()

    def lower(self, want: TargetWant, have: Inventory) -> tuple[Desired, ...]:
        del have  # where replicas run is decided before
        context, config = self._rack.context, self._rack.config
        workspace = "" if context.workspace == "default" else f"-{context.workspace}"
        addresses = {host.name: host.address for host in self._rack.fleet.hosts}
        house = House(
            self._rack.hosts,
            f"infctl-cache-{context.stack}{workspace}",
            config.cpus,
            config.model_mirror.get("hf", ""),
            self._folder_of,
        )
        return (
            *lower(want, house),
            *lower_proxy(want, addresses, config.proxy.image),
        )

    def _folder_of(self, uri: str) -> str:
        found = find_mounted(uri, self._rack.context.root, self._rack.config.model_folders)
        return found.folder if found else ""

    def observe(self, scope: Scope) -> Reading[tuple[Observed, ...]]:
        seen: list[Observed] = []
        unreadable: list[Unreadable] = []
        for found in self._rack.fleet.each(lambda host: _try_read(host, scope)).values():
            if isinstance(found, Found):
                seen += (one for part in PARTS.values() for one in part.observe(self._rack, found))
            else:
                unreadable.append(found if isinstance(found, Unreadable) else found.as_unreadable())
        return Reading(tuple(seen), tuple(unreadable))

    def apply(self, change: Change, emit: Emit) -> Observed | None:
        part = PARTS.get(change.address.kind)
        if part is None:
            raise ProviderError(f"{change.address} is of a kind that targets of type docker do not have")
        try:
            host = self._host_of(change)
            if host is None:
                return None
            self._rack.sights.tidy(host, fence_of(change))
            if change.do is Do.DRAIN:
                return part.drain(self._rack, host, change, emit)
            if change.do in {Do.STOP, Do.DELETE}:
                return part.take_down(self._rack, host, change, emit)
            return part.make(self._rack, host, change, emit)
        except DaemonError as failure:
            raise _in_words(change, failure) from failure

    def probe(self, what: Observed) -> Health:
        try:
            host = self._host(what.place, str(what.address))
            return probe_replica(host, containers.find_by_id(host, str(what.outputs["container"])), what)
        except ProviderError as failure:
            said = failure.diagnostics[0]
            return Health(ready=False, detail=": ".join(filter(None, (said.summary, said.detail))))

    def logs(self, what: Observed, *, tail: int, follow: bool) -> Iterator[str]:
        """Yield a replica's lines; of one that was removed, those that were kept on this machine."""
        container = str(what.outputs.get("container", ""))
        host = self._host(what.place, str(what.address)) if container else None
        if host is None or containers.find_by_id(host, container) is None:
            return iter(kept_lines(self._rack.logs, what.labels, tail) if what.labels else ())
        return log_lines(host, container, tail=tail, follow=follow)

    def resolve_image(self, image: str) -> str:
        return resolve(self._rack.fleet.hosts, image, self._rack.config, self._rack.context)

    def tidy(self, fence: int) -> None:
        self._rack.fleet.each(lambda host: self._rack.sights.tidy(host, fence))

    def check(self) -> tuple[Finding, ...]:
        reserve, sights = self._rack.config.gpu_reserve, self._rack.sights
        said: list[Finding] = []
        look = self._rack.fleet.each(
            lambda host: (*check_host(sights.of(host), reserve.get(host.name, ())), *check_caches(host))
        )
        for name, found in look.items():
            if isinstance(found, HostDown):
                said.append(Finding(name, ok=False, detail=found.reason, hint=found.hint))
            else:
                said += found
        return tuple(said)

    def close(self) -> None:
        self._rack.fleet.close()

    def _host(self, name: str, address: str) -> Host:
        """Return the host of this name. Raises ProviderError when the target has none."""
        if name not in self._rack.hosts:
            raise ProviderError(
                f"{address} is on {name}, which is no host of target {self._rack.context.target}",
                f"hosts: {', '.join(self._rack.hosts)}",
                hint="name the host in the target's `hosts` again, or remove its replicas first",
                address=address,
            )
        return self._rack.fleet[name]

    def _host_of(self, change: Change) -> Host | None:
        """Return the host that a change is for; None where what is to go stands on none. Raises ProviderError."""
        where = (change.after or {}).get("host") or (change.before.outputs.get("host") if change.before else "")
        if not where and change.address.kind != CONTAINER:
            where = change.address.key.rpartition("/")[2]  # theirs are kept by host
        if where:
            return self._host(str(where), str(change.address))
        found = self._rack.fleet.each(lambda host: containers.find(host, change.id) is not None)
        here = next((name for name, has in found.items() if has is True), None)
        if here is None:
            down = next((has for has in found.values() if isinstance(has, HostDown)), None)
            if down is not None:
                raise down.again()
            return None
        return self._rack.fleet[here]


def _try_read(host: Host, scope: Scope) -> Found | Unreadable:
    try:
        return read_host(host, scope)
    except DaemonError as failure:
        return Unreadable(host.name, failure.message, hint_for(failure.message))
    finally:
        host.seen()


def _in_words(change: Change, failure: DaemonError) -> ProviderError:
    return ProviderError(
        f"{change.do} of {change.address} failed on {failure.place}",
        failure.message,
        hint=hint_for(failure.message),
        address=str(change.address),
        retryable=failure.status >= HTTPStatus.INTERNAL_SERVER_ERROR,
    )
