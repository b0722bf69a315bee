"""Owns ONNX Runtime: through Hugging Face Text Embeddings Inference, whose CPU image computes with it. Pure.

ONNX Runtime itself has no server; docs/decisions/0012-engines-in-containers.md says why this one stands for it.
Sources: huggingface.co/docs/text-embeddings-inference (cli_arguments, quick_tour); flags: `flags/onnxruntime.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from infctl.diagnostics import Severity
from infctl.engines.container import Container
from infctl.engines.serving import ANYWHERE, ELSEWHERE, PORT, Serving
from infctl.engines.setup import UNFIT_FOR_ENGINE
from infctl.spec.problems import Problem, problem

if TYPE_CHECKING:
    from infctl.spec.model import Model


def _said(model: Model, _version: str) -> Mapping[str, Any]:
    return {"served_model_name": model.served_names[0]}


def _more(model: Model) -> Iterator[Problem]:
    if model.gpu is not None and not model.image:
        detail = "on GPUs this image computes with kernels of its own, not with ONNX Runtime"
        hint = "leave gpu out to compute with ONNX Runtime on CPUs, or name an image of your own"
        yield problem(
            UNFIT_FOR_ENGINE, "Text Embeddings Inference takes the GPU", detail, loc=("gpu",), hint=hint, at_key=True,
            severity=Severity.WARNING,
        )  # fmt: skip


SERVING = Serving(
    name="onnxruntime",
    image="ghcr.io/huggingface/text-embeddings-inference:cpu-{version}",
    gpu_image="ghcr.io/huggingface/text-embeddings-inference:cuda-{version}",
    thrifty=True,
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
    startup=120.0,  # it warms up with the largest batch
    elsewhere={
        **ELSEWHERE,
        "hostname": "leave it out: infctl says it",
        "huggingface_hub_cache": "leave it out: infctl says it",
        "hf_api_token": ELSEWHERE["hf_token"],
        "prometheus_port": "leave it out: metrics are at the engine's own port",
    },
    more=_more,
)
