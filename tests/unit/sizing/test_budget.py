"""What lies in a GPU's memory, against what vLLM logged; and what does not fit, said as such."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infctl.catalog.gpus import gpus
from infctl.catalog.models import models
from infctl.sizing.budget import GIB, budget
from infctl.sizing.case import Case
from infctl.sizing.checkpoint import left_by
from infctl.sizing.precision import find_precision
from infctl.sizing.predict import Verdict, predict
from infctl.sizing.weights import weight_bytes


def case(model: str, gpu: str, precision: str = "bf16", **more: Any) -> Case:
    shape, found = models().find(model), find_precision(precision)
    assert shape is not None
    assert found is not None
    return Case(shape, gpus().find(gpu), found, **{"engine": "vllm", "engine_version": "0.6.3", **more})


@pytest.mark.parametrize(
    ("asked", "tokens"),
    [
        (case("Meta-Llama-3-8B", "A100-SXM-80GB", max_model_len=8192), 53.29 * GIB / 131072),  # PR 10511
        (case("Llama-3.1-8B", "RTX 3090", max_model_len=20000, max_num_batched_tokens=20000), 1952 * 16),  # issue 10517
        (case("Llama-3.1-8B", "RTX 3090", max_model_len=29000, max_num_batched_tokens=29000), 1478 * 16),
        (
            case("Llama-3.1-70B", "A100-SXM-80GB", "int8-w8a8", max_model_len=2048, utilization=0.98,
                 max_num_batched_tokens=2048, max_num_seqs=256), 1381 * 16,
        ),
    ],
)  # fmt: skip
def test_the_tokens_that_the_cache_holds_are_those_logged(asked: Case, tokens: float) -> None:
    assert budget(asked).kv_tokens == pytest.approx(tokens, rel=0.03)


def test_a_model_that_is_too_large_is_never_said_to_fit() -> None:
    found = predict(case("Llama-3.1-70B", "A100-SXM-80GB"))
    assert (found.verdict, found.metrics) == (Verdict.INFEASIBLE, {})
    assert "GiB too much" in found.reason


def test_a_context_that_the_cache_cannot_hold_once_is_infeasible() -> None:
    found = predict(case("Llama-3.1-8B", "RTX 3090", max_model_len=100_000))
    assert found.verdict is Verdict.INFEASIBLE
    assert "one sequence needs 100,000" in found.reason


def test_what_fits_only_with_tight_settings_says_which() -> None:
    found = predict(case("Qwen2.5-72B-Instruct", "A100-SXM-80GB", tensor=2, isl=1, osl=2048))
    assert found.verdict is Verdict.OK
    assert "gpu_memory_utilization 0.97" in found.reason


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (case("Qwen2.5-7B-Instruct", "A100-SXM-80GB", tensor=8), "28 attention heads"),
        (case("Qwen2.5-7B-Instruct", "A100-SXM-80GB", "awq", tensor=7), "groups of 128"),
        (case("Llama-3.1-8B", "V100-SXM-32GB", "awq"), "compute capability 7.5"),
        (case("Llama-3.1-8B", "MI300X", "nvfp4"), "does not take nvfp4"),
        (case("Llama-2-7b", "A100-SXM-80GB", max_model_len=8192), "the model reads 4,096 tokens"),
    ],
)
def test_what_cannot_start_is_refused_with_its_reason(asked: Case, why: str) -> None:
    found = predict(asked)
    assert found.verdict is Verdict.INFEASIBLE
    assert why in found.reason


def test_a_newer_vllm_takes_its_graphs_out_of_what_it_was_given() -> None:
    old = budget(case("Meta-Llama-3-8B", "H100-SXM-80GB", utilization=0.9, engine_version="0.20.0"))
    new = budget(case("Meta-Llama-3-8B", "H100-SXM-80GB", utilization=0.9, engine_version="0.30.0"))
    for memory, inside in ((old, 0.0), (new, new.graphs)):
        left = memory.usable - memory.weights - memory.other - memory.activations - inside
        assert memory.kv == pytest.approx(left)
    assert new.graphs > 0


# Start-ups of vLLM 0.11 to 0.13 on an H100 of 79.18 GiB, defaults but for the context of 16,000 tokens: GiB of weights,
# activations, memory outside of PyTorch, and what is left for the cache (llm-d-benchmark,
# config_explorer/empirical-vllm-memory-results.md).
STARTED = [
    ("Llama-3.1-8B", "bf16", 1, 14.99, 4.76, 0.13, 51.38),
    ("Qwen/Qwen3-0.6B", "bf16", 1, 1.12, 5.56, 0.13, 64.45),
    ("Qwen/Qwen3-32B", "bf16", 1, 61.03, 5.64, 0.14, 4.45),
    ("openai/gpt-oss-20b", "mxfp4 (triton)", 1, 13.47, 7.38, 0.13, 50.28),
    ("Llama-3.3-70B-Instruct", "fp8", 2, 33.88, 4.84, 0.55, 32.0),
]


@pytest.mark.parametrize("started", STARTED)
def test_each_part_of_what_vllm_reports_at_its_start(started: tuple[str, str, int, float, float, float, float]) -> None:
    model, precision, ranks, weights, activations, other, kv = started
    asked = case(model, "H100-SXM-80GB", precision, tensor=ranks, max_model_len=16000, engine_version="0.12.0")
    found = budget(replace(asked, kept=left_by(asked.shape, asked.precision)))
    assert found.weights / GIB == pytest.approx(weights, rel=0.01)
    assert found.activations / GIB == pytest.approx(activations, rel=0.03)
    assert found.other / GIB == pytest.approx(other, abs=0.05)
    assert found.kv / GIB == pytest.approx(kv, abs=0.25)


def test_a_later_vllm_samples_in_place() -> None:
    asked = case("Qwen/Qwen3-32B", "H100-SXM-80GB", max_model_len=16000, engine_version="0.12.0")
    assert budget(replace(asked, engine_version="0.29.0")).activations < budget(asked).activations / 3


def test_an_a100_gets_the_smaller_batches_since_they_were_made_smaller_for_it() -> None:
    asked = case("Llama-3.1-8B", "A100-SXM-80GB", engine_version="0.8.5")
    assert (budget(asked).most_seqs, budget(replace(asked, engine_version="0.10.1")).most_seqs) == (1024, 256)
    assert budget(case("Llama-3.1-8B", "H100-SXM-80GB", engine_version="0.10.1")).most_seqs == 1024


def test_padded_experts_take_what_was_logged() -> None:
    """gpt-oss-120b on an H100: 64.38 GiB with Triton's kernels (llm-d-benchmark), 65.97 with Marlin's (SIZING 1.1)."""
    for precision, logged in (("mxfp4 (triton)", 64.38), ("mxfp4", 65.97)):
        asked = case("openai/gpt-oss-120b", "H100-SXM-80GB", precision, engine_version="0.12.0")
        found = budget(replace(asked, kept=left_by(asked.shape, asked.precision)))
        assert found.weights / GIB == pytest.approx(logged, rel=0.005)


def test_exact_bytes_of_a_checkpoint_beat_what_is_computed() -> None:
    asked = case("Llama-3.1-8B", "H100-SXM-80GB", max_model_len=8192)
    whole = budget(asked).weights
    twice = replace(asked, weight_bytes=2 * weight_bytes(asked.shape, asked.precision))
    assert budget(twice).weights == pytest.approx(2 * whole, rel=0.001)


def test_the_fullest_stage_of_a_pipeline_counts() -> None:
    """61 layers on 16 stages: some have four, and the first has the table of tokens, too."""
    asked = case("deepseek-ai/DeepSeek-R1", "A100-SXM-80GB", "fp8", engine_version="0.12.0")
    even = budget(replace(asked, tensor=16)).weights
    assert budget(replace(asked, pipeline=16)).weights > 1.03 * even * 61 / 64


def test_peak_of_a_process_that_keeps_no_pool() -> None:
    """Qwen2.5's own table (transformers 4.46, FlashAttention, A100, 2,048 tokens generated): GiB at its peak."""
    for model, precision, isl, peak in (
        ("Qwen2.5-0.5B-Instruct", "bf16", 1, 0.97),
        ("Qwen2.5-1.5B-Instruct", "bf16", 30720, 5.62),
        ("Qwen2.5-14B-Instruct", "gptq-int8", 30720, 24.88),
    ):
        asked = case(model, "A100-SXM-80GB", precision, engine="transformers", isl=float(isl), osl=2048.0)
        assert budget(asked).total / GIB == pytest.approx(peak, rel=0.02)


