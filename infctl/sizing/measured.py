"""Owns what a user's own measurements change in predictions: a few constants of one engine on one device. Pure.

A short run tells little: how fast weights are read, how fast products are multiplied, what a pass and what each of its
sequences wastes. So of all constants four factors are fitted, in logarithms, by Gauss and Newton's method; what a run
does not tell stays where it was, for a factor far from one is as unlikely as a measurement far off (maximum a
posteriori; Bishop, "Pattern Recognition and Machine Learning", 2006, 3.3). Of a device that the catalogue does not know
nothing is expected beforehand: what was measured describes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import exp, log, sqrt
from typing import Final

from infctl.catalog.gpus import Gpu
from infctl.frozen import dataclass
from infctl.sizing.calibration import Constants
from infctl.sizing.case import Case

# How far a factor may lie from one, as a standard deviation of its logarithm: of a GPU in the catalogue, of a device
# that nobody described; and how far a measurement repeats.
_KNOWN, _UNKNOWN, _REPEATS = 0.3, 2.5, 0.05
_STEPS, _NUDGE = 12, 1e-3
# Figures that a fit looks at. Percentiles say more of the load than of the device.
FITTED: Final = (
    "ttft_mean_ms", "ttft_p50_ms", "tpot_mean_ms", "tpot_p50_ms", "itl_mean_ms", "out_tok_s", "total_tok_s",
    "decode_tok_s_single", "prefill_tok_s", "e2e_latency_s",
)  # fmt: skip
UNKNOWN: Final = "unknown"  # the vendor of a device that only measurements describe
_LEAST_SPREAD = 0.08  # what remains unsure after many rows: other lengths and loads than those measured


@dataclass(frozen=True, slots=True)
class Factors:
    """By how much a device differs from what is assumed: `memory` and `compute` are as many times as fast, `passes` and
    `sequences` as many times as long. `spread` is the standard deviation of ln(measured / predicted) afterwards, over
    `rows` measurements.
    """

    memory: float = 1.0
    compute: float = 1.0
    passes: float = 1.0
    sequences: float = 1.0
    spread: float = 0.0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """One row: what was asked for, and what was measured by the names that predictions have."""

    case: Case
    figures: Mapping[str, float]


Predicting = Callable[[Case, Factors], Mapping[str, float]]


def device(name: str) -> Gpu:
    """Return a device that nothing is known of: a place to start a fit from, of the size of a processor with 64 GB/s
    and one TFLOPS. Its memory is not known, so nothing is refused for want of it.
    """
    return Gpu(name, "", 1024.0, 1024, 64.0, 1.0, vendor=UNKNOWN, sustained=0.8, source="the measurements given")


def applied(gpu: Gpu, constants: Constants, factors: Factors) -> tuple[Gpu, Constants]:
    """Return the device and the constants as the factors say they are."""
    fast, slow = factors.compute, factors.passes
    return (
        replace(
            gpu, bandwidth=gpu.bandwidth * factors.memory, fp16=gpu.fp16 * fast, fp8=gpu.fp8 * fast,
            int8=gpu.int8 * fast, fp4=gpu.fp4 * fast, fp32=gpu.fp32 * fast,
        ),
        replace(
            constants, layer=constants.layer * slow, moe_layer=constants.moe_layer * slow,
            each_pass=constants.each_pass * slow, request=constants.request * slow,
            most_bandwidth=constants.most_bandwidth * factors.memory,
            sequence=constants.sequence * factors.sequences, sending=constants.sending * factors.sequences,
        ),
    )  # fmt: skip


def fit(rows: Sequence[Measured], predicting: Predicting, *, known: bool = True) -> Factors:
    """Return the factors that `rows` make likeliest; `known` is whether the catalogue describes the device.

    What cannot be predicted of a row (it does not fit, there is no such figure) is passed over.
    """
    wide = _KNOWN if known else _UNKNOWN
    logs = [0.0] * 4
    for _ in range(_STEPS):
        wrong = _wrong(rows, predicting, logs)
        if not wrong:
            return Factors()
        nudged = [_wrong(rows, predicting, [*logs[:at], logs[at] + _NUDGE, *logs[at + 1 :]]) for at in range(4)]
        slopes = [[(there - here) / _NUDGE for there, here in zip(each, wrong, strict=True)] for each in nudged]
        left = [
            [sum(a * b for a, b in zip(slopes[i], slopes[j], strict=True)) / _REPEATS**2 for j in range(4)]
            for i in range(4)
        ]
        right = [-sum(a * b for a, b in zip(slopes[i], wrong, strict=True)) / _REPEATS**2 for i in range(4)]
        for i in range(4):
            left[i][i] += 1 / wide**2
            right[i] -= logs[i] / wide**2
        logs = [at + max(-1.0, min(1.0, step)) for at, step in zip(logs, _solved(left, right), strict=True)]
    wrong = _wrong(rows, predicting, logs)
    spread = sqrt(_LEAST_SPREAD**2 + sum(each**2 for each in wrong) / len(wrong))
    return replace(_factors(logs), spread=spread, rows=len(rows))


def _factors(logs: Sequence[float]) -> Factors:
    memory, compute, passes, sequences = (exp(each) for each in logs)
    return Factors(memory, compute, passes, sequences)


def _wrong(rows: Sequence[Measured], predicting: Predicting, logs: Sequence[float]) -> list[float]:
    """Return ln(predicted / measured) of every figure that both have."""
    factors = _factors(logs)
    found: list[float] = []
    for row in rows:
        said = predicting(row.case, factors)
        found += [
            log(said[name] / row.figures[name])
            for name in FITTED
            if row.figures.get(name, 0.0) > 0 and said.get(name, 0.0) > 0
        ]
    return found


def _solved(left: list[list[float]], right: list[float]) -> list[float]:
    """Return x of `left` x = `right`, a symmetric positive definite system (Gauss's elimination)."""
    size = len(right)
    rows = [[*left[i], right[i]] for i in range(size)]
    for i in range(size):
        for j in range(i + 1, size):
            part = rows[j][i] / rows[i][i]
            rows[j] = [b - part * a for a, b in zip(rows[i], rows[j], strict=True)]
    found = [0.0] * size
    for i in reversed(range(size)):
        found[i] = (rows[i][-1] - sum(rows[i][j] * found[j] for j in range(i + 1, size))) / rows[i][i]
    return found
