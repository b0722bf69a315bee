"""`infctl catalog`: what is listed, what is found by which name, and what is not there."""

from __future__ import annotations

import json
from pathlib import Path

from tests.shell import Shell


def test_gpus_and_models_are_listed(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    gpus = shell("catalog", "list", "gpus").out.splitlines()
    assert gpus[0].split() == ["GPU", "MEMORY", "BANDWIDTH", "FP16", "FP8", "LINK", "COMPUTE"]
    assert any(line.split()[:2] == ["L40S", "44.4"] for line in gpus)
    models = json.loads(shell("catalog", "list", "models", "-json").out)
    assert {row["name"]: row["parameters"] for row in models}["Qwen/Qwen3-8B"] == 8190726144


def test_one_row_is_found_by_any_of_its_names(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert "RTX-4090-24GB" in shell("catalog", "show", "NVIDIA GeForce RTX 4090").out
    assert [row["name"] for row in json.loads(shell("catalog", "show", "H100-80GB", "-json").out)] == [
        "H100-SXM-80GB", "H100-PCIe-80GB",
    ]  # fmt: skip
    assert "Meta-Llama-3.1-8B" in shell("catalog", "show", "hf://meta-llama/Llama-3.1-8B-Instruct").out


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    done = Shell(tmp_path)("catalog", "show", "L40T")
    assert (done.code, 'did you mean "L40' in done.err) == (1, True)
