"""Owns how long questions and answers are where a load has many: fixed, or as recorded conversations. Pure.

A load that is named but not described ("sharegpt") is taken to be 1,000 conversations of ShareGPT as vLLM's own
benchmark samples them: 217,393 tokens of questions and 201,847 of answers (the totals it prints), each at most 1,024
tokens. The shape between is assumed: log-normal, a spread of 1.3 and 1.1 of the logarithm, the two independent.
"""

from __future__ import annotations

from functools import cache
from math import exp
from statistics import NormalDist

SHAREGPT = (217.4, 201.8)  # mean tokens of a question and of an answer
_LONGEST = 1024.0
_SPREADS = (1.3, 1.1)
# Their multiples, modulo one, fill a square evenly and in no order (Roberts, "The unreasonable effectiveness of
# quasirandom sequences", 2018: 1/g and 1/g^2 of the root of g^3 = g + 1).
_EVEN = (0.7548776662466927, 0.5698402909980532)


@cache
def lengths(count: int, isl: float, osl: float, varied: bool, uneven: float = 0.0) -> tuple[tuple[float, float], ...]:
    """Return (question, answer) tokens of `count` requests: the same at every call, with these means. `uneven` answers
    lie evenly up to that part of their mean below and above it.
    """
    if uneven and not varied and count > 1:
        places = [2 * (((index + 1) * _EVEN[1]) % 1.0) - 1 for index in range(count)]
        return tuple((max(1.0, isl), max(1.0, osl * (1 + uneven * place))) for place in places)
    if not varied:
        return ((max(1.0, isl), max(1.0, osl)),) * count
    asked, told = (
        _log_normal(count, mean, spread, even) for mean, spread, even in zip((isl, osl), _SPREADS, _EVEN, strict=True)
    )
    return tuple(zip(asked, told, strict=True))


def _log_normal(count: int, mean: float, spread: float, even: float) -> tuple[float, ...]:
    """Return numbers of a log-normal distribution of this mean, cut off, in an even shuffle."""
    normal = NormalDist(0.0, spread)
    points = [((index + 1) * even) % 1.0 for index in range(count)]
    longest = max(_LONGEST, 4 * mean)
    raw = [exp(normal.inv_cdf(min(max(point, 1e-6), 1 - 1e-6))) for point in points]
    low, high = mean / 100, mean * 100
    for _ in range(40):  # the scale that keeps the mean in spite of the cut
        scale = (low * high) ** 0.5
        if sum(min(longest, max(1.0, each * scale)) for each in raw) / count < mean:
            low = scale
        else:
            high = scale
    return tuple(min(longest, max(1.0, each * scale)) for each in raw)
