"""Owns what a plan is asked for and what it is made from. Pure values; knows no command-line flag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from infctl.address import Address
from infctl.diagnostics import Diagnostic, Span
from infctl.plan.model import Mode
from infctl.provider.kinds import KindSpec
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
