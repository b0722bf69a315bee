"""Owns the decisions: for each model and target, what it would be pinned to now, and how its engine is started.

Pure. Says everything that is wrong with the models at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING

from infctl.desired.check import in_model
from infctl.desired.facts import Asked, Facts, file_asked, order_of
from infctl.desired.settle import still_holds
from infctl.diagnostics import Diagnostic, InfctlError, Severity
from infctl.engines.pin import Key, Pin
from infctl.engines.resolve import LOCAL, READS_HEADER, asking, check, decide_pin, engine_of, inputs_of, set_up
from infctl.engines.setup import Setup
from infctl.frozen import dataclass
from infctl.sizing.memory import Need, need_of
from infctl.spec.paths import show
from infctl.spec.problems import Problem

if TYPE_CHECKING:
    from infctl.engines.model_file import ModelFile
    from infctl.spec.model import Model
    from infctl.spec.stack import Stack


_NOBODY: Mapping[Key, tuple[str, str]] = {}
_AS_THEY_ARE: Mapping[Key, Model] = {}


@dataclass(frozen=True, slots=True)
class Decisions:
    """By (model, target): `pins` are what each would be pinned to now, `setups` how it is started, `needs` its memory.

    `versions` are those of the engines installed here, `containers` the targets that run images. A pin of such a
    target is incomplete: see `complete`. `variants` are models as they run on some targets, where other devices are.
    """

    pins: Mapping[Key, Pin] = field(default_factory=dict)
    setups: Mapping[Key, Setup] = field(default_factory=dict)
    needs: Mapping[Key, Need | None] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    containers: Collection[str] = ()
    variants: Mapping[Key, Model] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """What is pinned already, by (model, target) under today's names: flags are judged by the engine's version there.
    With `upgrade` none of it counts.
    """

    pins: Mapping[Key, Pin] = field(default_factory=dict)
    upgrade: bool = False

    def version(self, key: Key, now: Pin) -> str:
        """Return the version of its engine that `key` will run."""
        pin = self.pins.get(key)
        return pin.engine_version if pin and not self.upgrade and still_holds(pin, now) else now.engine_version


def decide(
    stack: Stack,
    facts: Facts,
    containers: Collection[str] = (),
    held: Held | None = None,
    sized: Mapping[Key, tuple[str, str]] = _NOBODY,
    *,
    variants: Mapping[Key, Model] = _AS_THEY_ARE,
) -> Decisions:
    """Return the decisions for every model of `stack`. Raises InfctlError with every problem of every model.

    Models that ask the same of the same file share one setup, so many models cost little. `sized` are those whose open
    fields were decided, and are filled in: what their pin keeps of that, and the digest that it was decided from. The
    further targets of a model have what its first one has, unless `variants` says what it is there.
    """
    making = _Making(facts, held or Held(), sized)
    for model in stack.models.values():
        order = order_of(stack, model)
        if containers:
            alike = tuple(each for each in order if each in containers and (model.name, each) not in variants)
            making.decide(model, alike, container=True)
            for target in (each for each in order if (model.name, each) in variants):
                making.decide(variants[model.name, target], (target,), container=True)
            order = tuple(target for target in order if target not in containers)
        making.decide(model, order, container=False)
    if making.problems:
        raise InfctlError(*(placed(stack, each) for each in making.problems))
    return Decisions(making.pins, making.setups, making.needs, facts.versions, containers, variants)


class _Making:
    """Decisions while they are being made, and what is made once for all models that ask the same."""

    def __init__(self, facts: Facts, held: Held, sized: Mapping[Key, tuple[str, str]]) -> None:
        self._facts, self._held, self._sized = facts, held, sized
        self.pins: dict[Key, Pin] = {}
        self.setups: dict[Key, Setup] = {}
        self.needs: dict[Key, Need | None] = {}
        self.problems: list[Problem] = []
        self._blamed: set[Asked] = set()  # one bad file is reported once, at the first model that names it
        self._pins: dict[tuple[object, ...], Pin] = {}
        self._made: dict[tuple[str, tuple[object, ...]], tuple[Setup, Need | None]] = {}

    def decide(self, model: Model, targets: tuple[str, ...], *, container: bool) -> None:
        """Decide about `model` on `targets`, all of one kind."""
        if not targets:
            return
        engine, asked = engine_of(model, container=container), None
        if model.uri and (not container or model.uri.startswith(LOCAL)):
            asked = file_asked(engine, model.uri)
        if asked is not None and asked not in self._facts.files:
            self._blame(asked, model)
            self._add(model, check(model, container=container))
            return
        file = self._facts.files[asked] if asked else None
        inputs = inputs_of(model, container=container)
        if (pin := self._pins.get(inputs)) is None:
            pin = self._pins[inputs] = decide_pin(model, file, self._facts.versions, container=container)
        if (made := self._sized.get((model.name, targets[0]))) is not None:
            pin = replace(pin, decided=made[0], inputs=made[1])
        asking_key, told = asking(model, container=container), None
        for target in targets:
            key = (model.name, target)
            version = self._held.version(key, pin) if container else ""
            if (found := self._made.get((version, asking_key))) is None:
                found = self._made[version, asking_key] = _set_up(model, file, version, container=container)
            self.pins[key] = pin
            self.setups[key], self.needs[key] = found
            if found[0].problems and found is not told:
                told = found
                self._add(model, found[0].problems)

    def _blame(self, asked: Asked, model: Model) -> None:
        if asked not in self._blamed:
            self._blamed.add(asked)
            self._add(model, (Problem(each, ("uri",)) for each in self._facts.problems.get(asked, ())))

    def _add(self, model: Model, found: Iterable[Problem]) -> None:
        errors = (each for each in found if each.diagnostic.severity is Severity.ERROR)  # `spec` told the warnings
        self.problems += (in_model(model.name, each) for each in errors)


def _set_up(model: Model, file: ModelFile | None, version: str, *, container: bool) -> tuple[Setup, Need | None]:
    setup = set_up(model, file, container=container, version=version)
    sized = file is not None and engine_of(model, container=container) in READS_HEADER
    return setup, need_of(file, setup.args, model.task) if file and sized else None


def placed(stack: Stack, found: Problem) -> Diagnostic:
    """Return a problem as it is shown, with its line."""
    return found.diagnostic.at(stack.locate(show(found.loc), at_key=found.at_key))
