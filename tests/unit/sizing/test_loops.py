"""Closed loops and front ends: what a benchmark's start, lengths alike and one process of Python do to first tokens."""

from __future__ import annotations

from dataclasses import replace
from math import exp, inf

import pytest

from infctl.catalog.gpus import gpus
from infctl.catalog.models import models
from infctl.sizing.budget import budget
from infctl.sizing.calibration import Constants, constants
from infctl.sizing.case import Case, Load
from infctl.sizing.lengths import lengths
from infctl.sizing.loops import Loop, first_tokens
from infctl.sizing.passes import Limits, run_all
from infctl.sizing.precision import PRECISIONS
from infctl.sizing.predict import Verdict, family_of, predict
from infctl.sizing.serving import figures, limits_of
from infctl.sizing.speed import Machine, decode_seconds, pass_seconds

_LLAMA = models().find("meta-llama/Llama-3.1-8B")
assert _LLAMA is not None
IDEAL = Constants(1, 1, 1, 1, 0, 0, 0, 1, 1, 0)
MACHINE = Machine(_LLAMA, PRECISIONS["bf16"], gpus().find("H100-SXM-80GB")[0], IDEAL)
CASE = Case(_LLAMA, (MACHINE.gpu,), MACHINE.precision, "vllm", isl=1000, osl=200)
WIDE = Limits(256, 8192, inf)


def test_in_a_loop_a_request_comes_when_another_ends() -> None:
    course = run_all(MACHINE, [(100.0, 50.0)] * 6, Limits(8, 4096, inf), loop=2)
    assert course.came[:2] == [0.0, 0.0]
    assert sorted(course.came[2:]) == pytest.approx(sorted(course.last)[:4])
    assert all(first > came for first, came in zip(course.first, course.came, strict=True))


def test_alone_in_a_loop_is_one_pass() -> None:
    found = first_tokens(MACHINE, Loop(1, (1000.0, 100.0), 0.1, varied=False), WIDE)
    assert found["mean"] == pytest.approx(pass_seconds(MACHINE, 0, 0, 1000, 1000), rel=0.02)


def test_a_rush_at_the_start_counts_as_much_as_it_is_of_all() -> None:
    """Sixteen prompts at once wait for eight and a half others on the average; later ones for hardly any."""
    rush, none = (first_tokens(MACHINE, Loop(16, (4000.0, 500.0), part, varied=True), WIDE) for part in (1.0, 0.0))
    one = pass_seconds(MACHINE, 0, 0, 4000, 4000)
    assert rush["mean"] == pytest.approx(8.5 * one, rel=0.25)
    assert none["mean"] < 2 * one
    tenth = first_tokens(MACHINE, Loop(16, (4000.0, 500.0), 0.1, varied=True), WIDE)
    assert tenth["mean"] == pytest.approx(0.1 * rush["mean"] + 0.9 * none["mean"])


def test_an_engine_that_looks_for_requests_seldom_lets_all_but_a_lone_one_wait() -> None:
    slow = replace(MACHINE, constants=replace(IDEAL, polls=10))
    for many, waited in ((1, False), (4, True)):
        case = replace(CASE, load=Load.CONCURRENCY, concurrency=many)
        plain, polled = (figures(machine, case, budget(case), "sglang") for machine in (MACHINE, slow))
        beyond = 10 * plain["tpot_mean_ms"] if waited else 0.0
        assert polled["ttft_mean_ms"] - plain["ttft_mean_ms"] == pytest.approx(beyond)


def test_first_tokens_of_a_loop_are_as_unsure_as_held_out_loops_were() -> None:
    measured = constants("sglang")
    assert measured is not None
    found = predict(replace(CASE, engine="sglang", load=Load.CONCURRENCY, concurrency=4)).metrics["ttft_mean_ms"]
    assert measured.first > 2 * measured.spread
    assert found.high / found.value == pytest.approx(exp(1.2816 * measured.first), rel=1e-3)


def test_answers_of_one_length_keep_requests_together() -> None:
    alike, apart = (first_tokens(MACHINE, Loop(8, (1024.0, 256.0), 0.0, varied=each), WIDE) for each in (False, True))
    assert alike["mean"] > 2 * apart["mean"]


def test_a_front_end_takes_requests_in_one_after_the_other() -> None:
    slow = replace(WIDE, intake=0.05)
    course = run_all(MACHINE, [(10.0, 2.0)] * 10, slow)
    assert course.first[-1] == pytest.approx(10 * 0.05, rel=0.05)
    assert course.first[0] < 0.06


def test_a_front_end_that_cannot_keep_up_is_the_limit() -> None:
    """Two hundred sequences at 1 ms a token wait 200 ms for each, whatever the GPU takes."""
    course = run_all(MACHINE, [(10.0, 50.0)] * 200, replace(WIDE, stream=1e-3))
    assert decode_seconds(MACHINE, 200, 35) < 0.02
    assert (course.last[0] - course.first[0]) / 49 == pytest.approx(0.2, rel=0.05)


def test_nobody_streams_offline() -> None:
    slow = replace(MACHINE, constants=replace(IDEAL, stream=1e-3, intake=1.0))
    memory = budget(CASE)
    assert limits_of(slow, replace(CASE, load=Load.OFFLINE_MAX), memory, "vllm").stream == 0
    assert limits_of(slow, replace(CASE, load=Load.BURST_ALL), memory, "vllm").intake == 1.0


