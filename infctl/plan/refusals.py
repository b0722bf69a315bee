"""Owns what stops a plan before anything is compared: places that nobody could read, a state that is lost. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from infctl.diagnostics import Code, InfctlError, error
from infctl.plan.evacuate import refuse_evacuation
from infctl.plan.request import Question, Request, TargetView
from infctl.state.problems import STATE_LOST

UNREACHABLE = Code(
    "unreachable",
    "A place could not be read, so nobody knows what runs there.",
    "Mend the place, or plan the rest with -allow-unreachable: what is there stays untouched.",
)


def refuse(question: Question) -> None:
    """Raise InfctlError (unreachable, state-lost, not-lost) where nothing can be planned."""
    refuse_evacuation(question)
    refuse_unreachable(question.views, question.request)
    _refuse_lost_state(question)


def refuse_unreachable(views: Mapping[str, TargetView], request: Request) -> None:
    """Raise InfctlError (unreachable) for the places that could not be read, where that is not allowed."""
    if request.allow_unreachable:
        return
    places = {each.place: each for _, view in sorted(views.items()) for each in view.unreadable}
    problems = [
        error(UNREACHABLE, f"{name} could not be read", place.reason, hint=place.hint or UNREACHABLE.remedy)
        for name, place in places.items()
        if name not in request.evacuate
    ]
    if problems:
        raise InfctlError(*problems)


def _refuse_lost_state(question: Question) -> None:
    state = question.state
    if state.resources:
        return
    for view in question.views.values():
        for seen in view.observed:
            labels = seen.labels
            if labels is None or seen.id in state.released:
                continue
            if (labels.stack, labels.workspace) == (state.stack, state.workspace):
                raise InfctlError(
                    error(STATE_LOST, f"State is empty, but {seen.name} runs on {view.name}", hint=STATE_LOST.remedy)
                )
