"""What lies in a GPU's memory, against what vLLM logged; and what does not fit, said as such."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infctl.catalog.gpus import gpus
from infctl.catalog.models import models
from infctl.sizing.budget import GIB, budget
from infctl.sizing.case import Case
from infctl.sizing.precision import find_precision
from infctl.sizing.predict import Verdict, predict


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
    old = case("Meta-Llama-3-8B", "H100-SXM-80GB", utilization=0.9)
    new = replace(old, engine_version="0.30.0")
    assert budget(old).kv - budget(new).kv == pytest.approx(budget(new).graphs)
