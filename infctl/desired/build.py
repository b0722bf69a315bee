"""Owns the wishes: a stack, what was decided and pinned, and where things run now, as one value per model and target.

Pure, and quick enough for ten thousand models. Knows neither state nor resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING, Any

from infctl.desired.decide import Decisions
from infctl.desired.facts import order_of
from infctl.desired.wanted import Wanted
from infctl.diagnostics import Code, Diagnostic, error, warning
from infctl.engines.pin import Key, Pin
from infctl.engines.resolve import DISTRIBUTIONS, resolve, startup_of
from infctl.placement.place import Placed, Where, place
from infctl.provider.values import Deployment, Template

if TYPE_CHECKING:
    from infctl.spec.model import Model
    from infctl.spec.stack import Stack

ENGINE_NOT_INSTALLED = Code(
    "engine-not-installed",
    "A model is pinned to an engine version that is not the installed one, so a replica cannot be started.",
    "Install the pinned version, or take the installed one with `infctl lock MODEL -upgrade`.",
)
READY_AT_LEAST = 60.0  # seconds: a process to start, a warmup to answer
LOAD_RATE = 100_000_000  # bytes a second; a hard disk reads 100-200 MB/s in sequence
DRAIN = 120.0  # seconds; an answer of 1,000 tokens at 10 tokens a second has time to end
_NOWHERE: Mapping[str, Any] = {}
Shares = Mapping[str, Mapping[str, int]]  # model -> target -> replicas


def build(
    stack: Stack, decisions: Decisions, pins: Mapping[Key, Pin], where_now: Where, shares: Shares = _NOWHERE
) -> tuple[Wanted, ...]:
    """Return every wish of the stack, models in the order of the file.

    `pins` are the settled ones, `where_now` says what runs where, `shares` how many replicas of some models each of
    their targets is to have. Models without a pin (`infctl lock` of others only) are left out.
    """
    making = _Making(decisions, pins)
    found = (
        making.wish(model, placed)
        for name, model in stack.models.items()
        for placed in place(order_of(stack, model), model.replicas[0], where_now.get(name, _NOWHERE), shares.get(name))
    )
    return tuple(wish for wish in found if wish is not None)


def spares(stack: Stack, decisions: Decisions, pins: Mapping[Key, Pin]) -> tuple[Wanted, ...]:
    """Return a wish without a slot for each target that a model of several may live on, best first."""
    making = _Making(decisions, pins)
    orders = ((model, order_of(stack, model)) for model in stack.models.values())
    found = (making.wish(model, Placed(target, ())) for model, order in orders if len(order) > 1 for target in order)
    return tuple(wish for wish in found if wish is not None)


class _Making:
    """Wishes while they are being made; templates that are the same for several are made once."""

    def __init__(self, decisions: Decisions, pins: Mapping[Key, Pin]) -> None:
        self._decisions, self._pins = decisions, pins
        self._alike: dict[tuple[object, ...], Template] = {}

    def wish(self, model: Model, placed: Placed) -> Wanted | None:
        name, key, decisions = model.name, (model.name, placed.target), self._decisions
        model = decisions.variants.get(key, model)
        pin = self._pins.get(key)
        if pin is None:
            return None
        setup, need = decisions.setups[key], decisions.needs[key]
        container = placed.target in decisions.containers
        asked = (id(pin), id(setup), model.task, model.image, model.health, model.warmup, *model.env.items())
        if (template := self._alike.get(asked)) is None:
            memory = need.total if need else 0
            template = self._alike[asked] = resolve(model, pin, setup, memory, container=container)
        deployment = Deployment(
            model=name,
            revision=0,
            template=template if container else template.named(name),
            slots=placed.slots,
            served_names=model.served_names,
            bind=model.expose.bind,
            port=model.expose.port or 0,
            ready_timeout=model.timeouts.ready or ready_timeout(pin, container=container),
            drain_timeout=model.timeouts.drain or DRAIN,
            pull_timeout=model.timeouts.pull or 0.0,
            tags=model.tags,
        )
        return Wanted(
            target=placed.target,
            deployment=deployment,
            path=f"models.{name}",
            protect_path=f"models.{name}.protect" if model.protect else "",
            need=need,
            cannot_start=_cannot_start(name, pin, decisions.versions),
        )


def ready_timeout(pin: Pin, *, container: bool = False) -> float:
    """Return the seconds a replica may take until it answers: a minute, the time to read its file slowly, and in a
    container what its engine takes.
    """
    seconds = READY_AT_LEAST + ceil(pin.model_bytes / LOAD_RATE)
    return seconds + startup_of(pin) if container else seconds


def _cannot_start(model: str, pin: Pin, versions: Mapping[str, str]) -> Diagnostic | None:
    """Return why no replica with this pin can be started here, None when one can."""
    distribution = DISTRIBUTIONS.get(pin.engine)
    installed = versions.get(pin.engine, "")
    if distribution is None or pin.image or installed == pin.engine_version:
        return None
    return error(
        ENGINE_NOT_INSTALLED,
        f"{model} is pinned to {pin.engine} {pin.engine_version}, which is not installed",
        f"{installed} is installed" if installed else f"{distribution} is not installed",
        hint=f"run: infctl lock {model} -upgrade, or: pip install {distribution}=={pin.engine_version}",
        path=f"models.{model}",
        address=f"model.{model}",
    )


def engine_warnings(wanted: tuple[Wanted, ...]) -> tuple[Diagnostic, ...]:
    """Return one warning for each engine version that is pinned but not installed: what runs goes on running."""
    found: dict[str, Diagnostic] = {}
    for wish in wanted:
        problem = wish.cannot_start
        if problem is not None:
            found.setdefault(wish.deployment.template.engine_version, problem)
    return tuple(
        warning(
            p.code, p.summary, p.detail, hint=f"what runs goes on running; {p.hint}", path=p.path, address=p.address
        )
        for p in found.values()
    )
