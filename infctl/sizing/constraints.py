"""Owns what may be to blame where there is no plan: each line of the file and each fact of the hardware, what is asked
without it, and how little it must be loosened for a plan to appear. Pure.

Knows nothing of which of them clash (`infeasible`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from infctl.sizing.assess import Assessed, price_key, said
from infctl.sizing.decision import AUTO, Ask, Constraint, Objective, Offer, Slo
from infctl.sizing.search import Search
from infctl.sizing.setup import Need

_STEP = 256  # tokens that a way out in max_model_len is a multiple of
_HALVINGS = 5
ROOM = "placement.order"  # the path of what there is to run on

Find = Callable[["Question"], Search]


class Question(NamedTuple):
    """What was asked, in whole: the need and what there is."""

    need: Need
    offers: tuple[Offer, ...]


class Held(NamedTuple):
    """One constraint, what is asked without it, and a way out that keeps as much of it as can be."""

    constraint: Constraint
    without: Callable[[Question], Question]
    way: Callable[[Question, Assessed, Find], str]


def constraints_of(asked: Question) -> Iterator[Held]:
    """Yield what may be to blame, first what people would rather be rid of than hear of: what they fixed, what they
    owe, and last what there is.
    """
    yield from _choices(asked.need.ask)
    if asked.need.ask.quantization == AUTO and not asked.need.checkpoint.precision.whole:
        yield _quality(asked.need.ask)
    yield from _owes(asked.need.slo)
    if asked.need.ask.max_model_len is not None:
        yield _longest(asked.need.ask.max_model_len)
    if asked.need.ask.replicas[1] is not None:
        yield _replicas(asked.need.ask.replicas[1])
    if any(each.hosts is not None for each in asked.offers):
        yield _hardware(asked.offers)


def _choices(ask: Ask) -> Iterator[Held]:
    """Yield what the file fixes of how a model runs."""
    if ask.kv_dtype != AUTO:
        yield _field("kv_cache_dtype", ask.kv_dtype, {"kv_dtype": AUTO})
    if ask.tensor is not None:
        yield _field("parallelism.tensor", str(ask.tensor), {"tensor": None, "gpus": None})
    if ask.gpus is not None and ask.tensor is None:
        yield _field("gpu.count", str(ask.gpus), {"gpus": None})
    if ask.product:
        yield _field("gpu.product", ask.product, {"product": ""})
    if ask.engine != AUTO:
        yield _field("engine", ask.engine, {"engine": AUTO, "engine_version": ""})
    if ask.quantization != AUTO:
        yield _field("quantization", ask.quantization, {"quantization": AUTO, "max_quality_loss": 1.0})


def _owes(slo: Slo) -> Iterator[Held]:
    if slo.availability:
        share = Constraint("slo.availability", f"availability {100 * slo.availability:g} %")
        yield _owed(share, {"availability": None}, lambda *_: "no availability: no spare replica")
    yield from _latencies(slo)
    if slo.goodput:
        yield _owed(Constraint("slo.goodput", f"goodput {100 * slo.goodput:g} %"), {"goodput": None}, _goodput)
    if slo.max_cost_per_1m is not None:
        limit = Constraint("slo.max_cost_per_1m_tokens", f"max_cost_per_1m_tokens ${slo.max_cost_per_1m:g}")
        yield _owed(limit, {"max_cost_per_1m": None}, _price)


def _asking(asked: Question, changes: Mapping[str, object]) -> Question:
    need = asked.need
    return asked._replace(need=replace(need, ask=replace(need.ask, **changes)))  # type: ignore[arg-type]  # fields by name


def _owing(asked: Question, changes: Mapping[str, object]) -> Question:
    need = asked.need
    return asked._replace(need=replace(need, slo=replace(need.slo, **changes)))  # type: ignore[arg-type]  # fields by name


def _field(path: str, value: str, freed: Mapping[str, object]) -> Held:
    def way(_rest: Question, plan: Assessed, _find: Find) -> str:
        takes = {
            "engine": plan.way.engine, "quantization": plan.way.precision.name, "kv_cache_dtype": plan.way.kv_dtype,
            "parallelism.tensor": str(plan.way.tensor), "gpu.count": str(plan.way.gpus),
            "gpu.product": plan.way.offer.product,
        }[path]  # fmt: skip
        return f"{path}: {takes}"

    return Held(Constraint(path, f"{path} {value}"), lambda asked: _asking(asked, freed), way)


def _quality(ask: Ask) -> Held:
    allowed = "at most what is usual" if ask.max_quality_loss is None else f"{100 * ask.max_quality_loss:g} %"

    def way(_rest: Question, plan: Assessed, _find: Find) -> str:
        return f"max_quality_loss: {100 * (plan.decision.quality_loss or 0.0):.1f}% ({plan.way.precision.name})"

    free = {"max_quality_loss": 1.0}
    return Held(Constraint("max_quality_loss", f"max_quality_loss {allowed}"), lambda asked: _asking(asked, free), way)


def _owed(constraint: Constraint, freed: Mapping[str, object], way: Callable[[Question, Assessed, Find], str]) -> Held:
    return Held(constraint, lambda asked: _owing(asked, freed), way)


def _latencies(slo: Slo) -> Iterator[Held]:
    for each in slo.objectives:
        said_ = f"{each.metric} p{each.percentile} ≤ {said(each.seconds)}"

        def without(asked: Question, each: Objective = each) -> Question:
            return _owing(asked, {"objectives": tuple(o for o in asked.need.slo.objectives if o is not each)})

        def way(rest: Question, _plan: Assessed, find: Find, each: Objective = each) -> str:
            return _loosened(rest, each, find)

        yield Held(Constraint(f"slo.{each.metric}.p{each.percentile}", said_), without, way)


def _loosened(rest: Question, objective: Objective, find: Find) -> str:
    """Return the least bound of a latency, to a few percent, that has a plan."""
    objectives = rest.need.slo.objectives
    one = next(each for each in objectives if each is objective)
    low, high = 1.0, 2.0

    def has_plan(times: float) -> bool:
        looser = replace(one, seconds=one.seconds * times)
        return bool(find(_owing(rest, {"objectives": tuple(looser if o is one else o for o in objectives)})).plans)

    while high < 1000 and not has_plan(high):  # noqa: PLR2004  # nobody wants to read of bounds beyond
        low, high = high, high * 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if has_plan(middle) else (middle, high)
    return f"{one.metric} p{one.percentile} ≤ {said(one.seconds * high)}"


def _goodput(_rest: Question, plan: Assessed, _find: Find) -> str:
    peak = plan.decision.at_peak
    return f"goodput: {int(100 * peak.goodput) if peak else 0}%"


def _price(_rest: Question, plan: Assessed, _find: Find) -> str:
    cost = plan.decision.cost
    return f"max_cost_per_1m_tokens: {cost.per_1m:.2f}" if cost and cost.per_1m else "a price"


def _longest(tokens: int) -> Held:
    def way(rest: Question, _plan: Assessed, find: Find) -> str:
        low, high = _STEP, tokens
        while high - low > _STEP:
            middle = (low + high) // 2 // _STEP * _STEP
            if middle <= low:
                break
            fits = find(_asking(rest, {"max_model_len": middle})).plans
            low, high = (middle, high) if fits else (low, middle)
        return f"max_model_len ≤ {low:,}"

    free = {"max_model_len": None}
    return Held(Constraint("max_model_len", f"max_model_len {tokens:,}"), lambda asked: _asking(asked, free), way)


def _replicas(most: int) -> Held:
    def without(asked: Question) -> Question:
        return _asking(asked, {"replicas": (asked.need.ask.replicas[0], None)})

    def way(_rest: Question, plan: Assessed, _find: Find) -> str:
        return f"replicas: {{max: {plan.decision.fleet.total}}}"

    return Held(Constraint("replicas", f"replicas at most {most}"), without, way)


def _hardware(offers: Sequence[Offer]) -> Held:
    have = ", ".join(
        f"{each.hosts * each.devices} {each.product} on {each.target}" for each in offers if each.hosts is not None
    )

    def without(asked: Question) -> Question:
        return asked._replace(offers=tuple(replace(each, hosts=None) for each in asked.offers))

    def way(rest: Question, plan: Assessed, _find: Find) -> str:
        offer = next((each for each in rest.offers if each.target == plan.way.offer.target
                      and each.product == plan.way.offer.product), None)  # fmt: skip
        there = (offer.hosts or 0) * offer.devices if offer else 0
        more = plan.decision.fleet.total * max(1, plan.way.gpus) - there
        hour = f" (${price_key(plan):.2f}/h in all)" if price_key(plan) else ""
        return f"{more} more {plan.way.offer.product} on {plan.way.offer.target}{hour}"

    return Held(Constraint(ROOM, f"free: {have}"), without, way)
