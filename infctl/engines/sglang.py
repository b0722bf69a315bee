"""Owns SGLang: its image, how a model is asked of it, what its container needs. Pure.

Sources: docs.sglang.ai (get_started/install, advanced_features/server_arguments); flags: `flags/sglang.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from infctl.diagnostics import Severity
from infctl.engines.asked import shares
from infctl.engines.container import Container
from infctl.engines.serving import ANYWHERE, ELSEWHERE, PORT, Serving
from infctl.engines.setup import UNFIT_FOR_ENGINE
from infctl.spec.problems import Problem, problem

if TYPE_CHECKING:
    from infctl.spec.model import Model


def _said(model: Model, _version: str) -> Mapping[str, Any]:
    said: dict[str, Any] = {"served_model_name": model.served_names[0]}
    return {**said, "is_embedding": True} if model.task == "embed" else said


def _more(model: Model) -> Iterator[Problem]:
    if shares(model):
        detail = "mem_fraction_static holds weights and cache, not what a batch needs beside them"
        hint = "ask for less than there is, or give it whole devices"
        yield problem(
            UNFIT_FOR_ENGINE, "SGLang takes more than its part of a device", detail, loc=("gpu",), hint=hint,
            severity=Severity.WARNING,
        )  # fmt: skip


SERVING = Serving(
    name="sglang",
    image="lmsysorg/sglang:v{version}",
    version="0.5.23",
    tasks=("generate", "embed", "vision"),
    port=30000,
    fixed={"host": ANYWHERE, "port": PORT, "enable_metrics": True},
    said=_said,
    container=Container(
        shm_size=32 * 1024**3,  # as its installation guide says
        cache="/cache",
        env={
            "HF_HOME": "/cache/huggingface",
            "XDG_CACHE_HOME": "/cache",
            "TRITON_CACHE_DIR": "/cache/triton",
            "TORCHINDUCTOR_CACHE_DIR": "/cache/inductor",
        },
    ),
    before=("python3", "-m", "sglang.launch_server"),
    model="model_path",
    revision="revision",
    reads_hub_file=True,
    context="context_length",
    kv_cache="kv_cache_dtype",
    method="quantization",
    methods={"fp8": "fp8", "int8": "w8a8_int8", "awq": "awq", "gptq": "gptq", "nf4": "bitsandbytes"},
    devices="tensor_parallel_size",
    splits=("pp_size", "pipeline_parallel_size"),
    share="mem_fraction_static",
    batching={"seqs": "max_running_requests", "tokens": "chunked_prefill_size", "memory": "mem_fraction_static"},
    elsewhere={
        **ELSEWHERE,
        "model": "say uri of the model instead",
        "tp_size": "say gpu: {count: N} of the model instead",
        "is_embedding": "say task: embed of the model instead",
        "enable_metrics": "leave it out: infctl says it",
    },
    more=_more,
)
