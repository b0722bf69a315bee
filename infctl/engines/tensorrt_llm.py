"""Owns TensorRT-LLM: its image, how a model is asked of it, what its container needs. Pure.

Sources: nvidia.github.io/TensorRT-LLM (commands/trtllm-serve, installation/containers); flags:
`flags/tensorrt-llm.json`. KV cache formats are said in a file of its own (`config`), not by a flag.
"""

from __future__ import annotations

from infctl.engines.container import Container
from infctl.engines.serving import ANYWHERE, ELSEWHERE, PORT, Serving

SERVING = Serving(
    name="tensorrt-llm",
    image="nvcr.io/nvidia/tensorrt-llm/release:{version}",
    version="1.2.1",
    tasks=("generate", "vision"),
    port=8000,
    fixed={"host": ANYWHERE, "port": PORT},
    container=Container(
        shm_size=8 * 1024**3,
        cache="/cache",
        env={"HF_HOME": "/cache/huggingface", "XDG_CACHE_HOME": "/cache", "TRITON_CACHE_DIR": "/cache/triton"},
    ),
    metrics_path="/prometheus/metrics",
    before=("trtllm-serve",),
    positional=True,
    revision="revision",
    reads_hub_file=True,
    context="max_seq_len",
    devices="tensor_parallel_size",
    batching={
        "seqs": "max_batch_size",
        "tokens": "max_num_tokens",
        "chunked": "enable_chunked_prefill",
        "memory": "kv_cache_free_gpu_memory_fraction",
    },
    splits=("pipeline_parallel_size", "pp_size", "context_parallel_size", "cp_size"),
    joint="_",
    elsewhere={**ELSEWHERE, "tp_size": "say gpu: {count: N} of the model instead"},
)
