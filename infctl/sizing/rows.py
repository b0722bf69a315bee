"""Owns what a row of a table of measurements asks for, beyond plain numbers: how long prompts and answers are, and over
how many copies of a model its load is spread. Pure.

Loads go by names. Recorded conversations (ShareGPT, OpenOrca, Azure's traces) differ widely in length; those that ask a
model to write on (a sonnet) have prompts alike and answers that end where the model ends them; fixed and random ones
are what they say. llama.cpp's benchmarks time prompts and answers apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from infctl.frozen import dataclass
from infctl.sizing.lengths import SHAREGPT

_CONVERSATIONS = re.compile(r"share ?gpt|convers|chat|orca|lmsys|azure|burstgpt|trace", re.IGNORECASE)
_PLAIN = re.compile(r"^$|fixed|random|synthetic|bench|single|main|dummy", re.IGNORECASE)
_GENERATED = re.compile(r"-n (\d+)")
_APART = re.compile(r"llama-?bench|llama\.cpp", re.IGNORECASE)
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
    """Return the lengths that a row means, of which it states `isl` and `osl` or does not."""
    name = row.get("workload") or ""
    varied = bool(_CONVERSATIONS.search(name)) or (isl is None and not _PLAIN.search(name))
    uneven = 0.0 if varied or _PLAIN.search(name) else _UNEVEN
    generated = _GENERATED.search(name)
    lone = row.get("load_type") == "static_batch"
    prompt = SHAREGPT[0] if varied else _SHORT if lone else _USUAL
    answer = SHAREGPT[1] if varied else float(generated[1]) if generated else _ANSWER
    apart = bool(_APART.search(name + " " + (row.get("engine") or "")))
    return Lengths(prompt if isl is None else isl, answer if osl is None else osl, varied, uneven, apart)


def split_of(gpus: int, tensor: int, pipeline: int) -> tuple[int, int]:
    """Return (GPUs of one copy of the model, copies): where a row states fewer ranks than GPUs, the rest are copies."""
    ranks = max(1, tensor) * max(1, pipeline)
    if tensor and gpus > ranks and gpus % ranks == 0:
        return ranks, gpus // ranks
    return gpus, 1
