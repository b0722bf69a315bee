"""Owns the decisions: for each model and target, what it would be pinned to now, and how its engine is started.

Pure. Says everything that is wrong with the models at once. Knows nothing of the lock file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from infctl.desired.facts import Asked, Facts, file_asked
from infctl.diagnostics import Diagnostic, InfctlError
from infctl.engines.pin import Key, Pin
from infctl.engines.resolve import asking, check, decide_pin, engine_of, inputs_of, set_up
from infctl.engines.setup import Setup
from infctl.sizing.memory import Need, need_of
from infctl.spec.paths import show
from infctl.spec.problems import Problem

if TYPE_CHECKING:
    from infctl.spec.model import Model
    from infctl.spec.stack import Stack


@dataclass(frozen=True, slots=True)
class Decisions:
    """`pins` by (model, target) are what each would be pinned to now, `setups` and `needs` by model;
    `versions` are those of the engines installed here.
    """

    pins: Mapping[Key, Pin] = field(default_factory=dict)
    setups: Mapping[str, Setup] = field(default_factory=dict)
    needs: Mapping[str, Need | None] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def decide(stack: Stack, facts: Facts) -> Decisions:
    """Return the decisions for every model of `stack`. Raises InfctlError with every problem of every model.

    Models that ask the same of the same file share one setup, so many models cost little.
    """
    pins: dict[Key, Pin] = {}
    setups: dict[str, Setup] = {}
    needs: dict[str, Need | None] = {}
    problems: list[Problem] = []
    blamed: set[Asked] = set()  # one bad file is reported once, at the first model that names it
    known_pins: dict[tuple[str, ...], Pin] = {}
    known: dict[tuple[object, ...], tuple[Setup, Need | None]] = {}
    for model in stack.models.values():
        asked = file_asked(engine_of(model), model.uri) if model.uri else None
        if asked is not None and asked not in facts.files:
            if asked not in blamed:
                blamed.add(asked)
                problems += (_in(model, Problem(each, ("uri",))) for each in facts.problems[asked])
            problems += (_in(model, each) for each in check(model))
            continue
        file = facts.files[asked] if asked else None
        inputs = inputs_of(model)
        if (pin := known_pins.get(inputs)) is None:
            pin = known_pins[inputs] = decide_pin(model, file, facts.versions)
        asking_key = asking(model)
        if (found := known.get(asking_key)) is None:
            setup = set_up(model, file)
            found = known[asking_key] = (setup, need_of(file, setup.args, model.task) if file else None)
        setup, needs[model.name] = found
        setups[model.name] = setup
        problems += (_in(model, each) for each in setup.problems)
        for target in order_of(stack, model):
            pins[model.name, target] = pin
    if problems:
        raise InfctlError(*(_placed(stack, each) for each in problems))
    return Decisions(pins, setups, needs, facts.versions)


def check_models(stack: Stack) -> tuple[Diagnostic, ...]:
    """Return what the engines cannot follow in the models of `stack`, as far as that shows without any model file."""
    return tuple(_placed(stack, _in(model, each)) for model in stack.models.values() for each in check(model))


def order_of(stack: Stack, model: Model) -> tuple[str, ...]:
    """Return the targets that `model` may live on, best first: the stack's first where the model names none."""
    return model.placement.order or (next(iter(stack.targets)),)


def _in(model: Model, found: Problem) -> Problem:
    """Return a problem whose place began at the model with its whole place in the configuration."""
    loc = ("models", model.name, *found.loc)
    return replace(found, loc=loc, diagnostic=replace(found.diagnostic, path=show(loc), address=f"model.{model.name}"))


def _placed(stack: Stack, found: Problem) -> Diagnostic:
    return found.diagnostic.at(stack.locate(show(found.loc), at_key=found.at_key))
