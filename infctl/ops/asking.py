"""Owns what sizing is asked about a model of a stack, read where it is: a trace, what the model is, what targets have.

Knows no lock file: what is decided once and kept is `ops.sized`'s.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from math import inf
from typing import TYPE_CHECKING

from infctl.catalog.files import find_own
from infctl.desired.asks import ask_of, joined, offers_of
from infctl.diagnostics import Code, InfctlError, error
from infctl.engines.model_file import path_of
from infctl.engines.resolve import LOCAL, SERVED, serving_of
from infctl.frozen import dataclass
from infctl.ops.checkpoints import checkpoint_of
from infctl.placement.room import Pool
from infctl.plan.promised import room_of
from infctl.plan.refusals import refuse_unreachable
from infctl.sizing.checkpoint import Checkpoint
from infctl.sizing.choose import choose
from infctl.sizing.decision import Ask, Choice, Decision, Offer, Slo, Workload
from infctl.sizing.workload import slo_of, workload_of

if TYPE_CHECKING:
    from infctl.plan.request import Request, TargetView
    from infctl.spec.model import Model
    from infctl.spec.stack import Stack
    from infctl.state.model import State

BAD_TRACE = Code(
    "bad-trace",
    "The trace that a workload names cannot be read.",
    "A trace is a CSV file with the columns TIMESTAMP, ContextTokens and GeneratedTokens, a line for each request.",
)
Offers = Callable[[Collection[str]], Sequence[Offer]]


@dataclass(frozen=True, slots=True)
class Asking:
    """All that sizing is asked about one model."""

    checkpoint: Checkpoint
    ask: Ask
    workload: Workload | None
    slo: Slo


def asking_of(stack: Stack, model: Model, env: Mapping[str, str]) -> Asking | None:
    """Return what sizing is asked about `model`, None where nothing is known of its shape.

    Raises InfctlError (bad-trace, bad-model-file, model-unreachable).
    """
    checkpoint = _checkpoint(stack, model, env)
    if checkpoint is None:
        return None
    workload = _workload(stack, model)
    if workload is not None and workload.cached and not _keeps_prefixes(model, checkpoint):
        workload = replace(workload, cached=0.0)
    return Asking(checkpoint, ask_of(stack, model), workload, slo_of(model.slo))


def _keeps_prefixes(model: Model, checkpoint: Checkpoint) -> bool:
    """Return whether an engine keeps the prefixes of questions: all do, unless they are told not to (`vllm serve
    -help`, SGLang's server arguments); an encoder has none to keep.
    """
    args = model.engine_args
    told_not_to = args.get("enable_prefix_caching") is False or args.get("disable_radix_cache") is True
    return not told_not_to and not checkpoint.shape.encoder


def choice_of(stack: Stack, asking: Asking, offers: Offers) -> Choice:
    """Return what sizing chooses on what the model's targets offer, each alone, else those together that have the same
    devices; other targets are ways out.
    """
    others = [name for name in stack.targets if name not in asking.ask.order]
    there = tuple(offers(asking.ask.order))

    def chosen(offered: Sequence[Offer]) -> Choice:
        return choose(
            asking.checkpoint, asking.ask, asking.workload, asking.slo, offered,
            versions=versions(), elsewhere=offers(others), own=own_catalog(stack),
        )  # fmt: skip

    choice = chosen(there)
    if choice.clash is None or len(together := joined(there)) == len(there):
        return choice
    wider = chosen(together)
    return wider if wider.clash is None else choice


def fleet_of(stack: Stack, asking: Asking, offers: Offers) -> tuple[Choice, tuple[Decision, ...]]:
    """Return what sizing chooses, and the further parts of a fleet over several targets: where none has enough alone,
    or where a later one has and costs more than to use what the first ones have too.
    """
    choice = choice_of(stack, asking, offers)
    alone = choice.decision if choice.clash is None else None
    if alone is not None and alone.target == asking.ask.order[0]:
        return choice, ()
    parts = _parts(stack, asking, offers)
    if not parts or (alone is not None and _cost((alone,)) <= _cost(parts)):
        return choice, ()
    return replace(choice, decision=parts[0], clash=None), parts[1:]


def _cost(parts: Sequence[Decision]) -> float:
    """Return dollars an hour; what has no price costs more than anything that has."""
    costs = [part.cost.per_hour for part in parts if part.cost is not None]
    return sum(costs) if len(costs) == len(parts) else inf


def _parts(stack: Stack, asking: Asking, offers: Offers) -> tuple[Decision, ...]:
    """Return a fleet over several of the model's targets, the first ones first; () where there is none."""
    from infctl.sizing.mixed import mixed

    def chosen(ask: Ask, load: Workload, offered: Sequence[Offer]) -> Choice:
        return choose(asking.checkpoint, ask, load, asking.slo, offered, versions=versions(), own=own_catalog(stack))

    return mixed(chosen, asking.ask, asking.workload, tuple(offers(asking.ask.order))) if asking.workload else ()


def versions() -> Mapping[str, str]:
    """Return the version that each engine runs at where nothing else is pinned."""
    return {name: found.version for name in SERVED if (found := serving_of(name)) is not None}


def offers_from(stack: Stack, views: Mapping[str, TargetView], state: State) -> Offers:
    """Return what says which devices targets have: those that are free, and those that are ours already."""
    room = room_of(views, state.resources.values())

    @cache
    def of(target: str) -> tuple[Offer, ...]:
        view = views.get(target)
        if view is None:
            return ()
        every = [(place, device) for place in view.inventory.places for device in place.devices]
        if view.places_replicas:
            whole = {each.uuid: room.whole.get(Pool(target, place.name, each.uuid), 0) for place, each in every}
        else:
            whole = {each.uuid: each.memory_free for _, each in every if not each.taken}
        return offers_of(target, view.inventory.places, whole, allowed_engines(stack), own_catalog(stack))

    return lambda targets: tuple(offer for target in targets for offer in of(target))


def offers_when_asked(
    stack: Stack, state: State, request: Request, look: Callable[[], Mapping[str, TargetView]]
) -> Offers:
    """Return the same, `look` being waited for when it is first asked. It raises InfctlError (unreachable): nothing is
    decided by what a part of the places has.
    """

    @cache
    def there() -> Offers:
        views = look()
        refuse_unreachable(views, request)
        return offers_from(stack, views, state)

    def offers(targets: Collection[str]) -> Sequence[Offer]:
        return there()(targets)

    return offers


def allowed_engines(stack: Stack) -> tuple[str, ...]:
    """Return the engines that a decision may take, () for all: those that no policy of the stack denies."""
    denied = {
        each["engine"]
        for each in (stack.policies.deny if stack.policies else ())
        if each.keys() - {"reason"} == {"engine"}
    }
    return tuple(name for name in SERVED if name not in denied) if denied else ()


def own_catalog(stack: Stack) -> str:
    """Return the path of the user's own catalogue file, "" where there is none."""
    return find_own(stack.root)


def _checkpoint(stack: Stack, model: Model, env: Mapping[str, str]) -> Checkpoint | None:
    uri = model.uri or ""
    name = f"{LOCAL}{path_of(uri, stack.root)}" if uri.startswith(LOCAL) else uri
    try:
        return checkpoint_of(name, env, own_catalog(stack))
    except InfctlError as failure:
        path = f"models.{model.name}.uri"
        raise InfctlError(
            *(replace(each, path=path).at(stack.locate(path)) for each in failure.diagnostics)
        ) from failure


def _workload(stack: Stack, model: Model) -> Workload | None:
    """Return the load that the file means. Raises InfctlError (bad-trace)."""
    if model.workload is None:
        return None
    if not model.workload.trace:
        return workload_of(model.workload)
    path = f"models.{model.name}.workload.trace"
    file = stack.root / model.workload.trace
    try:
        with file.open(newline="", encoding="utf-8") as text:
            return workload_of(model.workload, list(csv.DictReader(text)))
    except (OSError, ValueError, csv.Error) as failure:
        detail = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
        raise InfctlError(
            error(BAD_TRACE, f"{file} cannot be used as a trace", detail, hint=BAD_TRACE.remedy,
                  span=stack.locate(path), path=path)
        ) from failure  # fmt: skip
