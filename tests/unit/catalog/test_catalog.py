"""The catalogue: rows are whole, names find them, counts are those that are published."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.catalog.gpus import gpus
from infctl.catalog.models import models
from infctl.diagnostics import InfctlError


@pytest.mark.parametrize(
    ("spelled", "meant"),
    [
        ("NVIDIA H100 80GB HBM3", ["H100-SXM-80GB"]),
        ("NVIDIA A100-SXM4-80GB", ["A100-SXM-80GB"]),
        ("NVIDIA A100 80GB PCIe", ["A100-PCIe-80GB"]),
        ("NVIDIA A100-PCIE-40GB", ["A100-PCIe-40GB"]),
        ("Tesla T4", ["T4"]),
        ("NVIDIA A10G", ["A10G"]),
        ("NVIDIA A10", ["A10"]),
        ("NVIDIA L4", ["L4"]),
        ("NVIDIA L40S", ["L40S"]),
        ("rtx4090", ["RTX-4090-24GB"]),
        ("RTX 3090", ["RTX-3090-24GB"]),
        ("NVIDIA RTX A6000", ["RTX-A6000-48GB"]),
        ("NVIDIA RTX 6000 Ada Generation", ["RTX-6000-Ada-48GB"]),
        ("AMD Instinct MI300X", ["MI300X-192GB"]),
        ("H100-80GB", ["H100-SXM-80GB", "H100-PCIe-80GB"]),
        ("H100", ["H100-SXM-80GB", "H100-PCIe-80GB", "H100-NVL-94GB"]),
        ("Voodoo 2", []),
        ("", []),
    ],
)
def test_a_gpu_is_found_by_the_names_that_drivers_and_people_use(spelled: str, meant: list[str]) -> None:
    assert [gpu.name for gpu in gpus().find(spelled)] == meant


def test_every_gpu_is_found_by_its_own_name_and_has_plausible_figures() -> None:
    for name, gpu in gpus().rows.items():
        assert gpus().find(name)[0] is gpu
        assert gpu.source
        assert 0.9 < gpu.memory / gpu.label <= 1, name  # what firmware and driver leave of the label
        assert 20 < gpu.fp16 * 1000 / gpu.bandwidth < 500, name  # FLOPs for each byte: none has left this range yet
        assert gpu.fp8 == 0 or gpu.fp8 == pytest.approx(2 * gpu.fp16, rel=0.02), name
        assert not gpu.fp8 or gpu.sm >= 89 or gpu.vendor == "amd", name


# Published totals, in thousands of millions of parameters, as the model cards say them.
PUBLISHED = {
    "meta-llama/Llama-3.1-8B": 8.03,
    "meta-llama/Llama-3.1-70B-Instruct": 70.6,
    "meta-llama/Llama-3.1-405B": 405.9,
    "meta-llama/Llama-3.2-1B": 1.24,
    "meta-llama/Llama-3.2-3B-Instruct": 3.21,
    "Qwen/Qwen2.5-0.5B": 0.494,
    "Qwen/Qwen2.5-1.5B-Instruct": 1.54,
    "Qwen/Qwen2.5-3B": 3.09,
    "Qwen/Qwen2.5-32B": 32.8,
    "Qwen/Qwen3-30B-A3B": 30.5,
    "Qwen/Qwen3-235B-A22B-FP8": 235.1,
    "microsoft/phi-4": 14.7,
    "google/gemma-2-9b-it": 9.24,
    "mistralai/Mixtral-8x7B-Instruct-v0.1": 46.7,
    "deepseek-ai/DeepSeek-R1": 671.0,
    "openai/gpt-oss-120b": 116.8,
    "BAAI/bge-m3": 0.567,
}


@pytest.mark.parametrize(("name", "billions"), PUBLISHED.items())
def test_the_count_of_parameters_is_the_published_one(name: str, billions: float) -> None:
    found = models().find(name)
    assert found is not None
    assert found.total / 1e9 == pytest.approx(billions, rel=0.005)


# Parameters that one token goes through, embeddings included (model cards of the same repositories).
@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("Qwen/Qwen3-30B-A3B", 3.3),
        ("Qwen/Qwen3-235B-A22B", 22),
        ("deepseek-ai/DeepSeek-V3", 37),
        ("Mixtral-8x7B", 12.9),
    ],
)
def test_a_mixture_runs_few_of_its_parameters(name: str, billions: float) -> None:
    found = models().find(name)
    assert found is not None
    assert (found.active_linear + found.embeddings) / 1e9 == pytest.approx(billions, rel=0.03)


@pytest.mark.parametrize(
    ("name", "tokens", "numbers"),
    [
        ("meta-llama/Llama-3.1-8B", 1, 2 * 32 * 8 * 128),
        ("deepseek-ai/DeepSeek-V3", 1000, 61 * 576 * 1000),
        ("openai/gpt-oss-120b", 1000, 2 * 8 * 64 * (18 * 1000 + 18 * 128)),  # half of the layers see 128 tokens
        ("BAAI/bge-m3", 1000, 0),
    ],
)
def test_the_cache_of_a_sequence(name: str, tokens: int, numbers: int) -> None:
    found = models().find(name)
    assert found is not None
    assert found.kv_elements(tokens) == numbers


@pytest.mark.parametrize(
    ("spelled", "meant"),
    [
        ("neuralmagic/Meta-Llama-3.1-70B-Instruct-quantized.w8a8", "meta-llama/Meta-Llama-3.1-70B"),
        ("hf://amd/Llama-3.1-405B-Instruct-FP8-KV", "meta-llama/Meta-Llama-3.1-405B"),
        ("TheBloke/Llama-2-13B-chat-AWQ", "meta-llama/Llama-2-13b-hf"),
        ("DeepSeek-R1-0528-AWQ", "deepseek-ai/DeepSeek-R1"),
    ],
)
def test_a_re_upload_has_the_shape_of_its_original(spelled: str, meant: str) -> None:
    found = models().find(spelled)
    assert found is not None
    assert (found.total, found.name) == (models().rows[meant].total, spelled)


def test_what_nobody_knows_is_not_guessed() -> None:
    assert models().find("acme/our-own-13b") is None


def test_ones_own_rows_are_added_and_beat_those_that_ship(tmp_path: Path) -> None:
    own = tmp_path / "catalog.yaml"
    own.write_text(
        "gpus: [{name: T4, compute: '7.5', memory: 14, label: 16, bandwidth: 300, fp16: 60},"
        " {name: X1, compute: '9.9', memory: 99, label: 100, bandwidth: 9000, fp16: 999}]\n"
    )
    assert gpus(str(own)).find("T4")[0].bandwidth == 300
    assert gpus(str(own)).find("x1")[0].sm == 99
    assert gpus().find("T4")[0].bandwidth == 320


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InfctlError) as failure:
        gpus(str(tmp_path / "gone.yaml"))
    assert failure.value.diagnostics[0].code == "bad-catalog"
    assert "gone.yaml" in failure.value.diagnostics[0].summary
