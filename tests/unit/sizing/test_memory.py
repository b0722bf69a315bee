"""What a replica needs, against figures that llama.cpp itself printed (xllamacpp 2026.10.11549, x86-64)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infctl.engines.model_file import ModelFile, Shape
from infctl.sizing.memory import MIB, PROCESS, Need, fit, kv_bytes, need_of

# Two models made for measuring: (embedding, layers, heads, KV heads, feed-forward, vocabulary).
SMALL = Shape("llama", 8192, 8, 512, 1536, 8000, 2, 8, 32, 64, 64)
MIDDLE = Shape("llama", 8192, 16, 1024, 2816, 32000, 2, 16, 64, 64, 64)
LARGE_VOCABULARY = Shape("llama", 8192, 8, 1024, 2816, 128_000, 280_000, 16, 64, 64, 64)


def file(shape: Shape | None, **formats: int) -> ModelFile:
    weights = sum(formats.values())
    return ModelFile("file:m.gguf", Path("m.gguf"), weights, "", weights, 0, "", formats, shape)


def args(context: int, slots: int, **more: Any) -> dict[str, Any]:
    return {"ctx_size": context * slots, "parallel": slots, "cache_ram": 0, **more}


@pytest.mark.parametrize(
    ("shape", "tokens", "cache", "mib"),
    [
        (MIDDLE, 1024, {}, 16.0),
        (MIDDLE, 4096, {}, 64.0),
        (MIDDLE, 16_384, {}, 256.0),
        (MIDDLE, 16_384, {"cache_type_k": "q8_0", "cache_type_v": "q8_0"}, 136.0),
        (SMALL, 16_384, {}, 128.0),
    ],
)
def test_the_kv_cache_is_what_llama_cpp_prints(shape: Shape, tokens: int, cache: dict[str, str], mib: float) -> None:
    assert kv_bytes(shape, tokens, cache) == mib * MIB


def test_a_latent_cache_is_what_llama_cpp_prints() -> None:
    """1166.62 MiB for DeepSeek V3 with 32,768 tokens in q8_0: 61 layers, 512 + 64 per layer (published log)."""
    latent = Shape("deepseek2", 0, 61, 7168, kv_heads=61, key_length=576)
    assert kv_bytes(latent, 32_768, {"cache_type_k": "q8_0"}) / MIB == pytest.approx(1166.62, abs=0.01)


@pytest.mark.parametrize(
    ("shape", "given", "task", "mib"),
    [
        (MIDDLE, args(1024, 4), "generate", 27.52),
        (MIDDLE, args(4096, 4), "generate", 30.52),
        (LARGE_VOCABULARY, args(1024, 4), "generate", 27.52),
        (SMALL, args(2048, 4), "generate", 16.02),
        (SMALL, args(1024, 4, ubatch_size=64), "generate", 1.88),
        (SMALL, args(1024, 4, flash_attn="off"), "generate", 25.01),
        (SMALL, args(2048, 2), "embed", 90.59),
    ],
)
def test_the_compute_buffer_is_near_what_llama_cpp_prints(
    shape: Shape, given: dict[str, Any], task: str, mib: float
) -> None:
    need = need_of(file(shape), given, task)
    assert need is not None
    outputs = 4 * shape.vocabulary * given["parallel"]
    assert (need.compute - outputs) / MIB == pytest.approx(mib, rel=0.03)


def test_the_context_of_a_slot_is_rounded_up_as_llama_cpp_does() -> None:
    need = need_of(file(MIDDLE), args(1000, 4), "generate")
    assert need is not None
    assert need.kv == 64 * MIB


def test_a_tokenizer_takes_room_of_its_own() -> None:
    need = need_of(file(LARGE_VOCABULARY), args(1024, 4), "generate")
    assert need is not None
    assert (need.process - PROCESS) / MIB == pytest.approx(24.8 + 51.5, rel=0.05)  # measured: tokens, merges


def test_prompts_put_aside_are_promised_too() -> None:
    need = need_of(file(MIDDLE), {**args(1024, 4), "cache_ram": 100}, "generate")
    assert need is not None
    assert need.kv == 164 * MIB


def test_replicas_of_one_file_share_what_stays_mapped() -> None:
    need = need_of(file(MIDDLE, Q8_0=100 * MIB, Q4_0=50 * MIB), args(1024, 1), "generate")
    read = need_of(file(MIDDLE, Q8_0=100 * MIB, Q4_0=50 * MIB), args(1024, 1, load_mode="none"), "generate")
    assert need is not None
    assert read is not None
    assert (need.weights, need.shared, read.shared) == (150 * MIB, 100 * MIB, 0)
    assert need.of(0) == 0
    assert need.of(1) == need.total
    assert need.of(3) == 3 * need.total - 2 * need.shared


@pytest.mark.parametrize("shape", [None, Shape("llama")])
def test_nothing_is_invented(shape: Shape | None) -> None:
    need = need_of(file(shape), args(1024, 1) if shape else {}, "generate")
    assert need is None or (need.kv == 0 and need.weights == 0)


@pytest.mark.parametrize(
    ("replicas", "free", "fits", "certain"),
    [(1, 100, True, True), (1, 99, False, False), (1, 79, False, True), (2, 159, False, False), (2, 160, True, True)],
)
def test_it_fits_or_not_and_whether_that_is_certain(replicas: int, free: int, *, fits: bool, certain: bool) -> None:
    need = Need(weights=60, kv=20, compute=15, process=5, shared=40)
    found = fit(need, replicas, free)
    assert (found.needed, found.free) == (100 if replicas == 1 else 160, free)
    assert (found.fits, found.certain) == (fits, certain)


def test_an_upper_bound_of_the_cache_makes_no_certainty() -> None:
    need = Need(weights=60, kv=1000, compute=15, process=5, exact=False)
    assert not fit(need, 1, 100).certain
    assert fit(need, 1, 59).certain


def test_the_reason_is_a_line_with_its_figures() -> None:
    gib = 1024**3
    need = Need(weights=4 * gib, kv=2 * gib, compute=gib, process=gib)
    expected = "2 x (4.00 weights + 2.00 kv + 2.00 other) = 16.00 of 12.50 GiB free"
    assert fit(need, 2, 12 * gib + gib // 2).reason == expected
