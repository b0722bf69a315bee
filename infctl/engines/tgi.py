"""Owns Hugging Face TGI: its image, how a model is asked of it, what its container needs. Pure.

Sources: huggingface.co/docs/text-generation-inference, and its repository, which is archived; flags: `flags/tgi.json`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infctl.diagnostics import Code, Severity
from infctl.engines.container import Container
from infctl.engines.serving import ANYWHERE, ELSEWHERE, PORT, Serving
from infctl.spec.problems import Problem, problem

if TYPE_CHECKING:
    from infctl.spec.model import Model

ENGINE_ARCHIVED = Code(
    "engine-archived",
    "An engine is asked for that its makers have archived: it gets no fixes and learns no new models.",
    "Move the model to the engine that the message names.",
)


def _more(_model: Model) -> Iterator[Problem]:
    hint = "say engine: vllm, or engine: sglang; both serve what it serves"
    yield problem(
        ENGINE_ARCHIVED, "TGI is archived", "no fixes any more", loc=("engine",), hint=hint, severity=Severity.WARNING
    )


SERVING = Serving(
    name="tgi",
    image="ghcr.io/huggingface/text-generation-inference:{version}",
    version="3.3.5",
    tasks=("generate", "vision"),
    port=80,
    fixed={"hostname": ANYWHERE, "port": PORT, "usage_stats": "off"},
    container=Container(
        arguments_only=True,
        shm_size=1024**3,  # as its quick tour says
        cache="/data",
        env={"HUGGINGFACE_HUB_CACHE": "/data"},
    ),
    model="model_id",
    revision="revision",
    reads_hub_file=True,
    context="max_total_tokens",
    kv_cache="kv_cache_dtype",
    method="quantize",
    methods={"fp8": "fp8", "int8": "eetq", "awq": "awq", "gptq": "gptq", "nf4": "bitsandbytes-nf4"},
    devices="num_shard",
    share="cuda_memory_fraction",
    batching={"seqs": "max_batch_size", "tokens": "max_batch_prefill_tokens", "memory": "cuda_memory_fraction"},
    elsewhere={
        **ELSEWHERE,
        "hostname": "leave it out: infctl says it",
        "huggingface_hub_cache": "leave it out: infctl says it",
        "weights_cache_override": "leave it out: infctl says it",
        "sharded": "say gpu: {count: N} of the model instead",
        "ngrok": "leave it out: infctl gives the model its address",
        "ngrok_authtoken": "leave it out: infctl gives the model its address",
    },
    more=_more,
)
