"""Owns model files that are made for phones and other small devices, which no engine here serves. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING

from infctl.engines.setup import UNFIT_FOR_ENGINE
from infctl.spec.problems import Problem, problem

if TYPE_CHECKING:
    from infctl.spec.model import Model

# How their files end, and what they are. Sources: Core ML Tools, TensorFlow Lite and ONNX Runtime (ORT format) guides,
# ExecuTorch documentation.
EDGE = MappingProxyType(
    {
        ".mlmodel": "CoreML",
        ".mlmodelc": "CoreML",
        ".mlpackage": "CoreML",
        ".tflite": "TFLite",
        ".litertlm": "LiteRT-LM",
        ".ort": "ONNX Runtime Mobile",
        ".pte": "ExecuTorch",
    }
)
_WAY = "name the checkpoint that it was converted from: a folder or repository with safetensors, or a GGUF file"


def check_edge(model: Model) -> Iterator[Problem]:
    """Yield that a model's file is for small devices only."""
    uri = (model.uri or "").partition("#")[0].rstrip("/")
    if name := EDGE.get(PurePosixPath(uri).suffix.lower()):
        detail = "an edge format, not servable here"
        yield problem(
            UNFIT_FOR_ENGINE, f"{name} is for phones and other small devices", detail, loc=("uri",), hint=_WAY
        )
