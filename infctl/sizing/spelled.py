"""Owns how people spell what a question names: engines, cells of a table that say nothing, numbers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite, isnan
from typing import Final

ENGINES: Final = {
    "vllm": "vllm", "sglang": "sglang", "tgi": "tgi", "llama.cpp": "llama.cpp", "llamacpp": "llama.cpp",
    "trtllm": "tensorrt-llm", "tensorrt-llm": "tensorrt-llm", "trt-llm": "tensorrt-llm", "nim": "tensorrt-llm",
    "onnxruntime": "onnxruntime", "ort": "onnxruntime", "exllamav2": "exllamav2", "exllama": "exllamav2",
    "transformers": "transformers", "hf": "transformers", "huggingface": "transformers", "pytorch": "transformers",
    "text-generation-inference": "tgi", "ollama": "llama.cpp", "llama-cpp": "llama.cpp", "llamafile": "llama.cpp",
    "autogptq": "transformers", "autoawq": "transformers", "lmdeploy": "lmdeploy", "turbomind": "lmdeploy",
    "deepspeed": "deepspeed", "ctranslate2": "ctranslate2", "mlc": "mlc", "mlc-llm": "mlc",
}  # fmt: skip
_NOTHING: Final = frozenset(
    {"", "-", "--", "?", "nan", "n/a", "na", "none", "null", "unknown", "unspecified", "default"}
)


def find_engine(name: str) -> str | None:
    """Return the engine that `name` means, alone ("llama_cpp") or among other words ("nim-vllm", "vLLM (ROCm)"); None
    where nobody knows it.
    """
    text = "-".join(re.findall(r"[a-z\d.]+", name.lower()))
    known = ENGINES.get(text)
    return known or next((engine for spelled, engine in ENGINES.items() if f"-{spelled}-" in f"-{text}-"), None)


def plain_row(row: Mapping[str, str | None]) -> dict[str, str]:
    """Return a row whose cells have no blanks around them, and are empty where they say nothing ("n/a", "-", "nan")."""
    cells = {name: (value if isinstance(value, str) else "").strip() for name, value in row.items()}
    return {name: "" if value.lower() in _NOTHING else value for name, value in cells.items()}


def number(row: Mapping[str, str], name: str, *, endless: bool = False) -> float | None:
    """Return the number in a cell, None where there is none; one without end only where that means something.

    Raises ValueError.
    """
    text = row.get(name) or ""
    try:
        found = float(text.replace(",", "")) if text else None
    except ValueError:
        raise ValueError(f"{name} is no number: {text!r}") from None
    if found is not None and (isnan(found) or found < 0 or not (endless or isfinite(found))):
        raise ValueError(f"{name} cannot be {text}")
    return found


def whole(row: Mapping[str, str], name: str) -> int:
    """Return the whole number in a cell, 0 where there is none. Raises ValueError."""
    return int(number(row, name) or 0)
