"""Weights and KV cache, against what engines logged when they loaded these models."""

from __future__ import annotations

import pytest

from infctl.catalog.architecture import Architecture
from infctl.catalog.models import models
from infctl.sizing.precision import KV_BYTES, PRECISIONS, find_precision
from infctl.sizing.weights import kv_bytes, weight_bytes, weight_bytes_per_gpu

GIB = 1024**3


def shape(name: str) -> Architecture:
    found = models().find(name)
    assert found is not None
    return found


# Model, format, GPUs, GiB on each as logged: vLLM PR 10511 and issue threads, file sizes of llama.cpp's quantize table.
LOGGED = [
    ("meta-llama/Meta-Llama-3-8B", "bf16", 1, 14.96, 0.001),
    ("meta-llama/Meta-Llama-3-8B", "bf16", 2, 7.48, 0.001),
    ("meta-llama/Llama-3.1-70B", "int8-w8a8", 1, 67.72, 0.002),
    ("Qwen/Qwen2.5-72B-Instruct", "awq", 1, 38.5, 0.03),
    ("meta-llama/Llama-3.1-8B", "gguf-Q8_0", 1, 7.95, 0.001),
    ("meta-llama/Llama-3.1-8B", "gguf:Q4_K_M", 1, 4.58, 0.002),
    ("meta-llama/Llama-3-70B", "gguf-Q6_K", 1, 53.91, 0.001),
    ("codellama-7b", "gguf-F16", 1, 12.55, 0.001),
]


@pytest.mark.parametrize(("name", "precision", "gpus", "logged", "within"), LOGGED)
def test_weights_are_what_engines_log(name: str, precision: str, gpus: int, logged: float, within: float) -> None:
    found = find_precision(precision)
    assert found is not None
    assert weight_bytes_per_gpu(shape(name), found, gpus) / GIB == pytest.approx(logged, rel=within)


def test_layers_that_a_checkpoint_left_alone_count_in_16_bits() -> None:
    """Llama-3.1-405B-FP8 leaves attention and two whole layers in bf16; vLLM logged 56.77 GiB on each of 8 GPUs."""
    model, fp8 = shape("meta-llama/Llama-3.1-405B-FP8"), PRECISIONS["fp8"]
    left = (model.layers * model.attention + 2 * model.dense_mlp) / model.linear
    assert weight_bytes_per_gpu(model, fp8, 8) / GIB == pytest.approx(47.7, rel=0.01)
    assert weight_bytes_per_gpu(model, fp8, 8, kept=left) / GIB == pytest.approx(56.77, rel=0.005)


def test_more_gpus_than_kv_heads_repeat_them() -> None:
    model, bf16 = shape("Qwen/Qwen2.5-7B-Instruct"), PRECISIONS["bf16"]
    on_each = 2 * model.norms * 3 / 4  # bytes of what is on every rank, beyond an even share
    assert weight_bytes_per_gpu(model, bf16, 4) == weight_bytes(model, bf16) / 4 + on_each
    again = 2 * 2 * model.hidden * 4 * 128 * model.layers  # bytes of all keys' and values' projections
    more = weight_bytes_per_gpu(model, bf16, 8) - weight_bytes(model, bf16) / 8 - 2 * model.norms * 7 / 8
    assert more == pytest.approx(again / 8)


# Published sizes of caches: vLLM's blocks of 16 tokens, llama.cpp's own log.
@pytest.mark.parametrize(
    ("name", "tokens", "dtype", "tensor", "expected"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 1952 * 16, "auto", 1, 3.81 * GIB),
        ("Qwen/Qwen3-235B-A22B-FP8", 367_404, "auto", 4, 16.46 * GIB),
        ("deepseek-ai/DeepSeek-R1", 32768, "q8_0", 1, 1166.62 * 1024**2),
        ("Qwen/Qwen2.5-14B", 8192, "f16", 1, 1536 * 1024**2),
    ],
)
def test_the_cache_is_what_engines_log(name: str, tokens: int, dtype: str, tensor: int, expected: float) -> None:
    assert kv_bytes(shape(name), tokens, KV_BYTES[dtype], tensor) == pytest.approx(expected, rel=0.005)


def test_tensor_parallel_does_not_divide_a_latent_cache() -> None:
    model = shape("deepseek-ai/DeepSeek-V3")
    assert kv_bytes(model, 1000, 2, tensor=8) == kv_bytes(model, 1000, 2, tensor=1)


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("FP16", "bf16"), ("fp16/bf16", "bf16"), ("int4-awq", "awq"), ("int8-w8a8", "int8"),
        ("mxfp4 (Marlin)", "mxfp4"),
        ("q4_k_m", "gguf:Q4_K_M"), ("gguf:IQ4_XS", "gguf:IQ4_XS"), ("f16", "gguf:F16"), ("bnb", "nf4"),
    ],
)  # fmt: skip
def test_a_format_is_found_by_its_spellings(spelled: str, name: str) -> None:
    found = find_precision(spelled)
    assert found is not None
    assert found.name == name


def test_an_unknown_format_is_not_guessed() -> None:
    assert find_precision("int3-fancy") is None
