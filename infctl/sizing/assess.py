"""Owns judging one way to run a model: whether it fits, what it does under the load, how many it takes. Pure.

What a way could take at best is known before, and quickly (`setup.bound`): a search assesses few in full.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from infctl.sizing.calibration import constants
from infctl.sizing.capacity import (
    STABLE,
    Flow,
    capacity,
    flow,
    goodput,
    latencies,
    missed,
    seats_asked,
    tokens,
)
from infctl.sizing.decision import Batching, Decision, Fleet, Load
from infctl.sizing.fleet import cost_of, fleet_of
from infctl.sizing.predict import Estimate, estimate, family_of
from infctl.sizing.server import Server, most
from infctl.sizing.setup import Need, Setup, Way

_LADDER = (8192, 4096, 2048, 1024, 512, 256)  # tokens of one pass that are tried where gaps between tokens are too long
_NEARLY = 0.97  # of the most: nothing is to be gained
_MORE = 1.05  # times the most that is served: there it shows what binds
_ROUND = 1024  # tokens that a longest length is a multiple of
_FIRST, _TAIL = 1.5, 1.25  # how much less sure first tokens and the last percent are (see `predict`)


class Fault(IntEnum):
    """Why a way is none, the nearest to a plan first."""

    NONE = 0
    COST = 1
    REPLICAS = 2  # more than the file or the hosts allow
    SLO = 3
    MEMORY = 4
    START = 5


@dataclass(frozen=True, slots=True)
class Assessed:
    """A way with its figures, and with `fault` what is wrong with it: `why` in words, `path` of the line it breaks."""

    way: Way
    decision: Decision
    fault: Fault = Fault.NONE
    why: str = ""
    path: str = ""
    excess: float = 0.0  # by how much a bound is missed: 0.3 = by 30 %


def assess(need: Need, way: Way) -> Assessed:
    """Return the way with all figures, its limits set as well as its objectives ask for."""
    if way.gpu is None:
        return _unmeasured(need, way, None)
    setup = Setup(need, way)
    if not setup.memory.fits:
        return _faulty(setup, Fault.MEMORY, setup.memory.reason, "max_model_len")
    if setup.server is None:
        return _unmeasured(need, way, setup)
    setup, takes = _tuned(setup)
    assert setup.server is not None  # noqa: S101  # of the same family
    if takes <= 0:
        return _too_slow(setup)
    return sized(setup, takes)


def _tuned(setup: Setup) -> tuple[Setup, float]:
    """Return the setup with the tokens of one pass that let most requests in within the SLO, and how many that is.

    Smaller passes make gaps between tokens shorter and questions wait longer: tried only where gaps are what is missed.
    """
    server, slo = setup.server, setup.need.slo
    assert server is not None  # noqa: S101  # asked by the caller
    takes = capacity(server, slo.objectives, slo.goodput)
    gaps = [each for each in slo.objectives if each.metric == "itl"]
    if not gaps or setup.case.max_num_batched_tokens or not server.answers or takes >= STABLE * most(server) * _NEARLY:
        return setup, takes
    worst = missed(server, flow(server, takes * _MORE) if takes else alone(server), slo.objectives)
    if worst is None or worst[0].metric != "itl":
        return setup, takes
    tightest = min(each.seconds for each in gaps)
    begun, largest = Setup(setup.need, setup.way), setup.memory.most_tokens
    for size in _LADDER:
        if size >= largest or server.reading(16, size) > tightest:
            continue
        tried = replace(begun, max_num_batched_tokens=size)
        assert tried.server is not None  # noqa: S101  # of the same family
        found = capacity(tried.server, slo.objectives, slo.goodput)
        return (tried, found) if found > takes else (setup, takes)
    return setup, takes


def sized(setup: Setup, takes: float) -> Assessed:
    """Return a way that serves `takes` requests a second within the SLO: its replicas, figures and cost."""
    need, way, load = setup.need, setup.way, setup.need.workload
    assert load is not None  # noqa: S101  # asked by the caller
    least, allowed = need.ask.replicas
    fleet = fleet_of(load, takes, need.slo.availability, least)
    decision = _decision(setup, fleet, takes)
    room = _room(way)
    if allowed is not None and fleet.peak + fleet.spare > allowed:
        why = f"needs {fleet.peak + fleet.spare} replicas, the file allows {allowed}"
        return Assessed(way, decision, Fault.REPLICAS, why, "replicas", (fleet.peak + fleet.spare) / allowed - 1)
    if room is not None and fleet.total > room:
        short = (fleet.total - room) * max(1, way.gpus)
        why = f"needs {fleet.total * way.gpus} {way.offer.product}, {room * way.gpus} are free on {way.offer.target}"
        return Assessed(way, decision, Fault.REPLICAS, why, "placement.order", short / max(1, room * way.gpus))
    limit, cost = need.slo.max_cost_per_1m, decision.cost
    if limit is not None and cost and cost.per_1m and cost.per_1m > limit:
        why = f"${cost.per_1m:.2f} per 1M tokens > ${limit:.2f}"
        return Assessed(way, decision, Fault.COST, why, "slo.max_cost_per_1m_tokens", cost.per_1m / limit - 1)
    return Assessed(way, decision)


def _room(way: Way) -> int | None:
    """Return how many replicas the offer has room for, None where it has as many as wanted."""
    if way.offer.hosts is None:
        return None
    return way.offer.hosts * (way.offer.devices // way.gpus if way.gpus else 1)


def alone(server: Server) -> Flow:
    """Return what a request meets that is as good as alone."""
    return flow(server, STABLE * most(server) / 1000)


def _too_slow(setup: Setup) -> Assessed:
    """Return a way that misses an objective even when nobody else asks."""
    server, slo = setup.server, setup.need.slo
    assert server is not None  # noqa: S101  # asked by the caller
    at = alone(server)
    decision = _decision(setup, Fleet(0, 0, 0, 0), 0.0)
    worst = missed(server, at, slo.objectives)
    if worst is None:
        share = goodput(server, at, slo.objectives)
        why = f"goodput {100 * share:.1f} % < {100 * (slo.goodput or 0):g} %"
        return Assessed(setup.way, decision, Fault.SLO, why, "slo.goodput", 1 - share)
    objective, seconds = worst
    why = f"{objective.metric} p{objective.percentile} {said(seconds)} > {said(objective.seconds)}"
    path = f"slo.{objective.metric}.p{objective.percentile}"
    return Assessed(setup.way, decision, Fault.SLO, why, path, seconds / objective.seconds - 1)


def _unmeasured(need: Need, way: Way, setup: Setup | None) -> Assessed:
    """Return a way of which only the memory is known."""
    least = max(1, need.ask.replicas[0])
    fleet = Fleet(least, least, 0, least)
    if setup is None:
        length = need.ask.max_model_len or need.longest
        cost = cost_of(way.offer, fleet.total)
        batching = Batching(1, length, prefix_caching=False)
        decision = Decision(
            way.offer.target, way.engine, way.version, way.precision, way.kv_dtype, 1, 1, None, 0, length, batching,
            None, fleet, cost=cost, quality_loss=way.loss, purchase=way.offer.purchase, basis=_basis(need, None),
        )  # fmt: skip
        return Assessed(way, decision)
    return Assessed(way, _decision(setup, fleet, None))


def _faulty(setup: Setup, fault: Fault, why: str, path: str) -> Assessed:
    return Assessed(setup.way, _decision(setup, Fleet(0, 0, 0, 0), None), fault, why, path, 1.0)


def _decision(setup: Setup, fleet: Fleet, takes: float | None) -> Decision:
    """Return the decision that this setup makes; with `takes` its figures at the declared rate and at the peak."""
    need, way = setup.need, setup.way
    server, load = setup.server, need.workload
    at_rate = at_peak = None
    cost = None
    if server is not None and load is not None and takes is not None:
        many = max(1, fleet.total)
        serving = max(1, fleet.total - fleet.spare)
        rate, peak = (load.rate / many, load.peak / serving) if fleet.total else (0.0, 0.0)
        at_rate = load_of(setup, rate)
        at_peak = load_of(setup, peak) if peak != rate else at_rate
        full = many * most(server)
        cost = cost_of(way.offer, many * way.gpus, at_rate, load.rate, load.rate / full)
    elif fleet.total:
        cost = cost_of(way.offer, fleet.total * way.gpus)
    return Decision(
        way.offer.target, way.engine, way.version, way.precision, way.kv_dtype, way.tensor, way.pipeline, way.gpu,
        way.gpus, _longest(setup), _batching(setup, takes), setup.memory, fleet, at_rate, at_peak, takes, cost,
        way.loss, way.offer.free_gib, way.offer.purchase, basis=_basis(need, setup),
    )  # fmt: skip


def _longest(setup: Setup) -> int:
    """Return the longest sequence: as the file says, else the model's own as far as the cache holds it."""
    if said := setup.need.ask.max_model_len:
        return said
    context, held = setup.need.checkpoint.shape.context, setup.memory.kv_tokens
    if not held or (context and context <= held):
        return context or setup.need.longest
    return max(setup.need.longest, held // _ROUND * _ROUND)


def _batching(setup: Setup, takes: float | None) -> Batching:
    """Return what the engine is started with: room for as many sequences as `takes` requests a second keep running."""
    memory, args = setup.memory, setup.need.ask.engine_args
    seqs = memory.most_seqs
    if takes and setup.server is not None and not setup.case.max_num_seqs:
        seqs = min(seqs, seats_asked(flow(setup.server, takes)))
    chunked = bool(args.get("enable_chunked_prefill", setup.server is None or setup.server.chunked))
    prefixes = bool(args.get("enable_prefix_caching", not setup.need.checkpoint.shape.encoder))
    used = setup.utilization if setup.way.engine in {"vllm", "sglang", "tensorrt-llm", "tgi"} else None
    return Batching(seqs, memory.most_tokens, chunked, prefixes, used)


def load_of(setup: Setup, rate: float) -> Load:
    """Return what one replica does at `rate` requests a second, with ranges."""
    server = setup.server
    assert server is not None and setup.constants is not None  # noqa: S101, PT018  # asked by the caller
    at = flow(server, rate)
    return described(setup, at, latencies(server, at), goodput(server, at, setup.need.slo.objectives))


def described(setup: Setup, at: Flow, found: Mapping[str, float], share: float) -> Load:
    """Return a load's figures with the ranges that the engine family's errors give them."""
    server, known = setup.server, setup.constants
    assert server is not None and known is not None  # noqa: S101, PT018  # asked by the caller
    spread = known.spread * (1.5 if len(setup.way.offer.gpus) > 1 else 1.0)
    both, out = tokens(server.workload, at.rate)
    return Load(
        at.rate,
        {name: ranged(name, value, spread) for name, value in found.items()},
        at.running,
        share,
        at.rate / most(server),
        both,
        out,
    )


def ranged(name: str, value: float, spread: float) -> Estimate:
    """Return a latency with the range that holds 80 % of what is measured."""
    return estimate(value, spread * (_FIRST if name.startswith("ttft") else 1.0) * (_TAIL if "p99" in name else 1.0))


def _basis(need: Need, setup: Setup | None) -> str:
    if setup is None or setup.constants is None:
        return "memory only: nothing was measured that speed could rest on"
    if need.workload is None:
        return "memory only: the file says no workload"
    return f"model of {setup.family}, ±{100 * setup.constants.spread:.0f} %"


def spread_of(assessed: Assessed) -> float:
    """Return the error of the figures of a plan: the standard deviation of ln(measured / predicted)."""
    way = assessed.way
    known = constants(family_of(way.engine, way.version, way.gpu.vendor if way.gpu else "nvidia"))
    return known.spread if known else 0.0


def said(seconds: float) -> str:
    """Return a latency as people say it."""
    if seconds >= 10:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def price_key(assessed: Assessed) -> float:
    """Return what ranks fleets by what they cost: dollars an hour; where nobody knows a price of one's own, nothing."""
    cost = assessed.decision.cost
    return cost.per_hour if cost else 0.0


def memory_taken(assessed: Assessed) -> float:
    """Return the GiB of GPU memory that a fleet takes up."""
    gpu = assessed.way.gpu
    return assessed.decision.fleet.total * assessed.way.gpus * (gpu.memory if gpu else 0.0)