def test_vllm_before_its_v1_cuts_long_contexts_up_by_512() -> None:
    memory = budget(CASE)
    old = replace(CASE, engine_version="0.6.3")
    found = limits_of(MACHINE, old, memory, "vllm-v0")
    assert (found.chunked, found.tokens) == (True, 512)
    assert limits_of(MACHINE, replace(old, engine_version="0.7.2"), memory, "vllm-v0").tokens == 2048
    assert not limits_of(MACHINE, replace(old, max_model_len=8192), memory, "vllm-v0").chunked
    assert not limits_of(MACHINE, replace(old, engine_version="0.4.2"), memory, "vllm-v0").chunked


def test_genai_perf_leaves_the_rush_out() -> None:
    loop = replace(CASE, engine="tensorrt-llm", concurrency=32, isl=4000)
    nvidia, others = predict(replace(loop, engine_version="NIM 1.8.0")), predict(replace(loop, engine_version="0.16"))
    assert nvidia.metrics["ttft_mean_ms"].value < others.metrics["ttft_mean_ms"].value


@pytest.mark.parametrize(
    ("engine", "version", "vendor", "family"),
    [
        ("vllm", "0.6.3.post1", "nvidia", "vllm-v0"),
        ("vllm", "Jan 2024", "nvidia", "vllm-v0"),
        ("vllm", "Aug 2025 V1", "nvidia", "vllm-v1"),
        ("vllm", "Jan 2025 V1", "nvidia", "vllm-v1"),
        ("vllm", "0.9.2", "nvidia", "vllm-v1"),
        ("vllm", "0.11.0", "nvidia", "vllm"),
        ("vllm", "", "nvidia", "vllm"),
        ("vllm", "0.10.0 (ROCm 6.4.1)", "amd", "vllm-v1-rocm"),
        ("vllm", "0.6.3.dev116", "amd", "vllm-v0-rocm"),
        ("tensorrt-llm", "NIM 1.8.0", "nvidia", "tensorrt-llm-native"),
        ("tensorrt-llm", "0.17.0", "nvidia", "tensorrt-llm-native"),
        ("tensorrt-llm", "Jan 2024", "nvidia", "tensorrt-llm-native"),
        ("tensorrt-llm", "1.1.0rc2", "nvidia", "tensorrt-llm"),
        ("llama.cpp", "Dec 2023", "nvidia", "llama.cpp"),
        ("llama.cpp", "", "unknown", "llama.cpp-cpu"),
    ],
)
def test_an_age_of_an_engine_has_constants_of_its_own(engine: str, version: str, vendor: str, family: str) -> None:
    assert family_of(engine, version, vendor) == family


def test_answers_that_a_model_ends_itself_drain_slowly() -> None:
    fixed = replace(CASE, load=Load.BURST_ALL, prompts=64)
    uneven = replace(fixed, uneven=0.5)
    found = [predict(each).metrics["out_tok_s"].value for each in (fixed, uneven)]
    assert found[1] < 0.9 * found[0]
    asked, told = zip(*lengths(64, 100, 200, varied=False, uneven=0.5), strict=True)
    assert set(asked) == {100.0}
    assert sum(told) / 64 == pytest.approx(200, rel=0.02)
    assert 100 <= min(told) < 112
    assert 290 < max(told) <= 300


def test_copies_share_a_load() -> None:
    one = predict(replace(CASE, concurrency=4))
    four = predict(replace(CASE, concurrency=16, replicas=4))
    assert four.metrics["out_tok_s"].value == pytest.approx(4 * one.metrics["out_tok_s"].value)
    assert four.metrics["tpot_mean_ms"] == one.metrics["tpot_mean_ms"]
    assert "4 copies" in four.reason


def test_a_longer_queue_is_only_longer() -> None:
    burst = replace(CASE, load=Load.BURST_ALL, max_num_seqs=16)
    some, many = (predict(replace(burst, prompts=count)).metrics for count in (2_000, 2_000_000))
    assert many["out_tok_s"].value == pytest.approx(some["out_tok_s"].value, rel=0.05)
    assert many["ttft_mean_ms"].value == pytest.approx(1000 * some["ttft_mean_ms"].value, rel=0.1)


def test_stages_of_a_pipeline_share_the_sequences() -> None:
    piped = replace(MACHINE, pipeline=4)
    assert decode_seconds(piped, 64, 500) == pytest.approx(decode_seconds(MACHINE, 16, 500), rel=0.01)
    assert decode_seconds(piped, 1, 500) == pytest.approx(decode_seconds(MACHINE, 1, 500), rel=0.01)


def test_more_load_never_makes_a_token_come_sooner() -> None:
    for engine in ("vllm", "sglang", "tensorrt-llm", "tgi", "llama.cpp"):
        case = replace(CASE, engine=engine, precision=PRECISIONS["gguf:Q8_0" if engine == "llama.cpp" else "bf16"])
        paces = [predict(replace(case, concurrency=many)).metrics for many in (1, 4, 16, 64)]
        for name in ("tpot_mean_ms", "ttft_p99_ms"):
            values = [each[name].value for each in paces]
            assert values == sorted(values), (engine, name, values)
        rates = [each["out_tok_s"].value for each in paces]
        assert rates == sorted(rates) or engine == "llama.cpp"


def test_a_rate_beyond_what_can_be_served_has_no_figures() -> None:
    found = predict(replace(CASE, load=Load.RATE_POISSON, rate=1000.0))
    assert found.verdict is Verdict.INFEASIBLE
    assert not found.metrics
    assert figures(MACHINE, replace(CASE, load=Load.RATE_POISSON, rate=1.0), budget(CASE))["req_s"] == 1.0
