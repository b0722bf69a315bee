"""Owns finding the ways worth a look: which of them are plans, in which order, and what failed nearest. Pure.

Ways are assessed in the order of the least they could cost, so that most are never assessed: what costs more than a
plan at hand even when it served all that its hardware could is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from infctl.sizing.assess import Assessed, Fault, assess, memory_taken, price_key
from infctl.sizing.decision import Offer
from infctl.sizing.fleet import fleet_of
from infctl.sizing.setup import Need, Setup, Way, bound
from infctl.sizing.ways import Refused, ways_of

ALTERNATIVES = 3
_NO_BOUND = float("inf")


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


def search(need: Need, offers: Sequence[Offer], versions: Mapping[str, str], own: str = "") -> Search:
    """Return the ways that matter, assessed: of each engine the best, and enough others to say what came next."""
    ways = ways_of(need, offers, versions, own)
    ordered = sorted(_bounds(need, ways.open), key=lambda pair: pair[0])
    best: dict[str, tuple[float, ...]] = {}  # engine -> what its best plan ranks
    kinds: set[tuple[str, ...]] = set()
    assessed: list[Assessed] = []
    for least, way in ordered:
        if len(kinds) > ALTERNATIVES and way.engine in best and least > best[way.engine]:
            continue
        if (way.engine, *kind_of(way)) in kinds and way.engine in best and least > best[way.engine]:
            continue
        found = assess(need, way)
        assessed.append(found)
        if found.fault in {Fault.NONE, Fault.COST, Fault.REPLICAS, Fault.SLO}:
            kinds.add((way.engine, *kind_of(way)))
        if found.fault is Fault.NONE:
            ranked = rank(need, found)
            best[way.engine] = min(ranked, best.get(way.engine, ranked))
    assessed.sort(key=lambda each: rank(need, each))
    return Search(tuple(assessed), ways.refused, len(ways.open))


def kind_of(way: Way) -> tuple[str, ...]:
    """What an alternative is told apart by."""
    return (way.offer.target, way.offer.product, way.precision.name)


def _bounds(need: Need, ways: Sequence[Way]) -> Iterator[tuple[tuple[float, ...], Way]]:
    """Yield each way with the best that it could rank. Of ways that differ in tensor parallel alone, those beyond one
    that is not short of cache need no look: twice the GPUs serve at most twice as much, and cost twice.
    """
    enough: dict[tuple[object, ...], tuple[float, ...]] = {}
    for way in ways:
        alike = (id(way.offer), way.engine, way.precision.name, way.kv_dtype, way.pipeline)
        if (least := enough.get(alike)) is None:
            least, short = _least(need, way)
            if not short:
                enough[alike] = least
        yield least, way


def _least(need: Need, way: Way) -> tuple[tuple[float, ...], bool]:
    """Return the best that a way could rank, if it served all that its hardware can, and whether more of it could serve
    more than in proportion, for want of memory.
    """
    place, load = place_of(need, way), need.workload
    if way.gpu is None:
        return (place, 1.0, 0.0, 0.0), False
    setup = Setup(need, way)
    takes = bound(setup)
    if takes == 0:
        return (place, 2.0, _NO_BOUND, _NO_BOUND), True
    many = max(1, need.ask.replicas[0])
    if takes and load is not None:
        many = fleet_of(load, takes, need.slo.availability, need.ask.replicas[0]).total
    price = (way.offer.price or 0.0) * many * way.gpus
    short = setup.server is None or setup.server.seats < setup.memory.most_seqs
    return (place, 0.0 if takes else 1.0, price, many * way.gpus * way.gpu.memory), short


def rank(need: Need, assessed: Assessed) -> tuple[float, ...]:
    """Return what plans are sorted by: the place in the file's order, then what the fleet costs and takes up, what is
    given up of quality, and how much one replica serves. What fails comes after, the nearest to a plan first.
    """
    way, decision = assessed.way, assessed.decision
    place = place_of(need, way)
    if assessed.fault is not Fault.NONE:
        return (float(1000 * assessed.fault), assessed.excess, place)
    unknown = 1.0 if need.workload is not None and decision.at_peak is None else 0.0
    lost = decision.quality_loss if decision.quality_loss is not None else 1.0
    kv = 1.0 if way.kv_dtype != need.ask.kv_dtype else 0.0
    return (place, unknown, price_key(assessed), memory_taken(assessed), lost, kv, -(decision.capacity or 0.0))


def place_of(need: Need, way: Way) -> float:
    order = need.ask.order
    return float(order.index(way.offer.target)) if way.offer.target in order else float(len(order))
