"""Owns the course of a closed loop: so many requests in flight, each followed by another when it ends. Pure.

A benchmark starts such a loop with as many requests at once as it keeps in flight, and reports means over all of them:
of ten times as many prompts (what vLLM's and InferenceMAX's scripts send) a tenth belongs to that first rush. After it,
answers of one length keep requests together that one pass read: they end together, and the next prompts come together,
up to `max_num_batched_tokens` of them in one pass. Lengths that differ by a fifth are enough to part them. NVIDIA's
genai-perf leaves the rush out of what it reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infctl.sizing.passes import Limits, quantile, run_all
from infctl.sizing.speed import Machine

_SIMULATED = 32  # requests in flight: of more, each stands for several
_LATER = 3  # rounds after the rush that are run through; they stand for all that follow
ROUNDS = 10.0  # prompts that a benchmark sends for each request in flight, where nobody says
# Of a length: how much prompts and answers differ in a load that is named random, and in one that is said to be fixed.
_APART, _ALIKE = 0.2, 0.02
_EVEN = (0.7548776662466927, 0.5698402909980532)  # see `lengths`
_PARTS = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Loop:
    """A closed loop of so many requests of these mean lengths (prompt, answer); `rush` is the part of all requests that
    belong to its start, `varied` whether lengths differ.
    """

    count: float
    lengths: tuple[float, float]
    rush: float
    varied: bool


def first_tokens(machine: Machine, loop: Loop, limits: Limits) -> Mapping[str, float]:
    """Return the mean and percentiles ("mean", "p50", ...) of the seconds to the first token."""
    count = max(1, min(_SIMULATED, round(loop.count)))
    total, rush = count * (1 + _LATER), loop.rush
    apart = _APART if loop.varied else _ALIKE
    requests = [_spread(index, loop.lengths, apart) for index in range(total)]
    course = run_all(machine, requests, limits, loop.count / count, count)
    waits = [first - came for first, came in zip(course.first, course.came, strict=True)]
    weights = [rush / count] * count + [(1 - rush) / (total - count)] * (total - count)
    pairs = list(zip(waits, weights, strict=True))
    return {"mean": sum(wait * weight for wait, weight in pairs)} | {
        f"p{part}": quantile(pairs, part / 100) for part in _PARTS
    }


def _spread(index: int, lengths: tuple[float, float], apart: float) -> tuple[float, float]:
    asked, told = (
        mean * (1 + apart * (((index + 1) * even) % 1.0 - 0.5)) for mean, even in zip(lengths, _EVEN, strict=True)
    )
    return max(1.0, asked), max(1.0, told)
