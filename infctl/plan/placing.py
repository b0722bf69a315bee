"""Owns asking where all that is wanted runs: on the targets that were asked first, else further down the models' order.

Pure; `spots` finds the places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from infctl.placement.place import Where
from infctl.placement.search import Tell
from infctl.plan.overflow import Spares
from infctl.plan.request import Question
from infctl.plan.revisions import Assigned
from infctl.plan.spots import Lower, Manner, give_spots, lower_all


class Elsewhere(NamedTuple):
    """`spares` are what models would run on each target of their order, `assign` gives all wishes, with their
    revisions, where some models live on other targets than was asked first.
    """

    spares: Callable[[], Spares]
    assign: Callable[[Where], Assigned]


class Placed(NamedTuple):
    """A question with everything where it is to run, in native resources. `where` are the slots of the models that live
    on other targets than was asked first; `notes` are sentences.
    """

    question: Question
    assigned: Assigned
    where: Where
    notes: tuple[str, ...]


def place(
    question: Question,
    assigned: Assigned,
    lower: Lower,
    manners: Mapping[str, Manner],
    *,
    elsewhere: Elsewhere | None = None,
    tell: Tell = lambda *_: None,
) -> Placed:
    """Return `question`, which has the wishes of `assigned`, placed. Raises InfctlError as `give_spots` does."""
    spotted = give_spots(question, lower, manners, tell, elsewhere.spares if elsewhere is not None else None)
    where, notes = spotted.where, [spotted.note]
    if where and elsewhere is not None:
        assigned = elsewhere.assign(where)
        question = replace(
            question, deployments=assigned.deployments, placed_on=assigned.placed_on, holds=assigned.holds
        )
        spotted = give_spots(question, lower, manners, tell)
        notes.append(spotted.note)
    question = replace(question, deployments=spotted.deployments)
    question = replace(question, desired=lower_all(question, lower))
    return Placed(question, assigned, where, tuple(filter(None, notes)))
