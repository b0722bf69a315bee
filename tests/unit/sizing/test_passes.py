"""Many requests at once, and loads that never end: what queues do, against examples worked by hand."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from statistics import fmean

import pytest

from infctl.catalog.gpus import gpus
from infctl.catalog.models import models
from infctl.sizing.budget import budget
from infctl.sizing.calibration import Constants
from infctl.sizing.case import Case, Load
from infctl.sizing.lengths import SHAREGPT, lengths
from infctl.sizing.passes import Limits, quantile, run_all, summary
from infctl.sizing.precision import PRECISIONS
from infctl.sizing.predict import Verdict, predict
from infctl.sizing.serving import figures, overload
from infctl.sizing.speed import Machine, decode_seconds, pass_seconds

_LLAMA = models().find("meta-llama/Llama-3.1-8B")
assert _LLAMA is not None
MACHINE = Machine(
    _LLAMA, PRECISIONS["bf16"], gpus().find("H100-SXM-80GB")[0], Constants(1, 1, 1, 1, 0, 0, 0, 1, 1, 0, spread=0.1)
)
CASE = Case(_LLAMA, (MACHINE.gpu,), MACHINE.precision, "vllm", isl=1000, osl=200)


def test_one_request_is_one_prompt_and_its_tokens() -> None:
    course = run_all(MACHINE, [(1000, 101)], Limits(8, 4096, inf))
    assert course.first[0] == pytest.approx(pass_seconds(MACHINE, 0, 0, 1000, 1000))
    assert course.last[0] - course.first[0] == pytest.approx(100 * decode_seconds(MACHINE, 1, 1050), rel=1e-3)


def test_what_does_not_fit_waits_for_those_before() -> None:
    course = run_all(MACHINE, [(100, 50)] * 8, Limits(4, 4096, inf))
    assert max(course.first[:4]) < min(course.last[:4]) <= min(course.first[4:])
    by_cache = run_all(MACHINE, [(100, 50)] * 8, Limits(8, 4096, 125 * 4))
    assert by_cache.first == course.first


def test_long_prompts_are_read_in_chunks_beside_the_tokens_of_others() -> None:
    requests = [(100.0, 400.0), (4000.0, 10.0)]
    chunked = run_all(MACHINE, requests, Limits(8, 1000, inf))
    apart = run_all(MACHINE, requests, Limits(8, 1000, inf, chunked=False))
    mixed = [gap for gap, _ in chunked.gaps if gap > 2 * decode_seconds(MACHINE, 2, 1000)]
    assert len(mixed) >= 3
    assert chunked.last[0] < apart.last[0] + chunked.first[1]
    assert apart.first[0] < chunked.first[1]


def test_many_can_stand_for_more() -> None:
    alike = [(200.0, 100.0)] * 64
    one = run_all(MACHINE, alike * 4, Limits(64, 4096, inf))
    four = run_all(MACHINE, alike, Limits(64, 4096, inf), weight=4)
    assert four.seconds == pytest.approx(one.seconds, rel=0.1)
    assert summary(four, alike, 4, 0)["out_tok_s"] == pytest.approx(summary(one, alike * 4, 1, 0)["out_tok_s"], rel=0.1)


def test_percentiles_are_of_what_was_seen() -> None:
    assert [quantile(((value, 1.0) for value in range(1, 101)), part) for part in (0.5, 0.9, 0.99)] == [50, 90, 99]
    found = summary(run_all(MACHINE, [(500, 50)] * 300, Limits(32, 4096, inf)), [(500.0, 50.0)] * 300, 1, 0.5)
    firsts = [found[f"ttft_{name}_ms"] for name in ("p50", "p90", "p95", "p99")]
    assert firsts == sorted(firsts)
    assert firsts[0] > 500


def test_recorded_lengths_have_the_means_that_were_measured_and_do_not_move_together() -> None:
    asked, told = zip(*lengths(1000, *SHAREGPT, varied=True), strict=True)
    assert (fmean(asked), fmean(told)) == pytest.approx(SHAREGPT, rel=0.01)
    assert max(asked) <= 1024 >= max(told)
    assert fmean(asked[:200]) == pytest.approx(SHAREGPT[0], rel=0.15)  # the first are no shorter than the last
    long = [answer for question, answer in zip(asked, told, strict=True) if question > fmean(asked)]
    assert fmean(long) == pytest.approx(SHAREGPT[1], rel=0.15)
    assert lengths(3, 10, 20, varied=False) == ((10, 20),) * 3


def test_a_rate_has_figures_until_it_is_more_than_can_be_served() -> None:
    calm, busy, flooded = (replace(CASE, load=Load.RATE_POISSON, rate=rate) for rate in (0.1, 10.0, 1000.0))
    memory = budget(CASE)
    quiet, loud = (figures(MACHINE, case, memory) for case in (calm, busy))
    assert quiet["tpot_mean_ms"] == pytest.approx(decode_seconds(MACHINE, 1, 1100) * 1e3, rel=0.05)
    assert quiet["ttft_mean_ms"] < loud["ttft_mean_ms"] < loud["ttft_p95_ms"] < loud["ttft_p99_ms"]
    assert quiet["tpot_mean_ms"] < loud["tpot_mean_ms"] <= loud["tpot_p99_ms"]
    assert loud["out_tok_s"] == 10 * 200
    assert not overload(MACHINE, busy, memory)
    refused = predict(flooded)
    assert refused.verdict is Verdict.INFEASIBLE
    assert "the queue would grow without end" in refused.reason
    assert not refused.metrics


def test_a_closed_loop_that_has_no_room_queues() -> None:
    memory = replace(budget(CASE), most_seqs=16)
    free, full = (figures(MACHINE, replace(CASE, concurrency=many), memory) for many in (16, 64))
    assert full["out_tok_s"] == free["out_tok_s"]
    assert full["ttft_mean_ms"] - free["ttft_mean_ms"] == pytest.approx(48 / free["req_s"] * 1e3)


def test_a_burst_and_a_full_queue_have_every_figure_but_those_of_one_stream() -> None:
    memory = budget(CASE)
    burst = figures(MACHINE, replace(CASE, load=Load.BURST_ALL, prompts=1000), memory)
    endless = figures(MACHINE, replace(CASE, load=Load.OFFLINE_MAX), memory)
    assert {"ttft_p99_ms", "tpot_p99_ms", "itl_p99_ms", "req_s", "out_tok_s_per_gpu"} <= set(burst) & set(endless)
    assert burst["total_tok_s"] == pytest.approx(burst["out_tok_s"] * 6)


def test_what_queues_is_told_with_a_wider_range() -> None:
    def width(load: Load, name: str) -> float:
        found = predict(replace(CASE, load=load, prompts=64, rate=1.0)).metrics[name]
        return found.high / found.low

    assert width(Load.CONCURRENCY, "tpot_mean_ms") < width(Load.CONCURRENCY, "ttft_mean_ms")
    assert width(Load.CONCURRENCY, "tpot_mean_ms") < width(Load.BURST_ALL, "tpot_mean_ms")
    assert width(Load.BURST_ALL, "ttft_mean_ms") < width(Load.BURST_ALL, "ttft_p99_ms")
    assert width(Load.RATE_POISSON, "req_s") < width(Load.CONCURRENCY, "req_s")
    assert width(Load.RATE_POISSON, "ttft_mean_ms") > width(Load.CONCURRENCY, "ttft_mean_ms")


def test_prompts_beyond_measure_take_few_steps_and_no_less_time() -> None:
    long = [(60_000.0, 2.0)] * 4
    course = run_all(MACHINE, long, Limits(4, 1000, inf), weight=100)
    alone = pass_seconds(MACHINE, 0, 0, 1000, 60_000)
    assert course.first[0] == pytest.approx(6000 * alone, rel=0.02)
    assert len(course.gaps) < 100


def test_an_empty_question_is_a_token() -> None:
    assert lengths(2, 0, 0, varied=False) == ((1, 1), (1, 1))
