"""Mixtures of formats in GGUF files, against the sizes of files that llama-quantize made."""

from __future__ import annotations

import pytest

from infctl.catalog.architecture import Architecture
from infctl.catalog.models import models
from infctl.sizing.gguf_mix import mixed_bytes
from infctl.sizing.precision import PRECISIONS
from infctl.sizing.weights import weight_bytes

# Bits for each weight of Llama-3.1-8B (llama.cpp, tools/quantize/README.md).
TABLE = {
    "IQ1_S": 2.0042, "IQ1_M": 2.1460, "IQ2_XXS": 2.3824, "IQ2_XS": 2.5882, "IQ2_S": 2.7403, "IQ2_M": 2.9294,
    "IQ3_XXS": 3.2548, "IQ3_XS": 3.4977, "IQ3_S": 3.6606, "IQ3_M": 3.7628, "IQ4_XS": 4.4597, "IQ4_NL": 4.6818,
    "Q2_K_S": 2.9697, "Q2_K": 3.1593, "Q3_K_S": 3.6429, "Q3_K_M": 3.9960, "Q3_K_L": 4.2979, "Q4_K_S": 4.6672,
    "Q4_K_M": 4.8944, "Q5_K_S": 5.5704, "Q5_K_M": 5.7036, "Q6_K": 6.5633, "Q8_0": 8.5008, "F16": 16.0005,
}  # fmt: skip


def shape(name: str) -> Architecture:
    found = models().find(name)
    assert found is not None
    return found


@pytest.mark.parametrize(("kind", "bits"), TABLE.items())
def test_bits_of_a_file_are_those_of_llama_cpps_table(kind: str, bits: float) -> None:
    model = shape("meta-llama/Llama-3.1-8B")
    found = mixed_bytes(model, kind)
    assert found is not None
    assert 8 * found / model.total == pytest.approx(bits, abs=0.0001)


# Files as published: bytes of Llama-2-7B (TheBloke), GiB of Llama-3-70B (XiongjieDai/GPU-Benchmarks-on-LLM-Inference).
@pytest.mark.parametrize(
    ("name", "kind", "size", "off"),
    [
        ("meta-llama/Llama-2-7b-hf", "Q4_0", 3_825_807_040, 0.001),
        ("meta-llama/Meta-Llama-3-70B", "Q2_K", 24.56 * 2**30, 0.001),
        ("meta-llama/Meta-Llama-3-70B", "Q6_K", 53.91 * 2**30, 0.001),
        ("meta-llama/Meta-Llama-3-70B", "IQ4_XS", 35.3 * 2**30, 0.01),
    ],
)
def test_size_of_a_file(name: str, kind: str, size: float, off: float) -> None:
    assert weight_bytes(shape(name), PRECISIONS[f"gguf:{kind}"]) == pytest.approx(size, rel=off)


def test_rows_that_a_block_does_not_divide_fall_back() -> None:
    """896 elements are no multiple of 256: a Q4_K of Qwen2.5-0.5B is a Q5_0."""
    small = shape("Qwen/Qwen2.5-0.5B")
    found = mixed_bytes(small, "Q4_K_M")
    assert found is not None
    assert found * 8 / small.total > 5.5


def test_a_type_that_nobody_knows_has_no_size() -> None:
    assert mixed_bytes(shape("Qwen/Qwen2.5-0.5B"), "Q9_Z") is None
