"""Owns vLLM: its image, how a model is asked of it, what its container needs. Pure.

Sources: docs.vllm.ai (deployment/docker, cli/serve, usage/env_vars); flags: `flags/vllm.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infctl.engines.container import Container
from infctl.engines.flag_table import flag_table
from infctl.engines.serving import ANYWHERE, ELSEWHERE, PORT, Serving

if TYPE_CHECKING:
    from infctl.spec.model import Model

_OLD_TASKS = {"embed": "embed", "rerank": "score", "classify": "classify"}  # --task, until --runner came


def _said(model: Model, version: str) -> Mapping[str, Any]:
    said: dict[str, Any] = {"served_model_name": model.served_names}
    if model.task in _OLD_TASKS:
        table = flag_table("vllm")
        runner = table.row("runner", table.nearest(version))
        said.update({"runner": "pooling"} if runner else {"task": _OLD_TASKS[model.task]})
    return said


SERVING = Serving(
    name="vllm",
    image="vllm/vllm-openai:v{version}",
    version="0.33.0",
    tasks=("generate", "embed", "rerank", "classify", "vision"),
    port=8000,
    fixed={"host": ANYWHERE, "port": PORT},
    said=_said,
    container=Container(
        arguments_only=True,
        shm_size=8 * 1024**3,  # tensor parallel workers talk through it; the documentation takes the host's
        cache="/cache",
        env={
            "HF_HOME": "/cache/huggingface",
            "XDG_CACHE_HOME": "/cache",
            "VLLM_CACHE_ROOT": "/cache/vllm",
            "TRITON_CACHE_DIR": "/cache/triton",
            "TORCHINDUCTOR_CACHE_DIR": "/cache/inductor",
            "VLLM_NO_USAGE_STATS": "1",
        },
    ),
    model="model",
    revision="revision",
    reads_hub_file=True,
    context="max_model_len",
    kv_cache="kv_cache_dtype",
    method="quantization",
    methods={"fp8": "fp8", "awq": "awq", "gptq": "gptq", "nf4": "bitsandbytes"},
    devices="tensor_parallel_size",
    splits=("pipeline_parallel_size", "data_parallel_size"),
    share="gpu_memory_utilization",
    batching={
        "seqs": "max_num_seqs",
        "tokens": "max_num_batched_tokens",
        "chunked": "enable_chunked_prefill",
        "prefixes": "enable_prefix_caching",
        "memory": "gpu_memory_utilization",
    },
    elsewhere={
        **ELSEWHERE,
        "runner": "say task of the model instead",
        "task": "say task of the model instead",
        "headless": "leave it out: it serves no HTTP then",
        "grpc": "leave it out: it serves no HTTP then",
        "uds": "leave it out: infctl reaches it by its port",
    },
)
