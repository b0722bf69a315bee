"""Owns the decisions: for each model and target, what it would be pinned to now, and how its engine is started.

Pure. Says everything that is wrong with the models at once. Knows nothing of the lock file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from infctl.desired.facts import Asked, Facts, file_asked
from infctl.diagnostics import Diagnostic, InfctlError, Severity
from infctl.engines.pin import Key, Pin
from infctl.engines.resolve import asking, decide_pin, engine_of, inputs_of, set_up
from infctl.engines.setup import Setup
from infctl.sizing.memory import Need, need_of

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
    warnings: tuple[Diagnostic, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def decide(stack: Stack, facts: Facts) -> Decisions:
    """Return the decisions for every model of `stack`. Raises InfctlError with every problem of every model.

    Models that ask the same of the same file share one setup, so many models cost little.
    """
    pins: dict[Key, Pin] = {}
    setups: dict[str, Setup] = {}
    needs: dict[str, Need | None] = {}
    problems: list[Diagnostic] = []
    blamed: set[Asked] = set()  # one bad file is reported once, at the first model that names it
    known_pins: dict[tuple[str, ...], Pin] = {}
    known: dict[tuple[object, ...], tuple[Setup, Need | None]] = {}
    for model in stack.models.values():
        asked = file_asked(engine_of(model), model.uri) if model.uri else None
        if asked is not None and asked not in facts.files:
            if asked not in blamed:
                blamed.add(asked)
                problems += _placed(facts.problems[asked], model.name, "uri")
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
        if setup.problems:
            problems += _placed(setup.problems, model.name)
        for target in order_of(stack, model):
            pins[model.name, target] = pin
    warnings = tuple(each for each in problems if each.severity is Severity.WARNING)
    errors = [each for each in problems if each.severity is Severity.ERROR]
    if errors:
        raise InfctlError(*(each.at(stack.locate(each.path)) for each in errors))
    return Decisions(pins, setups, needs, tuple(each.at(stack.locate(each.path)) for each in warnings), facts.versions)


def order_of(stack: Stack, model: Model) -> tuple[str, ...]:
    """Return the targets that `model` may live on, best first: the stack's first where the model names none."""
    return model.placement.order or (next(iter(stack.targets)),)


def _placed(problems: Iterable[Diagnostic], model: str, path: str = "") -> Iterator[Diagnostic]:
    """Yield `problems` with their whole path in the configuration; `path` where one has none of its own."""
    for problem in problems:
        inner = problem.path or path
        yield replace(problem, path=f"models.{model}.{inner}" if inner else f"models.{model}", address=f"model.{model}")
