"""Owns the wishes: a stack, what was decided and pinned, and where things run now, as one value per model and target.

Pure, and quick enough for ten thousand models. Knows neither state nor resources.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import ceil
from typing import TYPE_CHECKING

from infctl.desired.decide import Decisions
from infctl.desired.facts import order_of
from infctl.desired.wanted import Wanted
from infctl.diagnostics import Code, Diagnostic, error, warning
from infctl.engines.pin import Key, Pin
from infctl.engines.resolve import DISTRIBUTIONS, resolve, startup_of
from infctl.placement.place import place
from infctl.provider.values import Deployment, Template

if TYPE_CHECKING:
    from infctl.spec.stack import Stack

ENGINE_NOT_INSTALLED = Code(
    "engine-not-installed",
    "A model is pinned to an engine version that is not the installed one, so a replica cannot be started.",
    "Install the pinned version, or take the installed one with `infctl lock MODEL -upgrade`.",
)
READY_AT_LEAST = 60.0  # seconds: a process to start, a warmup to answer
LOAD_RATE = 100_000_000  # bytes a second; a hard disk reads 100-200 MB/s in sequence
DRAIN = 120.0  # seconds; an answer of 1,000 tokens at 10 tokens a second has time to end
_NOWHERE: Mapping[str, Collection[int]] = {}


def build(
    stack: Stack,
    decisions: Decisions,
    pins: Mapping[Key, Pin],
    where_now: Mapping[str, Mapping[str, Collection[int]]],
) -> tuple[Wanted, ...]:
    """Return every wish of the stack, models in the order of the file.

    `pins` are the settled ones, `where_now` maps model -> target -> the slots that run there. Models without a pin
    (`infctl lock` of others only) are left out.
    """
    wanted = []
    alike: dict[tuple[object, ...], Template] = {}
    for name, model in stack.models.items():
        for placed in place(order_of(stack, model), model.replicas[0], where_now.get(name, _NOWHERE)):
            pin = pins.get((name, placed.target))
            if pin is None:
                continue
            setup, need = decisions.setups[name, placed.target], decisions.needs[name, placed.target]
            container = placed.target in decisions.containers
            asked = (id(pin), id(setup), model.task, model.image, model.health, model.warmup, *model.env.items())
            if (template := alike.get(asked)) is None:
                memory = need.total if need else 0
                template = alike[asked] = resolve(model, pin, setup, memory, container=container)
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
            wanted.append(
                Wanted(
                    target=placed.target,
                    deployment=deployment,
                    path=f"models.{name}",
                    protect_path=f"models.{name}.protect" if model.protect else "",
                    need=need,
                    cannot_start=_cannot_start(name, pin, decisions.versions),
                )
            )
    return tuple(wanted)


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