def test_tokens_that_sglang_logged() -> None:
    """Qwen3-235B in FP8 on four H100 with mem_fraction_static 0.93: 367,404 (vLLM issue 21348)."""
    asked = case("Qwen/Qwen3-235B-A22B-FP8", "H100-SXM-80GB", "fp8", tensor=4, engine="sglang", utilization=0.93)
    assert budget(asked).kv_logged == pytest.approx(367_404, rel=0.01)


def test_latents_that_are_read_need_their_products_once_more() -> None:
    """DeepSeek-R1 in AWQ on 16 GPUs: 21.21 GiB on each (vLLM pull request 14447)."""
    asked = case("deepseek-ai/DeepSeek-R1", "RTX 3090", "awq", tensor=16, engine_version="0.8.3")
    assert budget(asked).weights / GIB == pytest.approx(21.21, rel=0.005)


def test_llama_cpp_takes_the_cache_that_is_asked_for() -> None:
    """gpt-oss-120b with 131,072 cells for each of 2 sequences: 9,216 MiB in its 18 full layers (ollama issue 16480),
    and 128 tokens in the others; logits and rows of a batch of 512 in 32 bits.
    """
    asked = case("openai/gpt-oss-120b", "MI300X", "mxfp4", engine="llama.cpp", max_model_len=131072, max_num_seqs=2)
    found = budget(asked)
    assert found.kv / 2**20 == pytest.approx(9216 + 9, rel=0.001)
    assert found.activations == 4 * 512 * (201088 + 2880)
    assert found.fits
    assert not budget(replace(asked, gpus=gpus().find("RTX 4090"))).fits
