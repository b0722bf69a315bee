"""Owns what the parts of this provider share: the account and region, and how a kind of object is handled.

A kind is handled by one `Part`; `provider` finds it by the kind's name. Knows no kind in particular.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infctl.address import parse_address
from infctl.provider.errors import ProviderError
from infctl.provider.protocol import Context
from infctl.provider.values import Change, Emit, Observed, Scope, Values
from infctl_aws.config import AwsTarget
from infctl_aws.kinds import KINDS
from infctl_aws.labels import ID, Described, Tags, is_ours, read_tags
from infctl_aws.session import Session

Doc = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cloud:
    """What all changes on one target need."""

    config: AwsTarget
    context: Context
    session: Session

    def ec2(self) -> Any:
        return self.session.client("ec2")

    def scaling(self) -> Any:
        return self.session.client("autoscaling")

    def elb(self) -> Any:
        return self.session.client("elbv2")

    def iam(self) -> Any:
        return self.session.client("iam")

    def logs(self) -> Any:
        return self.session.client("logs")

    def ssm(self) -> Any:
        return self.session.client("ssm")


@dataclass(frozen=True, slots=True)
class Sight:
    """What is looked for, and the stack's auto scaling groups, which are listed once for all who ask."""

    scope: Scope
    groups: Callable[[], Sequence[Doc]]


Make = Callable[[Cloud, Change, Emit], Observed]
TakeDown = Callable[[Cloud, Change, Emit], Observed | None]


@dataclass(frozen=True, slots=True)
class Part:
    """How one kind is handled. `make` creates, updates or switches and returns what stands then; `drain` waits until
    an object serves nobody; `take_down` stops or deletes. All may be repeated, and raise ProviderError or what the SDK
    raises. `observe` lists the objects of the kind.
    """

    make: Make
    take_down: TakeDown
    observe: Callable[[Cloud, Sight], Iterable[Observed]]
    drain: TakeDown


def wanted(change: Change) -> Values:
    """Return the values that the object must have. Raises ProviderError when they are not those of its kind."""
    fields = set(KINDS[change.address.kind].fields)
    if change.after is None or set(change.after) != fields:
        wrong = ", ".join(sorted(fields ^ set(change.after or ())))
        raise ProviderError(f"{change.address} cannot be made from these values", f"missing or unknown: {wrong}")
    return change.after


def mine(cloud: Cloud, sight: Sight, tags: Tags, kind: str) -> Described | None:
    """Return what an object of `kind` says of itself, None where it is not looked for here."""
    found = read_tags(tags)
    if found is None or not is_ours(found, sight.scope, cloud.context.target):
        return None
    return found if parse_address(found.labels.address).kind == kind else None


def refuse_strangers(change: Change, tags: Tags) -> None:
    """Raise ProviderError where what has the name of our object is somebody else's."""
    if tags.get(ID) != change.labels.id:
        whose = f"it is infctl's {tags[ID]}" if ID in tags else "it carries no tags of infctl"
        raise ProviderError(
            f"{change.name} is taken on AWS by something else",
            f"{whose}, not {change.labels.id}",
            hint="remove or rename it there, then run the same command again",
            address=str(change.address),
        )


def seen(described: Described, values: Values, outputs: Values, *, running: bool = True) -> Observed:
    address = parse_address(described.labels.address)
    return Observed(
        address, described.labels.id, described.name, described.target, values, outputs, described.labels, running
    )


def short_name(change: Change, most: int) -> str:
    """Return the object's name, cut and told apart by its id where AWS allows fewer characters."""
    if len(change.name) <= most:
        return change.name
    return f"{change.name[: most - 13].rstrip('-')}-{change.labels.id[:12]}"
