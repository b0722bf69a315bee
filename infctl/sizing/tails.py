"""Owns the distributions that latencies are taken to have: quantiles, and the chance to be below a bound. Pure."""

from __future__ import annotations

from math import exp, log, sqrt
from statistics import NormalDist

NORMAL = NormalDist()


def gamma(mean: float, variance: float, z: float) -> float:
    """Return a quantile of a gamma distribution, by the cube-root approximation of Wilson and Hilferty."""
    if mean <= 0 or variance <= 0:
        return max(0.0, mean)
    ninth = variance / (9 * mean * mean)
    return max(0.0, mean * max(0.0, 1 - ninth + z * sqrt(ninth)) ** 3)


def log_normal(mean: float, variance: float, z: float) -> float:
    """Return a quantile of a log-normal distribution of this mean and variance."""
    if mean <= 0:
        return 0.0
    spread = sqrt(log(1 + variance / mean**2))
    return mean * exp(z * spread - spread * spread / 2)


def first_below(bound: float, mean: float, variance: float) -> float:
    """Return the chance of a first token within `bound`, of the two shapes of a tail by the heavier."""
    if bound <= 0:
        return 0.0
    return min(below_gamma(bound, mean, variance), below_log_normal(bound, mean, variance))


def below_gamma(bound: float, mean: float, variance: float) -> float:
    if mean <= 0 or variance <= 0:
        return 1.0 if bound >= mean else 0.0
    ninth = variance / (9 * mean * mean)
    return NORMAL.cdf(((bound / mean) ** (1 / 3) - 1 + ninth) / sqrt(ninth))


def below_normal(bound: float, mean: float, deviation: float) -> float:
    return NORMAL.cdf((bound - mean) / deviation) if deviation > 0 else float(bound >= mean)


def below_log_normal(bound: float, mean: float, variance: float) -> float:
    spread = sqrt(log(1 + variance / mean**2)) if mean > 0 else 0.0
    if not spread:
        return float(bound >= mean)
    return NORMAL.cdf((log(bound / mean) + spread * spread / 2) / spread)
