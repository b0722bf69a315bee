"""Owns what infctl decided for a model on one target: as text in its pin, and as the fields that the file left to it.

What the file says itself is never changed. Knows no reason for a decision (see `infctl.sizing`). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from infctl.engines.asked import shares
from infctl.frozen import dataclass

if TYPE_CHECKING:
    from infctl.engines.serving import Serving
    from infctl.spec.model import Model

_PART = re.compile(r"(?P<name>[a-z_]+) (?P<value>[\w.:-]+(?: [A-Z0-9][\w.-]*)*)")
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided; "", 0 and None are left to the engine. `gpu` is the product, `gpus` those of a replica;
    `replicas` is how many run, 0 where the file says it.
    """

    gpu: str = ""
    gpus: int = 0
    tensor: int = 0
    pipeline: int = 0
    quantization: str = ""
    kv_cache_dtype: str = ""
    max_model_len: int = 0
    max_num_seqs: int = 0
    max_num_batched_tokens: int = 0
    chunked_prefill: bool | None = None
    prefix_caching: bool | None = None
    memory_share: float = 0.0
    replicas: int = 0

    def __str__(self) -> str:
        """Return it as a pin keeps it: `gpu L40S, gpus 2, tensor 2, …`."""
        said = ((name, value) for name, value in asdict(self).items() if value not in {"", 0, None} or value is False)
        return ", ".join(f"{name} {str(value).lower() if type(value) is bool else value}" for name, value in said)


def read_decided(text: str) -> Decided:
    """Return what `str` of a Decided gave. Raises ValueError where it is not one."""
    known = {each.name: each.type for each in fields(Decided)}
    found: dict[str, Any] = {}
    for part in text.split(", ") if text else ():
        matched = _PART.fullmatch(part)
        if matched is None or matched["name"] not in known or matched["name"] in found:
            raise ValueError(f"{part!r} is not what was decided of anything")
        found[matched["name"]] = _value(str(known[matched["name"]]), matched["value"])
    return Decided(**found)


def _value(kind: str, text: str) -> Any:
    if kind.startswith("bool"):
        if text not in _WORDS:
            raise ValueError(f"{text!r} is neither true nor false")
        return _WORDS[text]
    return {"int": int, "float": float}.get(kind, str)(text)


def changes(model: Model, decided: Decided, engine: str, serving: Serving | None) -> Mapping[str, Any]:
    """Return the fields of `model`, by name, that a decision fills in: those that the file leaves to infctl."""
    found: dict[str, Any] = {"engine": engine} if model.engine == "auto" else {}
    if decided.quantization and model.quantization == "auto":
        found["quantization"] = decided.quantization
    if decided.kv_cache_dtype and model.kv_cache_dtype == "auto":
        found["kv_cache_dtype"] = decided.kv_cache_dtype
    if decided.max_model_len and model.max_model_len is None:
        found["max_model_len"] = decided.max_model_len
    args = {**_arguments(decided, serving, part=shares(model)), **model.engine_args}
    if args != model.engine_args:
        found["engine_args"] = args
    if decided.gpus:
        found["gpu"] = _gpu(model, decided)
    return found


def _gpu(model: Model, decided: Decided) -> Any:
    from infctl.spec.model import Gpu  # noqa: PLC0415  -- planning a stack that was kept does without pydantic

    asked = model.gpu
    if asked is None:
        return Gpu(count=decided.gpus, product=decided.gpu or None)
    said = {"count": asked.count, "fraction": asked.fraction, "memory": asked.memory}
    return Gpu(**said, product=asked.product or decided.gpu or None)


def _arguments(decided: Decided, serving: Serving | None, *, part: bool) -> dict[str, Any]:
    """Return the engine's own arguments for what was decided, where it has such. Who has only a `part` of each device
    is told how much of it by whoever knows the device.
    """
    if serving is None:
        return {}
    asked = (
        (serving.splits[0] if serving.splits and decided.pipeline > 1 else "", decided.pipeline),
        (serving.batching.get("seqs", ""), decided.max_num_seqs),
        (serving.batching.get("tokens", ""), decided.max_num_batched_tokens),
        (serving.batching.get("chunked", ""), decided.chunked_prefill),
        (serving.batching.get("prefixes", ""), decided.prefix_caching),
        (serving.batching.get("memory", "") if not part else "", decided.memory_share),
    )
    return {flag: value for flag, value in asked if flag and value not in {0, None, ""}}
