"""Owns what a plan is asked for and what it is made from. Pure values; knows no command-line flag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from infctl.address import Address
from infctl.diagnostics import Diagnostic, Span
from infctl.frozen import dataclass
from infctl.plan.model import Mode
from infctl.provider.kinds import KindSpec, Role
from infctl.provider.values import Deployment, Desired, Inventory, Observed, Unreadable, Values
from infctl.state.model import State


@dataclass(frozen=True, slots=True)
class Request:
    """What the person asked for. Selectors are addresses; `rollback` maps a model to a revision (0: the one before).

    `unattended` is whether nobody can answer a question: then a revision that failed is not tried again.
    """

    mode: Mode = Mode.NORMAL
    targets: tuple[Address, ...] = ()
    excludes: tuple[Address, ...] = ()
    replace: tuple[Address, ...] = ()
    restart: tuple[str, ...] = ()
    rollback: Mapping[str, int] = field(default_factory=dict)
    release: tuple[str, ...] = ()
    retry: tuple[str, ...] = ()
    by: str = ""
    at: str = ""
    upgrade: bool = False
    allow_unreachable: bool = False
    evacuate: tuple[str, ...] = ()  # places that cannot be read, whose replicas are given up
    unattended: bool = False


@dataclass(frozen=True, slots=True)
class TargetView:
    """One target as it was read. `config` is how it is reached, with no secret in it."""

    name: str
    type: str
    config: Values
    kinds: Mapping[str, KindSpec]
    lowering: int = 1
    inventory: Inventory = field(default_factory=Inventory)
    observed: tuple[Observed, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def places_replicas(self) -> bool:
        """Whether the core says at which place each replica runs."""
        return any(kind.place and kind.role is Role.REPLICA for kind in self.kinds.values())

    @property
    def is_dark(self) -> bool:
        """Whether nothing at all of the target could be read."""
        return any(each.place == self.name for each in self.unreadable)

    def place_of(self, address: Address, values: Values) -> str:
        """Return at which place an object is, "" where the target has but one."""
        if field := self.kinds[address.kind].place:
            return values.get(field) or ""
        return address.key.rpartition("/")[2] if self.places_replicas else ""

    def reads(self, place: str) -> bool:
        """Return whether `place` could be read: what is not seen there is not there."""
        if not self.places_replicas or not place:
            return not self.unreadable
        return any(each.name == place for each in self.inventory.places) and not any(
            place == each.place for each in self.unreadable
        )

    def takes_new(self, place: str) -> bool:
        """Return whether something new may be made at `place`."""
        return not self.is_dark if not self.places_replicas else self.reads(place)


@dataclass(frozen=True, slots=True)
class Question:
    """Everything a plan depends on: equal questions have byte-identical plans.

    `deployments` carry their revisions already (see `revisions.assign`), `desired` is what the providers lowered
    from them. `protected` maps models to the line that protects them. `secret_digests` holds the keyed digests
    of the secrets that could be read while planning.
    """

    state: State
    views: Mapping[str, TargetView]
    deployments: tuple[Deployment, ...] = ()
    placed_on: tuple[str, ...] = ()  # the target of each deployment, in the same order
    desired: tuple[Desired, ...] = ()
    request: Request = field(default_factory=Request)
    protected: Mapping[str, Span | None] = field(default_factory=dict)
    secrets: Mapping[str, Values] = field(default_factory=dict)
    secret_digests: Mapping[str, str] = field(default_factory=dict)
    moved: tuple[tuple[str, str], ...] = ()
    holds: tuple[str, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    infctl_version: str = ""
