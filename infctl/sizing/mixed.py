"""Owns a fleet over several targets, none of which has enough alone: each takes the part of the load that it has room
for, the first ones of the order first. Pure.

Each target's part is the plan that would be taken if it had hosts without end, with as many of its replicas as there is
room for; each replica then takes what it would take there. One engine for all, as its first part has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from infctl.frozen import replace
from infctl.sizing.decision import Ask, Choice, Decision, Offer, Workload

Chosen = Callable[[Ask, Workload, Sequence[Offer]], Choice]
_LEAST = 0.01  # of a load: what is left beyond counts as none


def mixed(chosen: Chosen, ask: Ask, load: Workload, offers: Sequence[Offer]) -> tuple[Decision, ...]:
    """Return a decision for each target that takes part, in the order of the file, `fleet.total` being its replicas; ()
    where all together have too little. `chosen` says what is taken for an ask, a load, and what there is.
    """
    parts: list[Decision] = []
    left = 1.0
    for target in ask.order:
        mine = [offer for offer in offers if offer.target == target]
        part = _part(chosen, _less(ask, parts), _share(load, left), mine) if mine else None
        if part is None:
            continue
        made, of = part
        parts.append(made)
        left -= left * made.fleet.total / of
        if left < _LEAST:
            return tuple(parts) if _is_allowed(ask, parts) else ()
    return ()


def _part(chosen: Chosen, ask: Ask, load: Workload, mine: Sequence[Offer]) -> tuple[Decision, int] | None:
    """Return what a target takes, and of how many replicas that would take all; None where it can have none."""
    endless = chosen(ask, load, [replace(offer, hosts=None) for offer in mine])
    decision = endless.decision
    if decision is None or endless.clash is not None or not decision.fleet.total or decision.gpu is None:
        return None
    of = decision.fleet.total
    room = sum(
        of if each.hosts is None else each.hosts * (each.devices // decision.gpus)
        for each in mine
        if decision.gpu in each.gpus and (each.purchase, each.free_gib) == (decision.purchase, decision.free_gib)
    )
    return (_of(decision, min(of, room)), of) if room else None


def _of(decision: Decision, count: int) -> Decision:
    """Return a decision for so many of its replicas, which take their part of the load and of the cost."""
    cost, of = decision.cost, decision.fleet.total
    paid = cost and replace(cost, per_hour=cost.per_hour * count / of)
    return replace(decision, fleet=replace(decision.fleet, total=count), cost=paid)


def _less(ask: Ask, parts: Sequence[Decision]) -> Ask:
    """Return what is asked of the further targets: fewer replicas, by the engine that was taken."""
    had = sum(part.fleet.total for part in parts)
    least, most = ask.replicas
    left = (max(1, least - had), None if most is None else max(1, most - had))
    return replace(ask, engine=parts[0].engine if parts else ask.engine, replicas=left)


def _share(load: Workload, part: float) -> Workload:
    return replace(load, rate=load.rate * part, peak=load.peak * part) if part < 1 else load


def _is_allowed(ask: Ask, parts: Sequence[Decision]) -> bool:
    total, (least, most) = sum(part.fleet.total for part in parts), ask.replicas
    return len(parts) > 1 and total >= least and (most is None or total <= most)
