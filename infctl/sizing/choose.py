"""Owns the choice: of all ways to run a model, the one to take, what came next, and why. Pure.

Targets in the order of the file. On the first that has a plan, each engine's cheapest fleet is found; between engines
the order is that of the checklists: compatibility, throughput, latency, what is already operated, and then cost. What
differs by less than the figures may be wrong decides nothing. The plan is confirmed by a run through its passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from infctl.sizing.assess import Assessed, Fault, memory_taken, price_key, said, spread_of
from infctl.sizing.checkpoint import Checkpoint
from infctl.sizing.confirm import REQUESTS, confirm
from infctl.sizing.constraints import Question
from infctl.sizing.decision import Ask, Choice, Decision, Lost, Offer, Slo, Step, Workload
from infctl.sizing.infeasible import clash_of
from infctl.sizing.search import ALTERNATIVES, Search, kind_of, place_of, rank, search
from infctl.sizing.setup import Need
from infctl.sizing.ways import ONNX, engines_of, is_small_encoder

UNSURE = 0.2  # figures of two engines that lie nearer than that, or than their errors, are not told apart
_ENOUGH = 3  # plans that hold: the best of them is taken
_VERSIONS: Mapping[str, str] = {}


def choose(
    checkpoint: Checkpoint,
    ask: Ask,
    workload: Workload | None,
    slo: Slo,
    offers: Sequence[Offer],
    *,
    versions: Mapping[str, str] = _VERSIONS,
    elsewhere: Sequence[Offer] = (),
    own: str = "",
    requests: int = REQUESTS,
) -> Choice:
    """Return how to run a model on what targets offer, the next-best plans, and why.

    `versions` are those that each engine would run at, `elsewhere` offers of targets that the model's order does not
    name, `own` is a user's catalogue file. The plan is confirmed by a run of so many `requests`, 0: it is not.

    Without a plan there is a clash, and the decision is the nearest that starts and fits, None where nothing does.
    """
    need = Need(checkpoint, ask, workload, slo)
    found = search(need, offers, versions, own)
    found, best, steps = _settled(need, found, requests)
    if best is not None:
        steps = (*_compatibility(found), *steps, *_reasons(need, best))
        return Choice(replace(best.decision, steps=steps), _alternatives(found, best))
    find = partial(_find, versions, own, requests)
    clash = clash_of(Question(need, tuple(offers)), find, elsewhere=elsewhere, first=found)
    nearest = next((each for each in found.assessed if each.fault < Fault.MEMORY), None)
    return Choice(nearest.decision if nearest else None, _alternatives(found, nearest), clash)


def _find(versions: Mapping[str, str], own: str, requests: int, asked: Question) -> Search:
    """Return what is found for a question, the plan that would be taken first."""
    found, best, _ = _settled(asked.need, search(asked.need, asked.offers, versions, own), requests)
    if best is None:
        return found
    return found._replace(assessed=(best, *(each for each in found.assessed if each is not best)))


def _settled(need: Need, found: Search, requests: int) -> tuple[Search, Assessed | None, tuple[Step, ...]]:
    """Return what was found with its plans confirmed as far as it takes, the one to take, and how it was picked."""
    while found.plans:
        best, steps = _pick(need, found)
        if not requests:
            return found, best, steps
        found, sure = _confirmed(need, found, best.way.engine, requests)
        if sure is not None:
            return found, sure, steps
    return found, None, ()


def _confirmed(need: Need, found: Search, engine: str, requests: int) -> tuple[Search, Assessed | None]:
    """Return the engine's best plan that holds when it is run through, None where none does; one that needs more than
    it said may come after others.
    """
    every, sure = list(found.assessed), list[Assessed]()
    while plans := [each for each in every if each.way.engine == engine and each.fault is Fault.NONE]:
        first = min(sure if len(sure) == _ENOUGH else plans, key=partial(rank, need))
        if first in sure:
            break
        every[every.index(first)] = tried = confirm(need, first, requests)
        sure += [tried] if tried.fault is Fault.NONE else []
    best = min(sure, key=partial(rank, need), default=None)
    return found._replace(assessed=tuple(sorted(every, key=partial(rank, need)))), best


# ---------------------------------------------------------------- between engines


def _pick(need: Need, found: Search) -> tuple[Assessed, tuple[Step, ...]]:
    """Return the plan to take, and the steps of the checklists that led there."""
    first = place_of(need, found.plans[0].way)
    bests: dict[str, Assessed] = {}
    for each in found.plans:
        if place_of(need, each.way) == first:
            bests.setdefault(each.way.engine, each)
    if is_small_encoder(need) and ONNX in bests:
        why = "a small encoder: ONNX Runtime serves it beside the engines of text models, on a CPU too"
        return bests[ONNX], (Step("engine", why),)
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
    return min(left, key=lambda each: (price_key(each), memory_taken(each), _usual(need, each))), tuple(steps)


def _usual(need: Need, each: Assessed) -> int:
    """Return how far down an engine stands among those for such a model."""
    return engines_of(need, each.way.offer).index(each.way.engine)


def _weigh(
    left: list[Assessed], what: str, figure: Callable[[Assessed], float], words: Callable[[Assessed], str]
) -> tuple[list[Assessed], Step]:
    """Return the plans that are not behind by more than figures may be wrong, and how they compare."""
    best = max(figure(each) for each in left)
    unsure = max(UNSURE, *(spread_of(each) for each in left))
    kept = [each for each in left if figure(each) >= best * (1 - unsure)]
    gone = [each for each in left if each not in kept]
    told = "; ".join(f"{each.way.engine} {words(each)}" for each in left)
    note = f"behind by more than the model may be wrong: {_names(gone)}" if gone else "too near to tell apart"
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
    hour = f" for ${each.way.offer.price * each.way.gpus:.2f}/h" if each.way.offer.price else ""
    return f"{each.decision.capacity or 0:.3g}/s{hour} ({each.way.label})"


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
        why, _ = Counter(each.why for each in found.refused).most_common(1)[0]
        step += f"; not, for one: {why}"
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
    text = f"peak {load.peak:g}/s at {takes:.3g}/s each needs {load.peak / takes:.1f}"
    if fleet.spare:
        share = f"{100 * (need.slo.availability or 0):g} %"
        text += f", {fleet.spare} spare for {share}"
    return text


# ---------------------------------------------------------------- what came next


def _alternatives(found: Search, best: Assessed | None) -> tuple[Lost, ...]:
    """Return the next-best ways, no two of them alike in engine, format and hardware, and why each lost."""
    seen = {(best.way.engine, *kind_of(best.way))} if best else set()
    lost: list[Lost] = []
    for each in found.assessed:
        key = (each.way.engine, *kind_of(each.way))
        if key in seen or each is best:
            continue
        seen.add(key)
        other = "" if best is not None and each.way.engine == best.way.engine else f"{each.way.engine} "
        lost.append(Lost(each.decision, f"{other}{each.way.label}: {_why(each, best)}"))
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
    taken, less = memory_taken(each), memory_taken(best)
    if mine == other and taken > less:
        return f"takes {taken:.0f} GiB of GPU memory instead of {less:.0f}"
    if each.way.engine != best.way.engine:
        return f"not ahead of {best.way.engine} by more than the model may be wrong, see why"
    if (each.decision.quality_loss or 0.0) > (best.decision.quality_loss or 0.0):
        return "gives up quality for nothing: the fleet is no smaller"
    takes, more = (f"{one.decision.capacity or 0:.3g}/s" for one in (each, best))
    return f"serves {takes} per replica, less than {more}" if takes != more else "the same, and later in the list"
