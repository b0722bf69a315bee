"""Owns asking where what is wanted runs: on the targets that were asked first, or further down the models' order.

Knows neither pins nor secrets; `plan.spots` finds the places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from infctl.ops.reading import Hear, Placing
from infctl.placement.place import Where
from infctl.plan.overflow import Spares
from infctl.plan.revisions import Assigned
from infctl.plan.spots import Manner, Spotted, give_spots, lower_all
from infctl.provider.values import Desired, TargetWant

if TYPE_CHECKING:
    from infctl.desired.wanted import Wanted
    from infctl.ops.pins import Pins
    from infctl.ops.session import Session
    from infctl.plan.request import Question, TargetView


class Elsewhere(NamedTuple):
    """`spares` are what models would run on the further targets of their order, `build` gives all wishes where replicas
    live on other targets than was asked first: model -> target -> slots.
    """

    spares: Callable[[], Spares]
    build: Callable[[Where], tuple[Wanted, ...]]


class Placed(NamedTuple):
    """A question with everything where it is to run, its revisions, and what is to be said of that."""

    question: Question
    assigned: Assigned
    wanted: tuple[Wanted, ...]
    notes: tuple[str, ...]


def elsewhere_of(pins: Pins, wanted: tuple[Wanted, ...], now: Where) -> Elsewhere | None:
    """Return where models may live besides; None where each has but one target. `now` is where they run."""
    from infctl.desired.build import build, spares

    stack, decided = pins.stack, (pins.decisions, pins.settled.pins)
    if not any(model.placement.order[1:] for model in stack.models.values()):
        return None
    return Elsewhere(
        lambda: tuple((each.target, each.deployment) for each in spares(stack, *decided, wanted)),
        lambda where: build(stack, *decided, {**now, **where}),
    )


def place(
    session: Session,
    question: Question,
    first: tuple[Assigned, tuple[Wanted, ...]],
    elsewhere: Elsewhere | None,
    *,
    assign: Callable[[tuple[Wanted, ...]], Assigned],
    hear: Hear,
) -> Placed:
    """Return `question`, which is made from `first`, with everything placed. `assign` gives wishes their revisions.

    Raises InfctlError as `give_spots` does.
    """
    assigned, wanted = first
    spotted = _spotted(session, question, hear, elsewhere.spares if elsewhere is not None else None)
    notes = [spotted.note]
    if spotted.where and elsewhere is not None:
        wanted = elsewhere.build(spotted.where)
        assigned = assign(wanted)
        question = replace(
            question, deployments=assigned.deployments, placed_on=assigned.placed_on, holds=assigned.holds
        )
        spotted = _spotted(session, question, hear)
        notes.append(spotted.note)
    question = replace(question, deployments=spotted.deployments)
    question = replace(question, desired=lower_all(question, _lowering(session, question.views)))
    return Placed(question, assigned, wanted, tuple(filter(None, notes)))


def _spotted(session: Session, question: Question, hear: Hear, spares: Callable[[], Spares] | None = None) -> Spotted:
    models = session.stack.models if session.stack is not None else {}
    asked = {name: model.placement for name, model in models.items()}
    manners = {name: Manner(each.spread or "", each.colocate_with) for name, each in asked.items()}
    lower = _lowering(session, question.views)
    return give_spots(question, lower, manners, lambda _, done, total: hear(Placing(done, total)), spares)


def _lowering(session: Session, views: Mapping[str, TargetView]) -> Callable[[TargetWant], tuple[Desired, ...]]:
    return lambda want: session.providers[want.target].lower(want, views[want.target].inventory)
