"""A model that says only its load and what it owes: decided, pinned, started so, and left alone."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_rack import INFCTL, infctl
from tests.testbed.hosts import Make
from tests.testbed.hub import Hub
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")

LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,
    "max_position_embeddings": 131072, "torch_dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip
CHAT: dict[str, Any] = {
    "uri": "hf://meta-llama/Llama-3.1-8B-Instruct",
    "image": "vllm:1",
    "workload": {"isl": {"mean": 900, "p95": 3000}, "osl": {"mean": 220, "p95": 600}, "rate": "6/s", "peak": "20/s"},
    "slo": {"ttft": {"p95": "500ms"}, "itl": {"p95": "40ms"}, "availability": "99.9%"},
    "max_quality_loss": "1%",
}


def write(folder: Path, url: str, chat: dict[str, Any]) -> None:
    rack = {
        "type": "docker", "hosts": [{"url": url, "name": "h"}], "proxy": {"image": "haproxy:3.0"},
        "price_per_gpu_hour": 2.5,
    }  # fmt: skip
    stack = {"apiVersion": "infctl/v1", "name": "sized", "targets": {"rack": rack}, "models": {"chat": chat}}
    (folder / "inference.yaml").write_text(json.dumps(stack, indent=1))


def refusal(folder: Path, *argv: str) -> str:
    """Return what is said of a command that fails."""
    env = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTHONPATH"}}
    done = subprocess.run([INFCTL, *argv], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_what_the_file_leaves_open_is_decided_pinned_and_started(
    hosts: HostsOf, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host,) = hosts(Make("old", gpus="h100x4"), loaded=("vllm:1", "haproxy:3.0"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    hub.put("meta-llama/Llama-3.1-8B-Instruct", {"config.json": json.dumps(LLAMA_8B).encode()})
    write(tmp_path, host.url, CHAT)
    said = infctl(tmp_path, "plan")
    for words in ("decided    fp8 on H100-SXM-80GB, 2 replicas", "ttft p95", "of 500 ms ✓", "per 1M tokens", "$5.00/h"):
        assert words in said
    pinned = (tmp_path / "inference.lock.yaml").read_text()
    assert 'decided: "gpu H100-SXM-80GB, gpus 1, tensor 1, pipeline 1, quantization fp8, ' in pinned
    (tmp_path / "inference.lock.yaml").unlink()
    infctl(tmp_path, "lock")
    assert (tmp_path / "inference.lock.yaml").read_text() == pinned
    infctl(tmp_path, "apply", "-auto-approve")
    started = host.docker("logs", host.docker("ps", "-q", "--filter", "name=chat-r1-0").strip())
    assert "--quantization fp8" in started
    assert "--max-num-seqs" in started
    assert "No changes." in infctl(tmp_path, "plan", "-detailed-exitcode")
    assert (tmp_path / "inference.lock.yaml").read_text() == pinned

    write(tmp_path, host.url, {**CHAT, "workload": {**CHAT["workload"], "peak": "70/s"}})
    assert "error[lock-out-of-date]" in refusal(tmp_path, "plan", "-input=false")
    assert "2 → 4 replicas" in infctl(tmp_path, "plan")

    write(tmp_path, host.url, {**CHAT, "slo": {"itl": {"p95": "1ms"}}})
    refused = refusal(tmp_path, "plan")
    assert "error[slo-infeasible]: chat cannot run as its file asks with what rack has" in refused
    assert "models.chat.slo.itl.p95" in refused
    infctl(tmp_path, "destroy", "-auto-approve")
    host.crash()
    assert "error[unreachable]: h could not be read" in refusal(tmp_path, "plan")


def test_what_will_not_start_is_refused_before_anything_is_begun(
    hosts: HostsOf, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host,) = hosts(Make("old", gpus="a100-40x4"), loaded=("vllm:1", "haproxy:3.0"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    hub.put("meta-llama/Llama-3.1-8B-Instruct", {"config.json": json.dumps(LLAMA_8B).encode()})
    fixed = {"uri": CHAT["uri"], "image": "vllm:1", "engine": "vllm", "gpu": {"count": 3}, "max_model_len": 300_000}
    write(tmp_path, host.url, fixed)
    refused = refusal(tmp_path, "plan")
    assert refused.count("error[will-not-start]: chat will not start") == 2
    assert "3 GPUs cannot share 32 attention heads" in refused
    assert "tensor: 2" in refused
    assert "the model reads 131,072 tokens, max_model_len asks for 300,000" in refused
    assert "models.chat.max_model_len" in refused
    write(tmp_path, host.url, {**fixed, "engine_args_unchecked": True})
    assert "chat may not start" in infctl(tmp_path, "plan")
    write(tmp_path, host.url, {**fixed, "gpu": {"count": 1}, "max_model_len": 8192})
    assert "chat may not start" not in infctl(tmp_path, "plan")
    write(tmp_path, host.url, {**fixed, "gpu": {"count": 1}, "max_model_len": 8192, "quantization": "fp8"})
    refused = refusal(tmp_path, "plan")
    assert "A100-SXM-40GB (compute capability 8.0) cannot compute in fp8 (W8A8)" in " ".join(refused.split())
    assert "use int8 (W8A8)" in refused
    assert "models.chat.quantization" in refused
