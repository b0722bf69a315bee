"""What a row of a table means where it says little, or something odd: an answer, never a crash."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import pytest

from infctl.ops.size import METRICS, asked_of, case_of, size_table
from infctl.sizing.case import Load
from infctl.sizing.rows import lengths_of, load_of, split_of
from infctl.sizing.spelled import find_engine, plain_row

ROW = {"id": "x", "model": "Qwen/Qwen3-8B", "gpu": "H100-SXM-80GB", "engine": "vllm", "load_type": "concurrency"}


def answer(**changes: str) -> Mapping[str, str]:
    (found,) = size_table([{**ROW, **changes}])
    return found


@pytest.mark.parametrize(
    ("row", "isl", "expected"),
    [
        ({"workload": "sharegpt"}, None, (217.4, 201.8, True, 0.0)),
        ({"workload": "ShareGPT"}, 300.0, (300.0, 201.8, True, 0.0)),
        ({"workload": "sonnet_short"}, 80.0, (80.0, 256.0, False, 0.5)),
        ({"workload": "fixed"}, 80.0, (80.0, 256.0, False, 0.0)),
        ({"workload": "single prompt", "load_type": "static_batch"}, None, (64.0, 256.0, False, 0.0)),
        ({"workload": "llama.cpp main -n 1024", "load_type": "static_batch"}, None, (64.0, 1024.0, False, 0.0)),
        ({}, None, (1024.0, 256.0, False, 0.0)),
    ],
)
def test_lengths_that_nobody_states(
    row: Mapping[str, str], isl: float | None, expected: tuple[float, float, bool, float]
) -> None:
    found = lengths_of(row, isl, None)
    assert (found.isl, found.osl, found.varied, found.uneven) == expected


def test_llama_bench_times_prompt_and_answer_apart() -> None:
    row = {"engine": "llama.cpp", "precision": "q8_0", "load_type": "static_batch", "isl": "4096", "osl": "512"}
    apart, together = answer(**row, workload="llama-bench"), answer(**{**row, "isl": "16"}, workload="llama-bench")
    assert apart["decode_tok_s_single"] == together["decode_tok_s_single"]


def test_loads() -> None:
    assert load_of({}, None) == (Load.CONCURRENCY, 0.0)
    assert load_of({}, 4.0) == (Load.RATE_POISSON, 4.0)
    assert load_of({"load_type": "rate_poisson"}, math.inf) == (Load.BURST_ALL, 0.0)
    assert load_of({"load_type": "Closed loop"}, None) == (Load.CONCURRENCY, 0.0)
    assert load_of({"load_type": "Static-Batch"}, None) == (Load.STATIC_BATCH, 0.0)
    assert load_of({"batch_size": "4"}, None) == (Load.STATIC_BATCH, 0.0)
    assert load_of({"num_prompts": "1000"}, None) == (Load.BURST_ALL, 0.0)
    assert load_of({"num_prompts": "1000", "concurrency": "8"}, None) == (Load.CONCURRENCY, 0.0)
    for rate in (None, 0.0, -1.0):
        with pytest.raises(ValueError, match="above 0"):
            load_of({"load_type": "rate_poisson"}, rate)


def test_splits() -> None:
    assert split_of({}, 8, 8, 1) == (8, 8, 1, 1)
    assert split_of({}, 8, 2, 0) == (2, 2, 1, 4)
    assert split_of({}, 0, 4, 2) == (8, 4, 2, 1)
    assert split_of({}, 4, 0, 0) == (4, 0, 1, 1)
    assert split_of({"engine": "llama.cpp"}, 4, 4, 1) == (4, 1, 4, 1)
    assert split_of({}, 8, 3, 1) == (3, 3, 1, 2)
    assert split_of({}, 1, 4, 1) == (4, 4, 1, 1)
    assert split_of({}, 8, 1, 1, 8) == (8, 8, 1, 1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vLLM (ROCm)", "vllm"), ("nim-vllm", "vllm"), ("tensorrt_llm", "tensorrt-llm"), (" TRT-LLM ", "tensorrt-llm"),
        ("llama-cpp", "llama.cpp"), ("HF Transformers", "transformers"), ("LMDeploy", "lmdeploy"), ("minimal", None),
    ],
)  # fmt: skip
def test_engines_go_by_many_names(name: str, expected: str | None) -> None:
    assert find_engine(name) == expected


def test_cells_that_say_nothing_are_empty() -> None:
    row = {"tp": "nan", "isl": " 1,024 ", "engine_version": "N/A", "precision": "-", "kv_dtype": "FP8"}
    assert plain_row(row) == {"tp": "", "isl": "1,024", "engine_version": "", "precision": "", "kv_dtype": "FP8"}
    asked = asked_of({**ROW, **row})
    assert (asked.tensor, asked.isl, asked.engine_version, asked.precision) == (0, 1024.0, "", "")
    assert case_of(asked).kv_dtype == "fp8"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"isl": "", "osl": ""}, "ok"),
        ({"gpu": "H100"}, "ok"),
        ({"gpu": "H100-SXM7-1TB"}, "unknown"),
        ({"gpu": ""}, "unknown"),
        ({"model": "nobody/knows"}, "unknown"),
        ({"precision": "float3"}, "unknown"),
        ({"isl": "many"}, "unknown"),
        ({"isl": "-5"}, "unknown"),
        ({"osl": "inf"}, "unknown"),
        ({"concurrency": "inf"}, "unknown"),
        ({"isl": "nan"}, "ok"),
        ({"tp": "8", "gpu_count": "1"}, "ok"),
        ({"engine": "llama.cpp", "precision": "int8-gptq"}, "ok"),
        ({"engine": "transformers", "precision": "int4"}, "ok"),
        ({"osl": "0"}, "ok"),
        ({"osl": "1"}, "ok"),
        ({"concurrency": "100000"}, "ok"),
        ({"concurrency": "8", "batch_size": "2"}, "ok"),
        ({"load_type": "rate_poisson", "request_rate_rps": "0"}, "unknown"),
        ({"load_type": "rate_poisson", "request_rate_rps": "inf", "num_prompts": "100"}, "ok"),
        ({"load_type": "rate_poisson", "request_rate_rps": "5000"}, "infeasible"),
        ({"load_type": "burst_all", "num_prompts": "1000000"}, "ok"),
        ({"load_type": "offline_max", "osl": "1"}, "ok"),
        ({"load_type": "sometimes"}, "unknown"),
        ({"tp": "3"}, "infeasible"),
        ({"model": "meta-llama/Llama-3.1-405B"}, "infeasible"),
    ],
)
def test_an_odd_row_has_a_verdict(changes: Mapping[str, str], verdict: str) -> None:
    found = answer(**changes)
    assert found["verdict"] == verdict, found["reason"]
    assert verdict == "ok" or found["reason"]
    figures = [found[name] for name in METRICS if found[name]]
    assert bool(figures) is (verdict == "ok")
    assert all(math.isfinite(float(each)) and float(each) > 0 for each in figures)


def test_gpus_that_nobody_says_how_to_share_serve_as_much_as_they_can() -> None:
    """Llama 2 70B on eight H200 at 101 requests a second (MLPerf 4.1, Server) is not served by one copy."""
    row = {"model": "meta-llama/Llama-2-70b-hf", "gpu": "H200-SXM-141GB", "gpu_count": "8", "precision": "fp8",
           "engine": "trtllm", "isl": "294", "osl": "294"}  # fmt: skip
    rate = {"load_type": "rate_poisson", "request_rate_rps": "101"}
    assert answer(**row, **rate, tp="8")["verdict"] == "infeasible"
    free = answer(**row, **rate)
    assert (free["verdict"], free["reason"]) == ("ok", "8 copies side by side")
    most, one = (float(answer(**row, load_type="offline_max", tp=tp)["out_tok_s"]) for tp in ("", "8"))
    assert most > one
    shared, told = (answer(**row, load_type="concurrency", tp=tp)["tpot_mean_ms"] for tp in ("", "8"))
    assert shared == told


def test_faster_gpus_are_faster() -> None:
    """One stream reads weights, a long prompt multiplies: in the order of bandwidth, and of FLOPS."""
    reading = ("L4", "T4", "A10G", "L40S", "A100-SXM-80GB", "H100-SXM-80GB", "H200-SXM-141GB", "B200")
    rows = [{**ROW, "gpu": gpu, "model": "Qwen/Qwen2.5-3B-Instruct", "isl": "64", "osl": "64"} for gpu in reading]
    paces = [float(each["tpot_mean_ms"]) for each in size_table(rows)]
    assert paces == sorted(paces, reverse=True)


def test_every_engine_and_gpu_has_an_answer_that_grows_with_the_prompt() -> None:
    gpus = ("L4", "L40S", "A100-40GB", "RTX 3090", "RTX-5090-32GB", "H100-NVL-94GB", "GB200", "MI300X-192GB")
    for gpu, engine in itertools.product(gpus, ("vllm", "sglang", "tgi", "llama.cpp")):
        row = {**ROW, "gpu": gpu, "engine": engine, "model": "Qwen/Qwen2.5-7B-Instruct", "osl": "128"}
        row["precision"] = "q8_0" if engine == "llama.cpp" else "bf16"
        found = size_table([{**row, "isl": str(isl)} for isl in (64, 1024, 8192)])
        verdicts = {each["verdict"] for each in found}
        if verdicts == {"ok"}:
            firsts = [float(each["ttft_mean_ms"]) for each in found]
            assert firsts == sorted(firsts), (gpu, engine, firsts)
        else:
            assert verdicts <= {"infeasible", "ok"}, (gpu, engine, found[0]["reason"])
