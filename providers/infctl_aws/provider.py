"""Owns the aws target: auto scaling groups of GPU instances, and what stands around them.

Ties the parts together and keeps none of them; no SDK is loaded before AWS is asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
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
from infctl_aws import balancers, groups, logs, roles, routes, walls
from infctl_aws.config import AwsTarget
from infctl_aws.doctor import check_target
from infctl_aws.errors import in_words
from infctl_aws.inventory import read_inventory
from infctl_aws.kinds import BALANCER, GROUP, KINDS, LOGS, LOWERING, ROLE, ROUTE, WALL
from infctl_aws.launch import secrets_home
from infctl_aws.lower import House, lower
from infctl_aws.parts import Cloud, Part, Sight
from infctl_aws.probing import log_lines, probe_group
from infctl_aws.rights import of_infctl
from infctl_aws.session import Session, told_to

PARTS: Mapping[str, Part] = MappingProxyType(
    {
        GROUP: groups.PART,
        ROUTE: routes.PART,
        BALANCER: balancers.PART,
        WALL: walls.PART,
        ROLE: roles.PART,
        LOGS: logs.PART,
    }
)
SERVED = ("image", "engine", "uri", "quantization", "task", "gpu", "served_names", "tags", "expose.port")


class AwsProvider:
    """The six methods for a region, with logs, images, check and rights."""

    config: ClassVar[type[BaseModel]] = AwsTarget
    kinds: ClassVar[Mapping[str, KindSpec]] = KINDS
    serves: ClassVar[frozenset[str]] = frozenset(SERVED)
    lowering: ClassVar[int] = LOWERING

    def __init__(self, config: BaseModel, context: Context) -> None:
        assert isinstance(config, AwsTarget)  # noqa: S101  # the registry's contract: built with our own config
        self._cloud = Cloud(config, context, Session(config.region, config.profile, config.assume_role))

    def inventory(self) -> Reading[Inventory]:
        target = self._cloud.context.target
        try:
            with in_words(f"What {target} has cannot be read", target=target):
                return Reading(read_inventory(self._cloud))
        except ProviderError as failure:
            return Reading(Inventory(), (_unreadable(target, failure),))

    def lower(self, want: TargetWant, have: Inventory) -> tuple[Desired, ...]:
        config, context = self._cloud.config, self._cloud.context
        house = House(
            subnets=config.subnets,
            vpc=have.facts.get("vpc", ""),
            networks=config.clients or have.facts.get("networks", ()),
            instance_types=config.instance_types,
            types=have.facts.get("types", {}),
            lacking=have.facts.get("lacking", ()),
            purchase=config.purchase.model_dump(mode="json"),
            ami=config.ami,
            disk=int(config.disk),
            public=config.public,
            ports=config.ports,
            secrets=secrets_home(context.stack, context.workspace, context.target),
        )
        return lower(want, house)

    def observe(self, scope: Scope) -> Reading[tuple[Observed, ...]]:
        with ThreadPoolExecutor(1 + len(PARTS)) as pool:
            sight = Sight(scope, pool.submit(groups.list_groups, self._cloud, scope.stack).result)
            answers = list(pool.map(lambda kind: self._list(kind, sight), PARTS))
        seen = tuple(one for found in answers if isinstance(found, tuple) for one in found)
        failed = [found for found in answers if isinstance(found, ProviderError)]
        target = self._cloud.context.target
        return Reading(seen, (_unreadable(target, failed[0]),) if failed else ())

    def _list(self, kind: str, sight: Sight) -> tuple[Observed, ...] | ProviderError:
        target = self._cloud.context.target
        try:
            with in_words(f"Objects of {target} cannot be listed", target=target):
                return tuple(PARTS[kind].observe(self._cloud, sight))
        except ProviderError as failure:
            return failure

    def apply(self, change: Change, emit: Emit) -> Observed | None:
        part = PARTS.get(change.address.kind)
        if part is None:
            raise ProviderError(f"{change.address} is of a kind that targets of type aws do not have")
        doing = f"{change.do} of {change.address} failed"
        with told_to(emit), in_words(doing, str(change.address), self._cloud.context.target):
            if change.do is Do.DRAIN:
                return part.drain(self._cloud, change, emit)
            if change.do in {Do.STOP, Do.DELETE}:
                return part.take_down(self._cloud, change, emit)
            return part.make(self._cloud, change, emit)

    def probe(self, what: Observed) -> Health:
        if what.address.kind != GROUP:
            return Health(ready=what.running)
        with in_words(f"{what.address} cannot be asked", str(what.address), self._cloud.context.target):
            return probe_group(self._cloud, what)

    def logs(self, what: Observed, *, tail: int, follow: bool) -> Iterator[str]:
        with in_words(f"The log of {what.address} cannot be read", str(what.address), self._cloud.context.target):
            yield from log_lines(self._cloud, what, tail=tail, follow=follow)

    def resolve_image(self, image: str) -> str:
        from infctl.provider.images import resolve_image  # noqa: PLC0415  -- asked only when something is pinned

        return resolve_image(image)

    def check(self) -> tuple[Finding, ...]:
        return check_target(self._cloud)

    def bootstrap(self) -> str:
        """Return the policy that whoever runs infctl needs for this target, as JSON."""
        target, config = self._cloud.context.target, self._cloud.config
        with in_words(f"The account of {target} cannot be found out", target=target):
            policy = of_infctl(self._cloud.context.stack, roles.realm_of(self._cloud), config.ami)
        return json.dumps(policy, indent=2)

    def close(self) -> None:
        self._cloud.session.close()


def _unreadable(target: str, failure: ProviderError) -> Unreadable:
    said = failure.diagnostics[0]
    return Unreadable(target, said.detail or said.summary, said.hint)
