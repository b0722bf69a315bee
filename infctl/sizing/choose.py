"""Owns the choice: of all ways to run a model, the one to take, what came next, and why. Pure.

Targets in the order of the file. On the first that has a plan, each engine's cheapest fleet is found; between engines
the order is that of the checklists: compatibility, throughput, latency, what is already operated, and then cost. What
differs by less than the figures may be wrong decides nothing.

Ways are assessed in the order of the least they could cost, so that most are never assessed: what costs more than a
plan at hand even when it served all that its hardware could is left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from infctl.sizing.assess import Assessed, Fault, Need, Setup, Way, assess, bound, memory_taken, price_key, said
from infctl.sizing.checkpoint import Checkpoint
from infctl.sizing.decision import Ask, Choice, Decision, Lost, Offer, Slo, Step, Workload
from infctl.sizing.fleet import fleet_of
from infctl.sizing.ways import WRITERS, Refused, ways_of

ALTERNATIVES = 3
UNSURE = 0.2  # figures of two engines that lie nearer than that are not told apart: models are about so wrong
_NO_BOUND = float("inf")
_VERSIONS: Mapping[str, str] = {}


class Search(NamedTuple):
    """What a search found: the best ways first, those that fail after them; `open` ways started, of all that were
    looked at. `refused` do not start.
    """

    assessed: tuple[Assessed, ...]
    refused: tuple[Refused, ...]
    open: int

    @property
    def plans(self) -> tuple[Assessed, ...]:
        return tuple(each for each in self.assessed if each.fault is Fault.NONE)


def choose(
    checkpoint: Checkpoint,
    ask: Ask,
    workload: Workload | None,
    slo: Slo,
    offers: Sequence[Offer],
    *,
    versions: Mapping[str, str] = _VERSIONS,
    own: str = "",
) -> Choice:
    """Return how to run a model on what targets offer, the next-best plans, and why; `own` is a user's catalogue file.

    Without a plan, the decision is None, and `infeasible.clash_of` says what clashes.
    """
    need = Need(checkpoint, ask, workload, slo)
    found = search(need, offers, versions, own)
    if not found.plans:
        return Choice(None, _alternatives(found, None))
    best, steps = _pick(need, found)
    steps = (*_compatibility(found), *steps, *_reasons(need, best))
    return Choice(replace(best.decision, steps=steps), _alternatives(found, best))


def search(need: Need, offers: Sequence[Offer], versions: Mapping[str, str] = _VERSIONS, own: str = "") -> Search:
    """Return the ways that matter, assessed: of each engine the best, and enough others to say what came next."""
    ways = ways_of(need, offers, versions, own)
    ordered = sorted(((_least(need, way), way) for way in ways.open), key=lambda pair: pair[0])
    best: dict[str, tuple[float, ...]] = {}  # engine -> what its best plan ranks
    kinds: set[tuple[str, ...]] = set()
    assessed: list[Assessed] = []
    for least, way in ordered:
        if len(kinds) > ALTERNATIVES and way.engine in best and least > best[way.engine]:
            continue
        if (way.engine, *_kind(way)) in kinds and way.engine in best and least > best[way.engine]:
            continue
        found = assess(need, way)
        assessed.append(found)
        if found.fault in {Fault.NONE, Fault.COST, Fault.REPLICAS, Fault.SLO}:
            kinds.add((way.engine, *_kind(way)))
        if found.fault is Fault.NONE:
            ranked = rank(need, found)
            best[way.engine] = min(ranked, best.get(way.engine, ranked))
    assessed.sort(key=lambda each: rank(need, each))
    return Search(tuple(assessed), ways.refused, len(ways.open))


def _kind(way: Way) -> tuple[str, ...]:
    """What an alternative is told apart by."""
    return (way.offer.target, way.offer.product, way.precision.name)


def _least(need: Need, way: Way) -> tuple[float, ...]:
    """Return the best that a way could rank: if it served all that its hardware can."""
    place, load = _place(need, way), need.workload
    if way.gpu is None:
        return (place, 1.0, 0.0, 0.0)
    takes = bound(Setup(need, way))
    if takes == 0:
        return (place, 2.0, _NO_BOUND, _NO_BOUND)
    many = max(1, need.ask.replicas[0])
    if takes and load is not None:
        many = fleet_of(load, takes, need.slo.availability, need.ask.replicas[0]).total
    price = (way.offer.price or 0.0) * many * way.gpus
    return (place, 0.0 if takes else 1.0, price, many * way.gpus * way.gpu.memory)


def rank(need: Need, assessed: Assessed) -> tuple[float, ...]:
    """Return what plans are sorted by: the place in the file's order, then what the fleet costs and takes up, what is
    given up of quality, and how much one replica serves. What fails comes after, the nearest to a plan first.
    """
    way, decision = assessed.way, assessed.decision
    place = _place(need, way)
    if assessed.fault is not Fault.NONE:
        return (float(1000 * assessed.fault), assessed.excess, place)
    unknown = 1.0 if need.workload is not None and decision.at_peak is None else 0.0
    lost = decision.quality_loss if decision.quality_loss is not None else 1.0
    kv = 1.0 if way.kv_dtype != need.ask.kv_dtype else 0.0
    return (place, unknown, price_key(assessed), memory_taken(assessed), lost, kv, -(decision.capacity or 0.0))


def _place(need: Need, way: Way) -> float:
    order = need.ask.order
    return float(order.index(way.offer.target)) if way.offer.target in order else float(len(order))


# ---------------------------------------------------------------- between engines


def _pick(need: Need, found: Search) -> tuple[Assessed, tuple[Step, ...]]:
    """Return the plan to take, and the steps of the checklists that led there."""
    first = _place(need, found.plans[0].way)
    bests: dict[str, Assessed] = {}
    for each in found.plans:
        if _place(need, each.way) == first:
            bests.setdefault(each.way.engine, each)
    left = list(bests.values())
    steps: list[Step] = []
    for what, figure, words in (("throughput", _throughput, _rate_words), ("latency", _latency, _latency_words)):
        if len(left) > 1:
            left, step = _weigh(left, what, figure, words)
            steps.append(step)
    if len(left) > 1:
        running = [each for each in left if each.way.engine in need.ask.operated]
        if running:
            left = running
            steps.append(Step("operated", f"{_names(running)} runs in this stack already"))
        else:
            steps.append(Step("operated", "none of them runs in this stack yet"))
    return min(left, key=lambda each: (price_key(each), memory_taken(each), _usual(each.way.engine))), tuple(steps)


def _usual(engine: str) -> int:
    return WRITERS.index(engine) if engine in WRITERS else len(WRITERS)


def _weigh(
    left: list[Assessed], what: str, figure: Callable[[Assessed], float], words: Callable[[Assessed], str]
) -> tuple[list[Assessed], Step]:
    """Return the plans that are not behind by more than figures may be wrong, and how they compare."""
    best = max(figure(each) for each in left)
    kept = [each for each in left if figure(each) >= best * (1 - UNSURE)]
    gone = [each for each in left if each not in kept]
    told = ", ".join(f"{each.way.engine} {words(each)}" for each in left)
    note = f"{_names(gone)} behind by more than the model may be wrong" if gone else "too near to tell apart"
    return kept, Step(what, f"{told}; {note}")


def _throughput(each: Assessed) -> float:
    """Requests a second within the SLO for a dollar an hour; for a GiB of GPU memory where there is no price."""
    takes, price = each.decision.capacity or 0.0, (each.way.offer.price or 0.0) * each.way.gpus
    gpu = each.way.gpu
    return takes / (price or (gpu.memory * each.way.gpus if gpu else 1.0))


def _latency(each: Assessed) -> float:
    load = each.decision.at_peak
    return 1 / load.latency["ttft_p95"].value if load and load.latency["ttft_p95"].value else 0.0


def _rate_words(each: Assessed) -> str:
    return f"{each.decision.capacity or 0:.3g}/s per replica on {each.way.offer.product}"


def _latency_words(each: Assessed) -> str:
    load = each.decision.at_peak
    return f"ttft p95 {said(load.latency['ttft_p95'].value)}" if load else "unknown"


def _names(some: Iterable[Assessed]) -> str:
    return ", ".join(dict.fromkeys(each.way.engine for each in some))


# ---------------------------------------------------------------- reasons


def _compatibility(found: Search) -> tuple[Step, ...]:
    engines = ", ".join(dict.fromkeys(each.way.engine for each in found.assessed))
    total = found.open + len(found.refused)
    step = f"{found.open} of {total} ways start ({engines})"
    if found.refused:
        why, count = Counter(each.why for each in found.refused).most_common(1)[0]
        step += f"; {count} do not, as {why}" if count > 1 else f"; one does not: {why}"
    return (Step("compatibility", step),)


def _reasons(need: Need, best: Assessed) -> tuple[Step, ...]:
    decision, load, slo = best.decision, need.workload, need.slo
    steps = []
    if decision.quality_loss:
        steps.append(Step("quality", f"{decision.precision.name} gives up {100 * decision.quality_loss:.1f} %"))
    if load is not None and decision.capacity:
        fleet = decision.fleet
        steps.append(Step("replicas", replicas_in_words(need, decision)))
        if fleet.total == need.ask.replicas[0] > fleet.peak + fleet.spare:
            steps.append(Step("replicas", f"the file asks for at least {need.ask.replicas[0]}"))
    batching = decision.batching
    if slo.objectives and decision.memory is not None:
        tokens = f"max_num_batched_tokens {batching.max_num_batched_tokens:,}"
        seqs = f"max_num_seqs {batching.max_num_seqs:,}"
        steps.append(Step("batching", f"{tokens}, {seqs}: what the SLO leaves room for"))
    return tuple(steps)


def replicas_in_words(need: Need, decision: Decision) -> str:
    """Return how the number of replicas follows from load and capacity."""
    load, fleet, takes = need.workload, decision.fleet, decision.capacity or 0.0
    assert load is not None  # noqa: S101  # asked by the caller
    text = f"peak {load.peak:g}/s at {takes:.3g}/s each needs {load.peak / takes:.1f}, {fleet.peak} replicas"
    if fleet.spare:
        share = f"{100 * (need.slo.availability or 0):g} %"
        text += f", {fleet.spare} spare for {share}"
    return text


# ---------------------------------------------------------------- what came next


def _alternatives(found: Search, best: Assessed | None) -> tuple[Lost, ...]:
    """Return the next-best ways, no two of them alike in engine, format and hardware, and why each lost."""
    seen = {(best.way.engine, *_kind(best.way))} if best else set()
    lost: list[Lost] = []
    for each in found.assessed:
        key = (each.way.engine, *_kind(each.way))
        if key in seen or each is best:
            continue
        seen.add(key)
        lost.append(Lost(each.decision, f"{each.way.label}: {_why(each, best)}"))
        if len(lost) == ALTERNATIVES:
            break
    return tuple(lost)


def _why(each: Assessed, best: Assessed | None) -> str:
    """Return in one line why a way is not the one."""
    if each.fault is not Fault.NONE or best is None:
        return each.why
    if each.way.offer.target != best.way.offer.target:
        return f"{each.way.offer.target} comes after {best.way.offer.target} in the order"
    mine, other = price_key(each), price_key(best)
    if mine > other:
        return f"${mine:.2f}/h, ${mine - other:.2f} more"
    if each.way.engine != best.way.engine:
        return f"{each.way.engine} on the same hardware is not ahead of {best.way.engine}"
    taken, less = memory_taken(each), memory_taken(best)
    if taken > less:
        return f"takes {taken:.0f} GiB of GPU memory instead of {less:.0f}"
    if (each.decision.quality_loss or 0.0) > (best.decision.quality_loss or 0.0):
        return "gives up quality for nothing: the fleet is no smaller"
    return f"serves {each.decision.capacity or 0:.3g}/s per replica, less than {best.decision.capacity or 0:.3g}/s"
