"""Weights by a checkpoint's own headers: to the byte of what the files hold, and of what publishers and logs say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infctl.catalog.models import models
from infctl.ops.checkpoints import checkpoint_of
from infctl.ops.size import Asked, case_of
from infctl.sizing.budget import GIB, budget
from infctl.sizing.checkpoint import from_config
from infctl.sizing.weights import weight_bytes
from tests import published_checkpoints as published
from tests.published_checkpoints import AWQ, FP8_BLOCK, Keep, write_published

LLAMA, LARGE, TIED, MOE = (
    published.LLAMA_8B, published.LLAMA_70B, published.QWEN25_HALF_B, published.QWEN3_MOE_30B
)  # fmt: skip


# Two bytes for each of the parameters that publishers count; of Llama 3.1 70B it is what the files' index states, too.
@pytest.mark.parametrize(
    ("config", "keep", "stated"),
    [
        (LLAMA, published.plain, 16_060_522_496),
        (LARGE, published.plain, 141_107_412_992),
        (TIED, published.plain, 988_065_536),
        (MOE, published.plain, 61_064_245_248),
        (LARGE | AWQ, published.awq, None),
        (MOE | FP8_BLOCK, published.fp8_block, None),
    ],
)
def test_bytes_are_those_of_all_tensors(
    tmp_path: Path, config: Mapping[str, Any], keep: Keep, stated: int | None
) -> None:
    size = write_published(tmp_path / "model", config, keep)
    found = checkpoint_of(str(tmp_path / "model"), {})
    assert found is not None
    assert found.bytes == size
    assert found.kept == 0
    assert stated is None or size == stated
    computed = from_config(config)
    assert weight_bytes(computed.shape, computed.precision) == pytest.approx(size, rel=0.002)


def test_a_file_of_16_gb_is_read_by_its_header_alone(tmp_path: Path) -> None:
    """vLLM logged 14.96 GiB of weights for it (pull request 10511)."""
    size = write_published(tmp_path / "model", LLAMA, sparse=True)
    on_disk = (tmp_path / "model" / "model.safetensors").stat()
    assert on_disk.st_size > size > 1000 * 512 * on_disk.st_blocks
    asked = Asked(str(tmp_path / "model"), "H100-SXM-80GB", engine="vllm", engine_version="0.6.5", max_model_len=8192)
    memory = budget(case_of(asked, env={}))
    tables = 8192 * 128 * 2  # rotations, which the engine makes
    assert memory.weights == size + tables
    assert round(memory.weights / GIB, 2) == 14.96


def test_headers_and_the_catalogue_agree(tmp_path: Path) -> None:
    for name, config in (("meta-llama/Meta-Llama-3.1-70B", LARGE), ("Qwen/Qwen3-30B-A3B", MOE)):
        size = write_published(tmp_path / name.rpartition("/")[2], config)
        shape = models().rows[name]
        assert weight_bytes(shape, from_config(config).precision) == pytest.approx(size, rel=2e-4)
