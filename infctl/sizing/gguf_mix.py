"""Owns which number format each tensor of a GGUF file has that `llama-quantize` made, and so the file's bytes. Pure.

A file type names a mixture: llama.cpp gives the output, values, keys and the downward part of MLPs more bits, some of
them only in some layers (src/llama-quant.cpp, llama_tensor_get_type_impl; of what depends on an importance matrix,
IQ3_XXS with one and IQ4_XS, IQ4_NL without, as in the table of tools/quantize/README.md). Rows whose length a block
does not divide fall back to a format with smaller blocks (tensor_type_fallback, ibid.).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from infctl.catalog.architecture import Architecture
from infctl.engines.ggml import BY_NAME

_WHOLE: Final = frozenset({"F32", "F16", "BF16", "Q8_0"})  # the same for all tensors
_BASES: Final = {
    "Q4_0": "Q4_0", "Q4_1": "Q4_1", "Q5_0": "Q5_0", "Q5_1": "Q5_1", "Q2_K": "Q2_K", "Q2_K_S": "Q2_K",
    "Q3_K_S": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_L": "Q3_K", "Q4_K_S": "Q4_K", "Q4_K_M": "Q4_K", "Q5_K_S": "Q5_K",
    "Q5_K_M": "Q5_K", "Q6_K": "Q6_K", "IQ1_S": "IQ1_S", "IQ1_M": "IQ1_M", "IQ2_XXS": "IQ2_XXS", "IQ2_XS": "IQ2_XS",
    "IQ2_S": "IQ2_XS", "IQ2_M": "IQ2_S", "IQ3_XXS": "IQ3_XXS", "IQ3_XS": "IQ3_S", "IQ3_S": "IQ3_S", "IQ3_M": "IQ3_S",
    "IQ4_NL": "IQ4_NL", "IQ4_XS": "IQ4_XS", "F32": "F32", "F16": "F16", "BF16": "BF16", "Q8_0": "Q8_0",
}  # fmt: skip
_FALLBACKS: Final = {
    "Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0", "IQ1_S": "IQ4_NL",
    "IQ1_M": "IQ4_NL", "IQ2_XXS": "IQ4_NL", "IQ2_XS": "IQ4_NL", "IQ2_S": "IQ4_NL", "IQ3_XXS": "IQ4_NL",
    "IQ3_S": "IQ4_NL", "IQ4_XS": "IQ4_NL",
}  # fmt: skip
_TINY: Final = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M"})
_RICHER: Final = frozenset({"IQ2_S", "IQ2_M"})  # of these, what gives IQ3_S where the others give Q2_K
_EIGHT = 8  # experts of Mixtral, for which there are rules of its own
_DEEP = 80  # layers of what llama.cpp calls a 70B
_FEW = 4  # query heads for each KV head from which values are worth more bits
_VALUES: Final = {
    "Q2_K": ("Q4_K", "Q3_K"), "Q2_K_S": ("Q4_K", "Q2_K"), "IQ3_XXS": ("Q4_K", "IQ3_S"), "IQ3_XS": ("Q4_K", "IQ3_S"),
    "IQ3_S": ("Q4_K", "IQ3_S"), "IQ3_M": ("Q4_K", "Q4_K"), "Q3_K_L": ("Q5_K", "Q5_K"), "IQ4_NL": ("Q5_K", "IQ4_NL"),
    "IQ4_XS": ("Q5_K", "IQ4_XS"),
}  # fmt: skip  # with grouped queries, and without
_OUTPUTS: Final = {
    "Q2_K": "Q3_K", "IQ3_XXS": "IQ3_S", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K", "IQ3_M": "Q4_K", "IQ1_S": "IQ2_XXS",
    "IQ1_M": "IQ2_XXS", "IQ2_S": "IQ3_S", "IQ2_M": "IQ3_S",
}  # fmt: skip
_MIXTRAL_OUTPUTS: Final = frozenset({
    "Q2_K", "IQ3_XS", "IQ3_XXS", "Q3_K_S", "Q3_K_M", "IQ4_NL", "Q4_K_S", "Q4_K_M", "IQ3_S", "IQ3_M", "IQ4_XS",
}) | _TINY  # fmt: skip


@cache
def mixed_bytes(shape: Architecture, name: str) -> float | None:
    """Return the bytes of the tensors of a file of type `name` ("Q4_K_M"), None for a type that is not known."""
    base = _BASES.get(name)
    if base is None:
        return None
    total = 4.0 * (shape.norms + shape.router)
    for kind, elements, row in _tensors(shape, name, base):
        total += _size(kind, elements, row)
    return total


def _size(kind: str, elements: int, row: int) -> float:
    made = BY_NAME[kind]
    if row % made.block:
        made = BY_NAME.get(_FALLBACKS.get(kind, "F16"), made)
        made = BY_NAME["F16"] if row % made.block else made
    return elements / made.block * made.size


def _tensors(shape: Architecture, name: str, base: str) -> Iterator[tuple[str, int, int]]:
    """Yield (format, elements, length of a row) of all tensors but norms and routers."""
    table = shape.vocab * shape.hidden
    output = base if name in _WHOLE else "Q5_K" if name in _TINY | {"IQ3_XXS"} else "Q6_K"
    if shape.tied:
        yield output, table, shape.hidden
    else:
        yield output, 0 if shape.encoder else table, shape.hidden
        yield _table(name, base), table, shape.hidden
    yield ("F32" if shape.positions else base), shape.positions * shape.hidden, shape.hidden
    for layer in range(shape.layers):
        yield from _attention(shape, name, base, layer)
        yield from _mlp(shape, name, base, layer)


def _table(name: str, base: str) -> str:
    if name in _TINY:
        return "IQ3_S" if name in _RICHER else "Q2_K"
    return "IQ3_S" if name == "IQ3_XXS" else base


def _attention(shape: Architecture, name: str, base: str, layer: int) -> Iterator[tuple[str, int, int]]:
    hidden, width = shape.hidden, shape.heads * shape.head_dim
    output = _output(shape, name, base)
    values = _values(shape, name, base, layer)
    if shape.latent:
        latent = shape.kv_rank * shape.heads * (shape.nope_dim + shape.v_dim)
        yield values, latent, shape.kv_rank
        yield output, shape.heads * shape.v_dim * hidden, shape.heads * shape.v_dim
        yield base, shape.attention - latent - shape.heads * shape.v_dim * hidden, hidden
        return
    if shape.mixing >= 0:  # layers differ: as one
        yield base, shape.mixing // shape.layers, hidden
        return
    keys = hidden * shape.kv_heads * shape.head_dim
    yield _asking(name, base), hidden * width, hidden
    yield _keys(shape, name, base), keys, hidden
    yield values, keys, hidden
    yield output, hidden * width, width


def _asking(name: str, base: str) -> str:
    return {"IQ3_XS": "IQ3_XXS", "IQ3_XXS": "IQ2_S"}.get(name, base)


def _keys(shape: Architecture, name: str, base: str) -> str:
    if shape.experts == _EIGHT and name not in _WHOLE:
        return "Q4_K" if name in _TINY else "Q8_0"
    return _asking(name, base)


def _values(shape: Architecture, name: str, base: str, layer: int) -> str:
    if name in _WHOLE:
        return base
    grouped = shape.heads // max(1, shape.kv_heads) >= _FEW
    if name in _TINY:
        return "Q4_K" if grouped or shape.experts >= _FEW else "IQ3_S" if name in _RICHER else "Q2_K"
    kind = _VALUES[name][0 if grouped else 1] if name in _VALUES else base
    if name == "Q3_K_M":
        kind = "Q5_K" if layer < 2 else "Q4_K"  # noqa: PLR2004  # the first two
    elif name in {"Q4_K_M", "Q5_K_M"} and _more(layer, shape.layers):
        kind = "Q6_K"
    elif name == "Q4_K_S" and layer < _FEW:
        kind = "Q5_K"
    if shape.layers == _DEEP and kind in {"Q3_K", "Q4_K"}:
        kind = "Q5_K"
    return "Q8_0" if shape.experts == _EIGHT else kind


def _output(shape: Architecture, name: str, base: str) -> str:
    if shape.experts == _EIGHT:
        return "Q5_K" if name in _MIXTRAL_OUTPUTS else base
    return _OUTPUTS.get(name, base)


def _mlp(shape: Architecture, name: str, base: str, layer: int) -> Iterator[tuple[str, int, int]]:
    """Yield the MLP of a layer: what goes up, and what comes down, experts like the rest."""
    dense = layer < shape.dense_layers or not shape.experts
    width = shape.mlp if dense else shape.expert_mlp
    whole = shape.dense_mlp if dense else (shape.experts + shape.shared) * shape.expert
    down = whole // (3 if shape.gated else 2)
    between = shape.layers // 8 <= layer < 7 * shape.layers // 8
    yield ("IQ3_XXS" if name == "IQ3_XS" and between else base), whole - down, shape.hidden
    yield _down(name, base, layer, shape.layers), down, width
    if not dense and shape.feeding > 0:
        each = max(0, shape.feeding - shape.dense_layers * shape.dense_mlp) // max(1, shape.moe_layers)
        yield base, each, shape.hidden


def _down(name: str, base: str, layer: int, layers: int) -> str:
    first = layer < layers // 8
    if name in _TINY:
        return ("IQ3_S" if name in _RICHER else "Q2_K") if first else base
    if name == "Q3_K_M":
        return "Q5_K" if layer < layers // 16 else "Q4_K"
    if name in {"Q4_K_M", "Q5_K_M"}:
        return "Q6_K" if _more(layer, layers) else base
    always = {"Q2_K": "Q3_K", "Q3_K_L": "Q5_K"}
    if name in always:
        return always[name]
    early = {"Q2_K_S": "Q4_K", "IQ3_M": "Q4_K", "Q4_K_S": "Q5_K", "IQ4_NL": "Q5_K", "IQ4_XS": "Q5_K"}
    return early.get(name, base) if first else base


def _more(layer: int, layers: int) -> bool:
    """Return whether llama.cpp gives a layer more bits: the first and last eighth, and every third between."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2  # noqa: PLR2004
