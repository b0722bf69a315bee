"""What formats cost in quality: which measurements are taken, what `auto` may take, and that each has a source."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.catalog.quality import quality
from infctl.sizing.precision import PRECISIONS

QWEN3, LLAMA = "Qwen3ForCausalLM", "LlamaForCausalLM"


@pytest.mark.parametrize(
    ("method", "family", "size", "percent", "like"),
    [
        # Qwen3-4B, 8B and 14B with both kinds of FP8 (AngelSlim): (0.99 + 1.64 + .77 + .41 - .12 + .35) / 6
        ("fp8", QWEN3, 8.2, 0.67, "this family and size"),
        ("fp8", LLAMA, 70.6, 0.15, "this family and size"),  # 79.84 -> 79.70 and 84.40 -> 84.29
        ("fp8-block", LLAMA, 70.6, 0.15, "this family and size"),  # holds what fp8 holds
        ("int8", LLAMA, 8.0, 0.51, "this family and size"),  # 63.03 -> 62.71
        ("awq", LLAMA, 72.0, 1.25, "this size"),  # (0.49 + 3.24 + 0.51 + 0.91 + 1.11) / 5: 32B and 72B of any family
        ("nvfp4", QWEN3, 32.8, 2.0, "this size"),
        ("awq", LLAMA, 1000.0, 2.0, "all that were measured"),
        ("gguf:Q4_K_M", LLAMA, 8.0, 2.81, "this family and size"),  # perplexity 6.2332 + 0.1754
        ("bf16", QWEN3, 8.2, 0.0, "the format of the original"),
    ],
)
def test_a_loss_is_taken_from_the_nearest_models(
    method: str, family: str, size: float, percent: float, like: str
) -> None:
    found = quality().loss(method, family, size)
    assert found is not None
    assert found.percent == pytest.approx(percent, abs=0.01)
    assert found.like == like


def test_one_loss_by_hand() -> None:
    """Qwen3-8B with GPTQ: (77.19 + 73.26 + 86.43) / (79.27 + 74.78 + 87.79) of its 16-bit scores."""
    row = next(row for row in quality().losses if (row.method, row.model) == ("gptq", "Qwen3-8B"))
    assert row.loss == pytest.approx(100 * (1 - 236.88 / 241.84), abs=0.005)


@pytest.mark.parametrize(
    ("method", "most", "why"),
    [
        ("fp8", None, ""),
        ("int8", 1.0, ""),
        ("int8", 0.5, "int8 costs 0.9 % of quality (this family and size), 0.5 % may be given up"),
        ("awq", None, "awq costs 2.9 % of quality"),
        ("awq", 3.0, ""),
        ("nf4", 50.0, "nobody measured what nf4 costs"),
        ("gguf:Q2_K", 100.0, "fewer than four bits: name it"),
        ("gguf:Q8_0", 0.1, ""),
        ("bf16", 0.0, ""),
    ],
)
def test_auto_may_take_what_costs_no_more_than_is_allowed(method: str, most: float | None, why: str) -> None:
    found = quality().refuse(method, most, QWEN3, 8.2)
    assert why in found
    assert bool(why) == bool(found)


def test_weight_only_int4_is_no_faster_under_a_full_load_where_memory_is_no_limit() -> None:
    """Why `auto` does not take int4 for speed: GPUStack measured it slower than 16 bits on A100 and H100."""
    full = {(row.method, row.gpu): row.change for row in quality().effects if row.load == "full"}
    assert full["awq", "A100-SXM-80GB"] < 0
    assert full["awq", "H100-SXM-80GB"] < 0
    assert full["awq", "RTX-4090-24GB"] > 40  # there the KV cache was the limit
    assert full["fp8", "H100-SXM-80GB"] > 10


def test_every_measurement_has_a_source_a_date_and_a_known_format() -> None:
    known = quality()
    rows = [(row.method, row.source, row.date) for row in known.losses]
    rows += [(row.method, row.source, row.date) for row in known.effects]
    for method, source, date in rows:
        assert len(source) > 10  # resolved, not the short name
        assert date[:3] == "202"
        assert method in PRECISIONS
    for name, each in PRECISIONS.items():
        assert name.startswith(known.opt_in) == (each.bits < 4.4 and each.whole), name  # Q3_K_L has 4.3 with its scales


def test_ones_own_measurements_count_too(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "losses: [{method: nf4, model: ours, family: OursForCausalLM, size: 7, loss: 0.4, scores: our own set,"
        " source: our lab, date: 2026-10-01}]\n"
    )
    assert quality(str(own)).refuse("nf4", 1.0, "OursForCausalLM", 7) == ""
