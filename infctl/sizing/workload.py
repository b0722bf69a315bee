"""Owns what a file's words about load and service level mean in numbers: rates, lengths, bursts, objectives. Pure.

Reading a trace's file happens elsewhere; here its rows become requests. Lengths are taken as log-normal: two of mean
and percentiles give the spread. Where the file gives one figure, the spread is that of an hour of a conversation
service (Azure LLM inference trace 2023: squared coefficient of variation 0.92 of questions, 0.60 of answers).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from math import exp, log, sqrt
from typing import TYPE_CHECKING, Final

from infctl.frozen import replace
from infctl.sizing.decision import PERCENTILES, Lengths, Metric, Objective, Request, Slo, Workload

if TYPE_CHECKING:
    from infctl.spec import vocabulary

AT, ASKED, ANSWERED = "TIMESTAMP", "ContextTokens", "GeneratedTokens"  # columns of a trace, as the Azure ones have them
SPREAD: Final = (0.92, 0.60)
_Z: Final = {"p50": 0.0, "p95": 1.6449, "p99": 2.3263}
_WIDEST: Final = 1.6449  # of a logarithm: no log-normal has its P95 further above its mean than with this spread
_MINUTE = 60.0
_CLOCK = 26  # characters of a time that tell microseconds


def workload_of(said: vocabulary.Workload, rows: Iterable[Mapping[str, str]] | None = None) -> Workload | None:
    """Return the load that a file means; `rows` are those of its trace. None where it says too little: no lengths, or
    no rate, or one of nothing.

    Raises ValueError where a trace's rows cannot be read.
    """
    cached = said.prefix_cache_hit_rate or 0.0
    if rows is not None:
        return replace(workload_of_trace(rows, said.trace or ""), cached=cached)
    if said.isl is None or (said.rate is None and said.peak is None):
        return None
    asked = lengths_of(said.isl, SPREAD[0])
    answered = lengths_of(said.osl, SPREAD[1]) if said.osl is not None else Lengths(1.0)
    if asked is None or answered is None:
        return None
    rate = said.rate if said.rate is not None else said.peak
    assert rate is not None  # noqa: S101  # one of the two is there, see above
    peak = max(rate, said.peak) if said.peak is not None else rate
    if peak <= 0:
        return None
    return Workload(asked, answered, rate, peak, cached=cached, source="the file")


def lengths_of(said: vocabulary.Tokens, otherwise: float) -> Lengths | None:
    """Return the lengths that a file means: `otherwise` is the squared variation where it gives one figure alone."""
    points = {name: float(value) for name in _Z if (value := getattr(said, name)) is not None}
    p95 = points.get("p95")
    if said.mean is not None:
        mean = float(said.mean)
        tail = next(((name, points[name]) for name in ("p95", "p99") if name in points), None)
        if tail:
            return Lengths(mean, p95, _squared(_spread_of(tail[1] / mean, _Z[tail[0]])))
        if "p50" in points:
            return Lengths(mean, p95, _squared(sqrt(2 * log(max(1.0, mean / points["p50"])))))
        return Lengths(mean, p95, otherwise)
    if len(points) > 1:
        (low, below), (high, above) = list(points.items())[:2]
        spread = max(0.0, log(above / below) / (_Z[high] - _Z[low]))
        return Lengths(below * exp(-_Z[low] * spread + spread * spread / 2), p95, _squared(spread))
    for name, value in points.items():
        spread = sqrt(log(1 + otherwise))
        return Lengths(value * exp(-_Z[name] * spread + spread * spread / 2), p95, otherwise)
    return None


def _spread_of(ratio: float, z: float) -> float:
    """Return the spread s of a log-normal whose quantile at `z` is `ratio` = exp(z s - s^2 / 2) times its mean."""
    inside = z * z - 2 * log(max(1.0, ratio))
    return z - sqrt(inside) if inside > 0 else min(z, _WIDEST)


def _squared(spread: float) -> float:
    return exp(spread * spread) - 1


def workload_of_trace(rows: Iterable[Mapping[str, str]], source: str = "") -> Workload:
    """Return the load of recorded requests: the rate over all of them, the busiest minute as the peak, how the times
    between them vary. Raises ValueError (no requests, a column missing, a row that is none).
    """
    requests = requests_of_rows(rows)
    count, whole = len(requests), requests[-1].at
    if count < 2 or whole <= 0:  # noqa: PLR2004  # two make a gap
        raise ValueError("a trace needs requests at two times at least")
    rate = (count - 1) / whole
    minutes = Counter(int(each.at // _MINUTE) for each in requests)
    peak = max(rate, max(minutes.values()) / _MINUTE) if whole > _MINUTE else rate
    gaps = [later.at - sooner.at for sooner, later in pairwise(requests)]
    return Workload(
        _measured([each.isl for each in requests]), _measured([each.osl for each in requests]), rate, peak, requests,
        max(0.01, _squared_cv(gaps)), source=source or "a trace",
    )  # fmt: skip


def requests_of_rows(rows: Iterable[Mapping[str, str]]) -> tuple[Request, ...]:
    """Return a trace's requests in the order of their times, the first at 0. Raises ValueError."""
    found = []
    for number, row in enumerate(rows, 2):
        try:
            found.append(Request(_moment(row[AT]), float(row[ASKED]), float(row[ANSWERED])))
        except KeyError as failure:
            raise ValueError(f"a trace has the columns {AT}, {ASKED}, {ANSWERED}; {failure} is missing") from failure
        except (TypeError, ValueError) as failure:
            raise ValueError(f"line {number}: {failure}") from failure
    found.sort()
    if not found:
        raise ValueError("the trace has no requests")
    first = found[0].at
    return tuple(Request(each.at - first, max(1.0, each.isl), max(1.0, each.osl)) for each in found)


def _moment(text: str) -> float:
    """Return seconds: of a number as it is, of a date and time since the epoch."""
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text.strip()[:_CLOCK]).timestamp()


def _measured(values: list[float]) -> Lengths:
    ordered = sorted(values)
    return Lengths(sum(values) / len(values), ordered[int(0.95 * (len(ordered) - 1))], _squared_cv(values))


def _squared_cv(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return sum((each - mean) ** 2 for each in values) / len(values) / mean**2 if mean else 0.0


def slo_of(said: vocabulary.Slo | None) -> Slo:
    """Return what a file's `slo` owes."""
    if said is None:
        return Slo()
    bounds: tuple[tuple[Metric, vocabulary.Latency | None], ...]
    bounds = (("ttft", said.ttft), ("itl", said.itl), ("e2e", said.e2e))
    objectives = [
        Objective(metric, part, seconds)
        for metric, latency in bounds
        if latency is not None
        for part in PERCENTILES
        if (seconds := getattr(latency, f"p{part}")) is not None
    ]
    return Slo(tuple(objectives), said.goodput, said.availability, said.max_cost_per_1m_tokens)
