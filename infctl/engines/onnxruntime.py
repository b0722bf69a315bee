"""Owns ONNX Runtime: through Hugging Face Text Embeddings Inference, whose CPU image computes with it. Pure.

ONNX Runtime itself has no server; docs/decisions/0011-engines-in-containers.md says why this one stands for it.
Sources: huggingface.co/docs/text-embeddings-inference (cli_arguments, quick_tour); flags: `flags/onnxruntime.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infctl.engines.container import Container
from infctl.engines.serving import ANYWHERE, ELSEWHERE, PORT, Serving

if TYPE_CHECKING:
    from infctl.spec.model import Model


def _said(model: Model, _version: str) -> Mapping[str, Any]:
    return {"served_model_name": model.served_names[0]}


SERVING = Serving(
    name="onnxruntime",
    image="ghcr.io/huggingface/text-embeddings-inference:cpu-{version}",
    version="1.9",
    tasks=("embed", "rerank", "classify"),
    port=80,
    fixed={"hostname": ANYWHERE, "port": PORT},
    said=_said,
    container=Container(
        arguments_only=True,
        read_only=True,  # it writes its cache and a socket under /tmp, nothing else
        tmpfs=("/tmp",),  # noqa: S108  -- the container's own
        cache="/data",
        env={"HUGGINGFACE_HUB_CACHE": "/data"},
    ),
    model="model_id",
    revision="revision",
    gpus=0,
    elsewhere={
        **ELSEWHERE,
        "hostname": "leave it out: infctl says it",
        "huggingface_hub_cache": "leave it out: infctl says it",
        "hf_api_token": ELSEWHERE["hf_token"],
        "prometheus_port": "leave it out: metrics are at the engine's own port",
    },
)
