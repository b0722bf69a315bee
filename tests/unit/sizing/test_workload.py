"""What a file's words about load and service level mean in numbers."""

from __future__ import annotations

from typing import Any

import pytest

from infctl.sizing.decision import Objective, Workload
from infctl.sizing.workload import SPREAD, slo_of, workload_of, workload_of_trace
from infctl.spec.later import adapter


def said(**fields: Any) -> Workload | None:
    return workload_of(adapter("Workload").validate_python(fields))


def test_mean_and_a_percentile_give_the_spread() -> None:
    found = said(isl={"mean": 900, "p95": 3000}, osl={"mean": 220, "p95": 600}, rate="6/s", peak="20/s")
    assert found is not None
    assert (found.rate, found.peak, found.burstiness, found.isl.mean, found.isl.p95) == (6, 20, 1.0, 900, 3000)
    # exp(1.645 s - s^2 / 2) = 3000 / 900 and 600 / 220, solved for s; variation exp(s^2) - 1
    assert found.isl.squared_cv == pytest.approx(2.35, abs=0.01)
    assert found.osl.squared_cv == pytest.approx(0.923, abs=0.001)


def test_a_mean_alone_has_the_spread_of_conversations() -> None:
    found = said(isl={"mean": 900}, osl={"mean": 220}, rate="6/s")
    assert found is not None
    assert (found.isl.squared_cv, found.osl.squared_cv) == SPREAD
    assert found.peak == found.rate


def test_percentiles_without_a_mean_give_one() -> None:
    found = said(isl={"p50": 1020, "p95": 4083}, osl={"p50": 129}, peak="60/m")
    assert found is not None
    assert found.isl.mean == pytest.approx(1458, rel=0.01)
    assert found.osl.mean == pytest.approx(129 * (1 + SPREAD[1]) ** 0.5)
    assert found.rate == found.peak == 1.0


def test_lengths_that_no_spread_explains_are_as_wide_as_can_be() -> None:
    found = said(isl={"mean": 100, "p95": 10_000}, osl={"mean": 10}, rate="1/s")
    assert found is not None
    assert found.isl.squared_cv == pytest.approx(14, rel=0.05)


def test_too_little_is_no_workload() -> None:
    assert said(isl={"mean": 900}) is None
    assert said(rate="6/s") is None
    assert said(isl={}, rate="6/s") is None
    assert said(isl={"mean": 900}, rate="0/s") is None


def test_an_embedding_has_no_answer() -> None:
    found = said(isl={"mean": 400}, rate="6/s")
    assert found is not None
    assert (found.osl.mean, found.osl.squared_cv) == (1.0, 0.0)


def test_a_trace_gives_rate_busiest_minute_lengths_and_bursts() -> None:
    rows = [
        {"TIMESTAMP": f"2023-11-16 18:{minute:02}:{second:02}.6805900", "ContextTokens": "100", "GeneratedTokens": "10"}
        for minute in range(4)
        for second in range(0, 60, 1 if minute == 2 else 6)
    ]
    found = workload_of_trace(rows, "traces/chat.csv")
    assert (found.peak, found.isl.mean, found.isl.squared_cv, found.source) == (1.0, 100, 0.0, "traces/chat.csv")
    assert found.rate == pytest.approx(89 / 234, rel=0.01)
    assert found.burstiness > 0.5
    assert (found.trace[0].at, found.trace[1].at) == (0.0, 6.0)


def test_a_trace_in_seconds_out_of_order_is_put_in_order() -> None:
    rows = [{"TIMESTAMP": at, "ContextTokens": "5", "GeneratedTokens": "0"} for at in ("12.5", "10", "11")]
    found = workload_of_trace(rows)
    assert [each.at for each in found.trace] == [0.0, 1.0, 2.5]
    assert found.trace[0].osl == 1.0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no requests"),
        ([{"TIMESTAMP": "1", "ContextTokens": "5"}], "GeneratedTokens"),
        ([{"TIMESTAMP": "1", "ContextTokens": "x", "GeneratedTokens": "5"}], "line 2"),
        ([{"TIMESTAMP": "soon", "ContextTokens": "5", "GeneratedTokens": "5"}], "line 2"),
        ([{"TIMESTAMP": "1", "ContextTokens": "5", "GeneratedTokens": "5"}], "two times"),
    ],
)
def test_a_trace_that_is_none_says_why(rows: list[dict[str, str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        workload_of_trace(rows)


def test_an_slo_is_its_objectives() -> None:
    fields = {"ttft": {"p95": "500ms"}, "e2e": {"p50": "2s", "p99": "15s"}, "goodput": "99%", "availability": "99.9%"}
    found = slo_of(adapter("Slo").validate_python({**fields, "max_cost_per_1m_tokens": 1.2}))
    assert found.objectives == (Objective("ttft", 95, 0.5), Objective("e2e", 50, 2.0), Objective("e2e", 99, 15.0))
    assert (found.goodput, found.max_cost_per_1m) == (0.99, 1.2)
    assert slo_of(None).objectives == ()


def test_what_a_prefix_cache_has_is_a_share_of_questions_recorded_or_declared() -> None:
    assert said(isl={"mean": 900}, rate="6/s", prefix_cache_hit_rate="40%").cached == 0.4  # type: ignore[union-attr]
    rows = [{"TIMESTAMP": str(n), "ContextTokens": "9", "GeneratedTokens": "3"} for n in range(3)]
    recorded = workload_of(adapter("Workload").validate_python({"trace": "a.csv", "prefix_cache_hit_rate": 0.2}), rows)
    assert recorded is not None
    assert (recorded.cached, len(recorded.trace)) == (0.2, 3)
