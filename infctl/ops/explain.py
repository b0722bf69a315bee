"""Owns explaining decisions: each model of a stack judged by what its targets have now, with the arithmetic behind it.

Reads the world and changes nothing, not even the lock file: what is explained is what would be decided now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from infctl.catalog.gpus import gpus
from infctl.diagnostics import Code, InfctlError, did_you_mean, error
from infctl.frozen import dataclass
from infctl.ops.asking import Asking, Offers, asking_of, fleet_of, offers_from, own_catalog
from infctl.ops.pins import containers_of, settle_pins
from infctl.ops.reading import Hear, Readings
from infctl.ops.session import Session
from infctl.plan.revisions import NO_SUCH_MODEL
from infctl.provider.values import Unreadable
from infctl.sizing.curve import breaking_rate, curve
from infctl.sizing.decision import Choice, Decision, Load, Offer
from infctl.sizing.memory import Need
from infctl.sizing.setup import Need as Asked
from infctl.sizing.ways import LLAMA

if TYPE_CHECKING:
    from infctl.plan.request import TargetView
    from infctl.spec.model import Model
    from infctl.spec.stack import Stack

NOTHING_TO_EXPLAIN = Code(
    "nothing-to-explain",
    "Nothing is known of a model's shape, so there is no arithmetic to show.",
    "Name a repository of a hub, a folder with a config.json or a GGUF file as its uri, or add its shape to "
    "inference.catalog.yaml.",
)
_PER_HOST = 8  # GPUs that a host is taken to have where no inventory says


@dataclass(frozen=True, slots=True)
class Explained:
    """One model: what was asked, what is chosen, and one replica's figures over all loads. `live` is whether the
    targets' inventory was read: else every data-center GPU of the catalogue is taken to be there.
    """

    name: str
    uri: str
    asking: Asking
    choice: Choice
    offers: tuple[Offer, ...]
    live: bool
    loads: tuple[Load, ...] = ()
    breaks_at: float | None = None
    unreadable: tuple[Unreadable, ...] = ()
    need: Need | None = None  # memory of a host, where the model runs on no GPU
    more: tuple[Decision, ...] = ()  # of a fleet over several targets, its parts on the further ones
    unknown: tuple[str, ...] = ()  # devices that the catalogue does not know: nothing can be predicted of them


def explain(
    session: Session, names: Collection[str], *, look: bool = True, hear: Hear = lambda _event: None
) -> tuple[Explained, ...]:
    """Return the explanations of the models `names` (none: of all whose shape is known), in the file's order.

    Without `look` no target is asked: what there is to run on is then the catalogue. Raises InfctlError (no-such-model,
    nothing-to-explain, and what is wrong with model files and traces).
    """
    stack = session.stack
    assert stack is not None  # noqa: S101  # opened with its file
    for name in names:
        if name not in stack.models:
            hint = did_you_mean(name, stack.models) or f"the stack has {', '.join(stack.models)}"
            raise InfctlError(error(NO_SUCH_MODEL, f"{stack.name} has no model {name}", hint=hint))
    views: Mapping[str, TargetView] = {}
    state = session.state()
    if look:
        session.open_providers(state)
        views = Readings(session, state, hear).finish()
    offers = _offers(stack, offers_from(stack, views, state), views) if look else _catalogue(stack)
    wanted = [model for model in stack.models.values() if not names or model.name in names]
    found = [_explain(session, stack, model, offers, views) for model in wanted]
    known = tuple(each for each in found if each is not None)
    if not known:
        what = " and ".join(names) if names else stack.name
        raise InfctlError(
            error(NOTHING_TO_EXPLAIN, f"Nothing is known of the shape of {what}", hint=NOTHING_TO_EXPLAIN.remedy)
        )
    return known


def _explain(
    session: Session, stack: Stack, model: Model, offers: Offers, views: Mapping[str, TargetView]
) -> Explained | None:
    """Return a model's explanation, None where nothing is known of its shape."""
    if model.engine == "custom" or model.command:
        return None
    asking = asking_of(stack, model, session.where.env)
    if asking is None:
        return None
    order = asking.ask.order
    there = tuple(offers(order))
    live = any(name in views and not views[name].is_dark for name in order)
    if not live:
        offers = _catalogue(stack)
        there = tuple(offers(order))
    choice, more = fleet_of(stack, asking, offers)
    asked = Asked(asking.checkpoint, asking.ask, asking.workload, asking.slo)
    unreadable = tuple(place for name in order if name in views for place in views[name].unreadable)
    unknown = tuple(dict.fromkeys(_unknown(stack, [views[name] for name in order if name in views])))
    found = Explained(
        model.name, model.uri or "", asking, choice, there, live, unreadable=unreadable, unknown=unknown, more=more
    )
    decision = choice.decision
    if decision is None:
        return found
    if decision.gpu is None:
        return replace(found, need=_host_need(session, stack, model, decision.target))
    return replace(found, loads=curve(asked, decision), breaks_at=breaking_rate(asked, decision))


def _unknown(stack: Stack, views: Iterable[TargetView]) -> Iterator[str]:
    known = gpus(own_catalog(stack))
    for view in views:
        for place in view.inventory.places:
            yield from (device.product for device in place.devices if not known.find(device.product))


def _host_need(session: Session, stack: Stack, model: Model, target: str) -> Need | None:
    """Return the memory of one replica on CPUs, None where it is not known."""
    try:
        pins = settle_pins(stack, lambda _path, _done, _all: None, env=session.where.env)
    except InfctlError:  # about whatever model: what this one needs stays unsaid, `plan` tells the rest
        return None
    return pins.decisions.needs.get((model.name, target))


def _offers(stack: Stack, offers: Offers, views: Mapping[str, TargetView]) -> Offers:
    """Return offers with those of targets that bring their engine and are one host."""
    containers = containers_of(stack)

    def of(targets: Collection[str]) -> tuple[Offer, ...]:
        bare = tuple(
            Offer(name, (), 0, len(views[name].inventory.places), engines=(LLAMA,))
            for name in targets
            if name in views and name not in containers and views[name].inventory.places
        )
        return (*offers(targets), *bare)

    return of


def _catalogue(stack: Stack) -> Offers:
    """Return what says that each target has every GPU of the catalogue that is made for servers, as many as wanted."""
    rows = tuple(row for row in gpus(own_catalog(stack)).rows.values() if row.market == "datacenter")

    def of(targets: Collection[str]) -> tuple[Offer, ...]:
        return tuple(Offer(target, (row,), _PER_HOST, None) for target in tuple(targets)[:1] for row in rows)

    return of
