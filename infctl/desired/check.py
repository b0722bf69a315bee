"""Owns what engines cannot follow in models, as far as that shows in the file alone: told with all else that is wrong.

Reads no model file. Of inference.lock.yaml it takes engine versions, for flags are judged by the one that will run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from infctl.desired.lockfile import LOCK_FILE, read_lock
from infctl.diagnostics import InfctlError
from infctl.engines.edge import check_edge
from infctl.engines.pin import Key, Pin
from infctl.engines.resolve import LOCAL, asking, check, engine_of, says_nothing
from infctl.engines.setup import UNFIT_FOR_ENGINE
from infctl.spec.paths import show
from infctl.spec.problems import Problem, problem

if TYPE_CHECKING:
    from infctl.spec.model import Model

BROUGHT = ("auto", "llama.cpp", "custom")  # engines that a target may bring
Models = Mapping[str, "Model"]
CheckModels = Callable[[Models, Collection[str], Collection[str]], Iterator[Problem]]


def model_checker(root: Path) -> CheckModels:
    """Return what tells, for `load_stack`, what is wrong with models for their engines; `root` holds the lock file."""

    def tell(models: Models, targets: Collection[str], containers: Collection[str]) -> Iterator[Problem]:
        return check_models(models, targets, containers, _pinned(root) if containers else {})

    return tell


def check_models(
    models: Models, targets: Collection[str], containers: Collection[str], pinned: Mapping[Key, Pin]
) -> Iterator[Problem]:
    """Yield what the engines cannot follow, each once. A model that names no target lives on the first of `targets`;
    `containers` are those that run images, `pinned` what the lock file says of them.
    """
    known: dict[tuple[object, ...], tuple[Problem, ...]] = {}
    containers = frozenset(containers)
    first = tuple(targets)[:1]
    for model in models.values():
        if model.engine != "custom" and (edge := [*check_edge(model)]):
            yield from (in_model(model.name, each) for each in edge)
            continue
        told: set[Problem] = set()
        order = model.placement.order or first
        mixed = not containers.isdisjoint(order)
        for target in order:
            container = target in containers
            if mixed and not container and (stray := _only_in_containers(model, target)):
                yield from (in_model(model.name, each) for each in stray)
                continue
            if not container and says_nothing(model):
                continue
            version = _version(model, pinned.get((model.name, target))) if container else ""
            key = (version, container, *asking(model, container=container))
            if key not in known:
                known[key] = check(model, container=container, version=version)
            yield from (in_model(model.name, each) for each in known[key] if each not in told)
            told.update(known[key])


def _only_in_containers(model: Model, target: str) -> list[Problem]:
    """Return what only containers follow, of a model that may live on `target` too, which brings its engine.

    Where no target of a model runs containers, `spec` says that nobody serves it.
    """
    hint = f"leave {target} out of placement.order"
    asked = (("uri", model.uri, (LOCAL,)), ("engine", model.engine, BROUGHT))
    return [
        problem(
            UNFIT_FOR_ENGINE, f"{target} cannot follow {name}: {value}", "only containers can", loc=(name,), hint=hint
        )
        for name, value, words in asked
        if value and not value.startswith(words)
    ]


def _version(model: Model, pin: Pin | None) -> str:
    """Return the version that is pinned and will stay, "" where a new one is chosen."""
    stays = pin is not None and not model.image and pin.engine == engine_of(model, container=True)
    return pin.engine_version if pin and stays else ""


def _pinned(root: Path) -> Mapping[Key, Pin]:
    try:
        return read_lock(root / LOCK_FILE)
    except InfctlError:  # told by whoever needs the pins themselves
        return {}


def in_model(name: str, found: Problem) -> Problem:
    """Return a problem whose place began at the model with its whole place in the configuration."""
    loc = ("models", name, *found.loc)
    return replace(found, loc=loc, diagnostic=replace(found.diagnostic, path=show(loc), address=f"model.{name}"))
