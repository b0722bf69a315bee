"""Owns what a row of a table of measurements asks for, beyond plain numbers: how long prompts and answers are, and over
how many copies of a model its load is spread. Pure.

Loads go by names. Recorded conversations (ShareGPT, OpenOrca, Azure's traces) differ widely in length; those that ask a
model to write on (a sonnet) have prompts alike and answers that end where the model ends them; fixed and random ones
are what they say. llama.cpp's benchmarks time prompts and answers apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isinf

from infctl.frozen import dataclass
from infctl.sizing.case import Load
from infctl.sizing.lengths import SHAREGPT

_CONVERSATIONS = re.compile(r"share ?gpt|convers|chat|orca|lmsys|azure|burstgpt|trace", re.IGNORECASE)
_PLAIN = re.compile(r"^$|fixed|random|synthetic|bench|single|main|dummy", re.IGNORECASE)
_GENERATED = re.compile(r"-n (\d+)")
_APART = re.compile(r"llama-?bench|llama\.cpp", re.IGNORECASE)
_LLAMA = re.compile(r"^(llama|ollama)", re.IGNORECASE)
_LOADS = {
    "closed_loop": "concurrency", "concurrent": "concurrency", "poisson": "rate_poisson", "rate": "rate_poisson",
    "request_rate": "rate_poisson", "open_loop": "rate_poisson", "burst": "burst_all", "offline": "offline_max",
    "throughput": "offline_max", "max_throughput": "offline_max", "batch": "static_batch", "static": "static_batch",
    "single": "static_batch", "single_stream": "static_batch",
}  # fmt: skip
_SHORT, _USUAL, _ANSWER = 64.0, 1024.0, 256.0  # tokens where nobody says: of one prompt, of a load's, of an answer
_UNEVEN = 0.5  # of a mean answer: how far those that a model ends itself lie from it (dstack's sonnets: 40 to 85 of 57)


@dataclass(frozen=True, slots=True)
class Lengths:
    """Mean tokens of prompts and answers. `varied` as conversations are; `uneven` is how far answers lie from their
    mean, as a part of it; `apart` whether prompt and answer are timed apart.
    """

    isl: float
    osl: float
    varied: bool = False
    uneven: float = 0.0
    apart: bool = False


def lengths_of(row: Mapping[str, str], isl: float | None, osl: float | None) -> Lengths:
    """Return the lengths that a row means, of which it states `isl` and `osl` or does not. Raises ValueError."""
    if min(1.0 if isl is None else isl, 1.0 if osl is None else osl + 1) < 1:
        raise ValueError("isl starts at 1 and osl at 0")
    name = row.get("workload") or ""
    varied = bool(_CONVERSATIONS.search(name)) or (isl is None and not _PLAIN.search(name))
    uneven = 0.0 if varied or _PLAIN.search(name) else _UNEVEN
    generated = _GENERATED.search(name)
    lone = row.get("load_type") == "static_batch"
    prompt = SHAREGPT[0] if varied else _SHORT if lone else _USUAL
    answer = SHAREGPT[1] if varied else float(generated[1]) if generated else _ANSWER
    apart = bool(_APART.search(name + " " + (row.get("engine") or "")))
    return Lengths(prompt if isl is None else isl, answer if osl is None else osl, varied, uneven, apart)


def load_of(row: Mapping[str, str], rate: float | None) -> tuple[Load, float]:
    """Return how requests come, and how many a second; a rate without end is a burst. Raises ValueError."""
    text = re.sub(r"[^a-z]+", "_", (row.get("load_type") or "").lower()).strip("_")
    name = _LOADS.get(text, text) or _unsaid(row, rate).value
    if name not in {each.value for each in Load}:
        raise ValueError(f"no load_type {row.get('load_type')!r}")
    if name != Load.RATE_POISSON.value:
        return Load(name), 0.0
    if rate is None or rate <= 0:
        raise ValueError("rate_poisson needs a request_rate_rps above 0")
    return (Load.BURST_ALL, 0.0) if isinf(rate) else (Load.RATE_POISSON, rate)


def _unsaid(row: Mapping[str, str], rate: float | None) -> Load:
    """Return the load that the columns tell which a row fills in."""
    if rate:
        return Load.RATE_POISSON
    if row.get("concurrency"):
        return Load.CONCURRENCY
    return (
        Load.STATIC_BATCH if row.get("batch_size") else Load.BURST_ALL if row.get("num_prompts") else Load.CONCURRENCY
    )


def split_of(
    row: Mapping[str, str], gpus: int, tensor: int, pipeline: int, experts: int = 0
) -> tuple[int, int, int, int]:
    """Return (GPUs of one copy of the model, tensor and pipeline parallel, copies), 0 where a row does not say.

    Where it states fewer ranks than GPUs, the rest are copies, and what is left over stands idle; ranks go before GPUs.
    Experts spread over more GPUs than share a layer otherwise are one copy, reckoned as if all its layers were shared
    so widely. llama.cpp gives each GPU some of the layers.
    """
    tensor = max(tensor, experts) if tensor else 0
    ranks = max(1, tensor) * max(1, pipeline)
    if _LLAMA.search(row.get("engine") or ""):
        return (found := gpus or ranks), 1, found, 1
    gpus = max(gpus, ranks)
    if tensor and gpus > ranks:
        return ranks, tensor, max(1, pipeline), gpus // ranks
    return gpus, tensor, max(1, pipeline), 1
