"""Owns how many replicas a load asks for, and what they cost. Pure.

A replica is taken to be up 99.5 % of the time unless somebody knows better: what Amazon promises of a single instance
(Amazon Compute Service Level Agreement, instance-level). Replicas fail each by itself; so many are spare that with the
chance asked for no more than those are down.
"""

from __future__ import annotations

from math import ceil, comb

from infctl.sizing.decision import Cost, Fleet, Load, Offer, Workload

UP = 0.995  # of the time that one replica answers: an assumption, see above
_MOST_SPARE = 8
_HAIR = 1e-9  # a rate that is served exactly needs no further replica


def fleet_of(load: Workload, capacity: float, availability: float | None, least: int) -> Fleet:
    """Return the replicas for the mean and the peak of `load` where each takes `capacity` requests a second, with spare
    ones for `availability` (a share, None: none); never fewer than `least`.
    """
    mean, peak = (max(1, ceil(rate / capacity - _HAIR)) for rate in (load.rate, max(load.rate, load.peak)))
    spare = spare_of(peak, availability)
    return Fleet(mean, peak, spare, max(least, peak + spare))


def spare_of(needed: int, availability: float | None, up: float = UP) -> int:
    """Return how many replicas beside the `needed` ones it takes for these to be up with the chance `availability`."""
    if not availability:
        return 0
    for spare in range(_MOST_SPARE):
        if enough_up(needed + spare, spare, up) >= availability:
            return spare
    return _MOST_SPARE


def enough_up(total: int, spare: int, up: float = UP) -> float:
    """Return the chance that at most `spare` of `total` replicas are down."""
    return sum(comb(total, down) * (1 - up) ** down * up ** (total - down) for down in range(spare + 1))


def cost_of(
    offer: Offer, units: int, load: Load | None = None, rate: float = 0.0, busy: float | None = None
) -> Cost | None:
    """Return what `units` of an offer (GPUs, or hosts without any) cost; None without a price.

    For 1M tokens at `rate` requests a second over all replicas, of which `load` is one's share; that keeps them `busy`
    to that part.
    """
    if offer.price is None:
        return None
    hour = offer.price * units
    if load is None or not load.rate or not rate:
        return Cost(hour, priced=offer.priced)
    scale = rate / load.rate
    per_1m, out = (hour * 1e6 / 3600 / (each * scale) if each else None for each in (load.tok_s, load.out_tok_s))
    return Cost(hour, per_1m, out, per_1m * busy if per_1m and busy else None, busy, offer.priced)
