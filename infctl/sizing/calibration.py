"""Owns what was measured, not derived: how much of their hardware's figures engines reach, and what they waste.

The figures are in `calibration.yaml` beside this file, made by `scripts/calibrate_sizing.py`, which says from which
measurements; a user's own measurements take their place (`catalog`). Knows no formula (see `speed`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent / "calibration.yaml"


@dataclass(frozen=True, slots=True)
class Constants:
    """One engine's constants. `weights`, `cache`: part of the memory bandwidth reached while reading them; `compute`,
    `attention`: part of the FLOPS, and `looking_back` that of single tokens' attention (0: hidden behind reading the
    cache); `moe_…` the same for mixtures of experts. `most_bandwidth` in GB/s is what kernels keep in flight at most,
    whatever the memory could give (0: no such limit). `corner` says how sharply the roofline bends where both limits
    bind: 1 where reading and multiplying follow each other. `moved` are the bytes that a mixture moves for each number
    of a token and each of its experts: sorted to them, quantized, weighed and summed, on every GPU.

    Seconds: `layer` and `moe_layer` for each layer and pass, `latent_layer` beside it where attention is latent (its
    many small products), `eager_layer` for each layer of a pass with prompts, which no captured graph launches,
    `each_pass` for each pass, `reduce` for one all-reduce, `sequence` for each sequence of a pass (choosing a token)
    and `sending` beside it where each token is sent on at once.
    `request` goes by before a request is with the scheduler and after its token is chosen, and `request_token` for each
    token of its prompt (splitting text into tokens, handing them over). `polls` are the passes for which a request that
    comes while others run is not looked at, as the servers that were measured are told to. The front end takes in one
    request each
    `intake` seconds and hands on a token each `stream`, while the GPUs work: it limits what answers over HTTP.

    Kernels that unpack weights on the way (AWQ, GPTQ) reach `packed` of what others do and waste `packed_layer` seconds
    more on each layer, and `awq_moe_layer` where AWQ's are those of a mixture; `unpacking` is the operations of
    ordinary cores for each weight and pass. An engine that `unpacks` writes a layer's weights out in 16 bits before it
    multiplies many tokens; where it `sums_short` it adds products up in 16 bits, which GeForce cards do twice as fast.
    `spread` is the standard deviation of ln(measured / predicted) of a token's time, `first` that of first tokens in a
    closed loop (0: twice `spread`), `basis` what it was fitted on.
    """

    weights: float
    cache: float
    compute: float
    attention: float
    layer: float
    each_pass: float
    reduce: float
    moe_weights: float
    moe_compute: float
    moe_layer: float
    moved: float = 0.0
    latent_layer: float = 0.0
    eager_layer: float = 0.0
    most_bandwidth: float = 0.0
    corner: float = 3.0
    looking_back: float = 0.0
    request: float = 0.0
    request_token: float = 0.0
    polls: float = 0.0
    sequence: float = 0.0
    sending: float = 0.0
    intake: float = 0.0
    stream: float = 0.0
    packed: float = 1.0
    packed_layer: float = 0.0
    awq_moe_layer: float = 0.0
    unpacking: float = 0.0
    unpacks: bool = False
    sums_short: bool = False
    spread: float = 0.25
    first: float = 0.0
    basis: str = ""


@cache
def constants(engine: str) -> Constants | None:
    """Return the constants of an engine family ("vllm", "vllm-v0", "llama.cpp"), None where nothing was measured."""
    engines: Any = _file()["engines"]
    row = engines.get(engine)
    if row and "like" in row:
        row = engines[row["like"]] | row
    return Constants(**{each.name: row[each.name] for each in fields(Constants) if each.name in row}) if row else None


@cache
def _file() -> Any:
    return yaml.load(FILE.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe
