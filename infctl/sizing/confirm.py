"""Owns confirming a plan: its replicas are run through pass by pass, and what they meet there is what is printed. Pure.

The closed form finds a plan, the run has the last word: where it misses what the closed form said is met, replicas are
added until it is met. The limits that the plan sets are in force in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from infctl.sizing.arrivals import observed, requests_of, run_arrivals
from infctl.sizing.assess import Assessed, Fault, described, said, sized
from infctl.sizing.capacity import flow
from infctl.sizing.decision import Decision, Load
from infctl.sizing.passes import Limits
from infctl.sizing.setup import Need, Setup

REQUESTS = 600  # that a plan is confirmed with
_TRIES = 4
_LESS = 0.93  # of the rate that was too much


def confirm(need: Need, found: Assessed, count: int = REQUESTS) -> Assessed:
    """Return a plan with the figures of a run of `count` requests, with more replicas where it takes them.

    What is not known to the closed form (no workload, no constants) is returned as it is.
    """
    takes = found.decision.capacity
    if found.fault is not Fault.NONE or found.decision.at_peak is None or not takes or found.way.gpu is None:
        return found
    setup = set_as(need, found.decision, found)
    for _ in range(_TRIES):
        peak = found.decision.at_peak.rate
        met = run(setup, peak, count)
        if _meets(need, met):
            return replace(found, decision=_with_runs(setup, found.decision, met, count))
        takes = min(takes, peak) * _LESS
        found = sized(setup, takes)
        if found.fault is not Fault.NONE or found.decision.at_peak is None:
            return found
    return replace(found, fault=Fault.SLO, why=_shortfall(need, met), path="slo", excess=0.01)


def _shortfall(need: Need, met: Mapping[str, float]) -> str:
    """Return what a run missed."""
    for each in need.slo.objectives:
        if each.name in met and met[each.name] > each.seconds:
            return f"{each.metric} p{each.percentile} {said(met[each.name])} > {said(each.seconds)} when run through"
    return f"goodput {100 * met['goodput']:.1f} % < {100 * (need.slo.goodput or 0):g} % when run through"


def set_as(need: Need, decision: Decision, found: Assessed) -> Setup:
    """Return the setup with the limits that a decision sets."""
    batching = decision.batching
    return Setup(need, found.way, batching.max_num_seqs, batching.max_num_batched_tokens)


def run(setup: Setup, rate: float, count: int) -> Mapping[str, float]:
    """Return what `count` requests at `rate` a second meet on one replica: seconds by name, and `goodput`."""
    server = setup.server
    assert server is not None  # noqa: S101  # asked by the caller
    memory, load = setup.memory, server.workload
    cache = float(memory.kv_tokens) or float("inf")
    c = server.machine.constants
    limits = Limits(memory.most_seqs, memory.most_tokens, cache, server.chunked, server.whole, c.intake, c.stream)
    requests = requests_of(load, rate, count)
    course = run_arrivals(server.machine, requests, limits, load.cached)
    return observed(course, requests, setup.need.slo.objectives)


def _meets(need: Need, met: Mapping[str, float]) -> bool:
    slo = need.slo
    within = all(met[each.name] <= each.seconds for each in slo.objectives if each.name in met)
    return within and (slo.goodput is None or not slo.objectives or met["goodput"] >= slo.goodput)


def _with_runs(setup: Setup, decision: Decision, met: Mapping[str, float], count: int) -> Decision:
    at_rate = decision.at_rate
    assert at_rate is not None and decision.at_peak is not None  # noqa: S101, PT018  # asked by the caller
    usual = met if at_rate.rate == decision.at_peak.rate else run(setup, at_rate.rate, count) if at_rate.rate else {}
    usually = _load(setup, at_rate, usual) if usual else at_rate
    return replace(decision, memory=setup.memory, at_rate=usually, at_peak=_load(setup, decision.at_peak, met))


def _load(setup: Setup, closed: Load, met: Mapping[str, float]) -> Load:
    server = setup.server
    assert server is not None  # noqa: S101  # asked by the caller
    found = {name: value for name, value in met.items() if name in closed.latency}
    return described(setup, flow(server, closed.rate), found, met["goodput"])
