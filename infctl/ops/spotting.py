"""Owns what placing needs of an open stack: how wishes become resources, how models are to be placed, and where else.

Decides nothing: `plan.placing` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from infctl.placement.place import Where
from infctl.plan.overflow import Spares
from infctl.plan.spots import Lower, Manner

if TYPE_CHECKING:
    from infctl.desired.wanted import Wanted
    from infctl.ops.pins import Pins
    from infctl.ops.session import Session
    from infctl.plan.request import TargetView


class Choices(NamedTuple):
    """Where models may live: `spares` are what they would run on each target of their order, `build` gives all wishes
    for replicas on other targets than was asked first.
    """

    spares: Callable[[], Spares]
    build: Callable[[Where], tuple[Wanted, ...]]


def choices_of(pins: Pins, now: Where) -> Choices | None:
    """Return where models may live besides; None where each has but one target. `now` is where they run."""
    from infctl.desired.build import build, spares

    stack, decided = pins.stack, (pins.decisions, pins.every)
    if not any(model.placement.order[1:] for model in stack.models.values()):
        return None
    return Choices(
        lambda: tuple((each.target, each.deployment) for each in spares(stack, *decided)),
        lambda where: build(stack, *decided, {**now, **where}, pins.shares),
    )


def manners_of(session: Session) -> Mapping[str, Manner]:
    models = session.stack.models if session.stack is not None else {}
    asked = {name: model.placement for name, model in models.items()}
    return {name: Manner(each.spread or "", each.colocate_with) for name, each in asked.items()}


def lowering(session: Session, views: Mapping[str, TargetView]) -> Lower:
    """Return what gives the resources of all that is wanted on a target."""
    return lambda want: session.providers[want.target].lower(want, views[want.target].inventory)
