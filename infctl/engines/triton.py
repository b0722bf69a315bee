"""Owns NVIDIA Triton: its image with the vLLM backend and the OpenAI frontend, how a repository is asked of it. Pure.

A model is a folder: Triton's model repository, whose own files say context, formats and parallelism; clients call it
by the name that it has there, which `served_names` repeats. Sources: triton-inference-server/server,
python/openai/README.md and openai_frontend/main.py; flags: `flags/triton.json`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infctl.engines.container import Container
from infctl.engines.serving import ANYWHERE, ELSEWHERE, PORT, Serving
from infctl.engines.serving_checks import unfit
from infctl.spec.problems import Problem

if TYPE_CHECKING:
    from infctl.spec.model import Model


def _more(model: Model) -> Iterator[Problem]:
    if (model.uri or "").startswith("hf://"):
        hint = "write a model repository, whose model.json names the model, and say uri: file:FOLDER"
        yield unfit("uri", "Triton serves model repositories", "this is a checkpoint", hint)


SERVING = Serving(
    name="triton",
    image="nvcr.io/nvidia/tritonserver:{version}-vllm-python-py3",
    version="25.11",
    tasks=("generate", "embed"),
    port=9000,
    fixed={"host": ANYWHERE, "openai_port": PORT},
    container=Container(
        shm_size=1024**3,  # as its quick start says
        cache="/cache",
        env={"HF_HOME": "/cache/huggingface", "XDG_CACHE_HOME": "/cache", "TRITON_CACHE_DIR": "/cache/triton"},
    ),
    health="/health/ready",
    before=("python3", "/opt/tritonserver/python/openai/openai_frontend/main.py"),
    model="model_repository",
    repository=False,
    elsewhere={
        **ELSEWHERE,
        "openai_port": "leave it out: infctl says it",
        "openai_restricted_api": "leave it out: infctl keeps strangers out",
    },
    more=_more,
)
