"""Owns finding the ways worth a look: which of them are plans, in which order, and what failed nearest. Pure.

Ways are assessed in the order of the least they could cost, so that most are never assessed: what costs more than a
plan at hand even when it served all that its hardware could is left alone. What would cost more even as a single
replica is not looked at either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from infctl.sizing.assess import Assessed, Fault, assess, memory_taken, price_key
from infctl.sizing.budget import GIB
from infctl.sizing.decision import Offer
from infctl.sizing.fleet import fleet_of
from infctl.sizing.setup import Need, Setup, Way, bound
from infctl.sizing.ways import Refused, ways_of
from infctl.sizing.weights import weight_bytes

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
    bounds = _Bounds(need)
    queue = [(bounds.at_once(way), index) for index, way in enumerate(ways.open)]
    heapify(queue)
    looked_at: set[int] = set()
    best: dict[str, tuple[float, ...]] = {}  # engine -> what its best plan ranks
    kinds: set[tuple[str, ...]] = set()
    assessed: list[Assessed] = []
    while queue:
        least, index = heappop(queue)
        way = ways.open[index]
        kind = (way.engine, *kind_of(way))
        if way.engine in best and least > best[way.engine] and (len(kinds) > ALTERNATIVES or kind in kinds):
            continue
        if index not in looked_at:
            looked_at.add(index)
            heappush(queue, (bounds.least(way), index))
            continue
        found = assess(need, way)
        assessed.append(found)
        if found.fault in {Fault.NONE, Fault.COST, Fault.REPLICAS, Fault.SLO}:
            kinds.add(kind)
        if found.fault is Fault.NONE:
            ranked = rank(need, found)
            best[way.engine] = min(ranked, best.get(way.engine, ranked))
    assessed.sort(key=lambda each: rank(need, each))
    return Search(tuple(assessed), ways.refused, len(ways.open))


def kind_of(way: Way) -> tuple[str, ...]:
    """What an alternative is told apart by."""
    return (way.offer.target, way.offer.product, way.precision.name)


class _Bounds:
    """The best that ways could rank. Of ways that differ in tensor parallel alone, those beyond one that is not short
    of cache need no look: twice the GPUs serve at most twice as much, and cost twice.
    """

    def __init__(self, need: Need) -> None:
        self._need = need
        least, load = need.ask.replicas[0], need.workload
        self._fewest = fleet_of(load, _NO_BOUND, need.slo.availability, least).total if load else max(1, least)
        self._enough: dict[tuple[object, ...], tuple[float, ...]] = {}
        self._held: dict[str, float] = {}

    def at_once(self, way: Way) -> tuple[float, ...]:
        """Return the best that a way could rank if one replica served everything, as long as it holds the weights."""
        place = place_of(self._need, way)
        if way.gpu is None:
            return (place, 1.0, 0.0, 0.0)
        if self._weights(way) > way.gpus * way.gpu.memory:
            return (place, 2.0, _NO_BOUND, _NO_BOUND)
        return (place, 0.0, *self._taken(way, self._fewest))

    def _weights(self, way: Way) -> float:
        """Return the GiB of weights in a format."""
        checkpoint, name = self._need.checkpoint, way.precision.name
        if name not in self._held:
            own = checkpoint.bytes if way.precision == checkpoint.precision else None
            self._held[name] = (own or weight_bytes(checkpoint.shape, way.precision)) / GIB
        return self._held[name]

    def least(self, way: Way) -> tuple[float, ...]:
        """Return the best that a way could rank, if it served all that its hardware can."""
        alike = (id(way.offer), way.engine, way.precision.name, way.kv_dtype, way.pipeline)
        if (found := self._enough.get(alike)) is None:
            found, short = self._served(way)
            if not short:
                self._enough[alike] = found
        return max(found, self.at_once(way))

    def _served(self, way: Way) -> tuple[tuple[float, ...], bool]:
        """Return that, and whether more of the hardware could serve more than in proportion, for want of memory."""
        need = self._need
        if way.gpu is None:
            return self.at_once(way), False
        place, load, setup = place_of(need, way), need.workload, Setup(need, way)
        takes = bound(setup)
        if takes == 0:
            return (place, 2.0, _NO_BOUND, _NO_BOUND), True
        many = self._fewest
        if takes and load is not None:
            many = fleet_of(load, takes, need.slo.availability, need.ask.replicas[0]).total
        short = setup.server is None or setup.server.seats < setup.memory.most_seqs
        return (place, 0.0 if takes else 1.0, *self._taken(way, many)), short

    @staticmethod
    def _taken(way: Way, replicas: int) -> tuple[float, float]:
        """Return the dollars an hour and the GiB of GPU memory of so many replicas."""
        memory = way.gpu.memory if way.gpu else 0.0
        return (way.offer.price or 0.0) * replicas * way.gpus, replicas * way.gpus * memory


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
