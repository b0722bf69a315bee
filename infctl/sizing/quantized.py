"""Owns what a checkpoint says of how its weights are kept: `quantization_config`, or ModelOpt's file beside it. Pure.

Which layers stay in 16 bits is read from `ignore`, `modules_to_not_convert` and their like, each held against the names
and sizes of the model's own linear layers, as engines do when they load it (vllm/model_executor/layers/quantization).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from infctl.catalog.architecture import Architecture
from infctl.sizing.precision import PRECISIONS, Precision

_MOST_PATTERNS = 20_000
_LONGEST_PATTERN = 300
_SCALE = 16  # bits of a group's scale
_ENDLESS: Final = re.compile(r"\([^()]*[*+}][^()]*\)[*+{]")  # repeats within repeats: time without end on some names
_IGNORED: Final = (
    "ignore", "modules_to_not_convert", "ignored_layers", "exclude_modules", "exclude", "llm_int8_skip_modules",
    "skip_modules", "modules_to_not_quantize",
)  # fmt: skip
_FUSED: Final = {
    "q_proj": "qkv_proj", "k_proj": "qkv_proj", "v_proj": "qkv_proj", "gate_proj": "gate_up_proj",
    "up_proj": "gate_up_proj", "q_a_proj": "fused_qkv_a_proj", "kv_a_proj_with_mqa": "fused_qkv_a_proj",
}  # fmt: skip
# ModelOpt's words for whole checkpoints.
_ALGORITHMS: Final = {
    "FP8": "fp8", "FP8_PER_CHANNEL_PER_TOKEN": "fp8", "FP8_PB_WO": "fp8-block", "FP8_PB": "fp8-block", "MXFP8": "fp8",
    "NVFP4": "nvfp4", "W4A16_NVFP4": "nvfp4", "NVFP4_AWQ": "nvfp4", "W4A8_NVFP4_FP8": "nvfp4", "MXFP4": "mxfp4",
    "W4A8_MXFP4_FP8": "mxfp4", "INT4_AWQ": "awq", "W4A16_AWQ": "awq", "W4A8_AWQ": "awq", "W4A16_GPTQ": "gptq",
    "INT8_SQ": "int8", "W8A8_SQ_PER_CHANNEL": "int8", "W8A16": "int8-gptq", "W8A16_GPTQ": "int8-gptq",
}  # fmt: skip


class Module(NamedTuple):
    """A linear layer by the name that checkpoints give it, and its parameters."""

    name: str
    parameters: int


class Quantized(NamedTuple):
    """How weights are kept: the format of those that are quantized, the part of all linear layers that is not, and the
    format of the KV cache that the checkpoint was made for ("" where it does not say). `assumed` as in Architecture.
    """

    precision: Precision
    kept: float = 0.0
    kv: str = ""
    assumed: tuple[str, ...] = ()


def quantized_of(config: Mapping[str, Any], shape: Architecture, beside: Mapping[str, Any] | None = None) -> Quantized:
    """Return how the checkpoint of `config` keeps its weights; `beside` is hf_quant_config.json where there is one."""
    told = _section(config, beside or {})
    if not told:
        return Quantized(PRECISIONS["bf16"])
    modules = modules_of(shape)
    kv = "fp8" if "fp8" in str(told.get("kv_cache_quant_algo") or told.get("kv_cache_scheme") or "").lower() else ""
    if isinstance(told.get("kv_cache_scheme"), Mapping) and told["kv_cache_scheme"].get("num_bits") == 8:  # noqa: PLR2004
        kv = "fp8"
    if isinstance(mixed := told.get("quantized_layers"), Mapping) and mixed:
        return _mixed(mixed, modules, kv)
    precision, assumed = _format(told)
    if precision.name == "mxfp4" and shape.experts and str(told.get("quant_method")).lower() == "mxfp4":
        left = [
            each for each in modules if not each.name.endswith(".experts")
        ]  # gpt-oss: experts alone, whatever is listed
    else:
        rules = _rules(_patterns(told))
        left = [each for each in modules if rules.leave_out(each.name)]
    return Quantized(precision, _share(left, modules), kv, assumed)


def _share(some: Iterable[Module], modules: Iterable[Module]) -> float:
    total = sum(each.parameters for each in modules)
    return min(1.0, sum(each.parameters for each in some) / total) if total else 0.0


def _mixed(layers: Mapping[str, Any], modules: list[Module], kv: str) -> Quantized:
    """ModelOpt's MIXED_PRECISION: each layer says its own format; their mean stands for all of them."""
    found = {
        _short(name): _ALGORITHMS.get(str(each.get("quant_algo")))
        for name, each in layers.items()
        if isinstance(each, Mapping)
    }
    formats = {each.name: PRECISIONS[kind] for each in modules if (kind := _named(each.name, found))}
    if not formats:
        return Quantized(
            PRECISIONS["bf16"], kv=kv, assumed=("weights of 16 bits: quantized_layers names no layer that is known",)
        )
    some = [each for each in modules if each.name in formats]
    bits = sum(each.parameters * formats[each.name].bits for each in some) / max(
        1, sum(each.parameters for each in some)
    )
    finest = min(formats.values(), key=lambda each: each.bits)
    return Quantized(replace(finest, bits=bits), 1 - _share(some, modules), kv)


def _named(name: str, found: Mapping[str, str | None]) -> str | None:
    """Return what is said of a layer; one that stands for many (experts, a hybrid's mixers) takes one of theirs."""
    short = _short(name)
    if short in found:
        return found[short]
    start = short.rpartition(".")[0]
    inside = short + "." if short.endswith("experts") else start + "."
    other = start.replace("self_attn", "linear_attn") + "."
    return next((kind for each, kind in found.items() if each.startswith((inside, other))), None)


def _section(config: Mapping[str, Any], beside: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is said of quantization, wherever it stands."""
    inner = config.get("text_config")
    nested = inner.get("quantization_config") if isinstance(inner, Mapping) else None
    told = config.get("quantization_config")
    for place in (told, nested, config.get("compression_config"), beside.get("quantization")):
        if isinstance(place, Mapping) and place:
            deeper = place.get("quantization")
            return {**place, **deeper} if isinstance(deeper, Mapping) else place
    return {}


# ---------------------------------------------------------------- formats


def _format(told: Mapping[str, Any]) -> tuple[Precision, tuple[str, ...]]:
    method = str(told.get("quant_method") or "").lower().replace("_", "-")
    algorithm = str(told.get("quant_algo") or "").upper()
    bits = next((told[name] for name in ("bits", "w_bit", "nbits", "wbits") if type(told.get(name)) in {int, float}), 0)
    if algorithm in _ALGORITHMS:
        return _block(PRECISIONS[_ALGORITHMS[algorithm].removesuffix("-block")], told), ()
    if isinstance(told.get("config_groups"), Mapping):
        return _grouped(told["config_groups"])
    if "mxfp4" in method:
        return PRECISIONS["mxfp4"], ()
    if "fp8" in method:  # fp8, fbgemm_fp8, ptpc_fp8, mxfp8
        return _block(PRECISIONS["fp8"], told), ()
    if method == "bitsandbytes":
        return _bitsandbytes(told), ()
    if method == "quark":
        return _quark(told)
    if 1 <= bits <= 8:  # noqa: PLR2004  # AWQ, GPTQ, AutoRound, HQQ, EXL2 and their like
        return _integers(method, float(bits), told), ()
    return PRECISIONS["bf16"], (f"weights of 16 bits: quant_method {method or 'nobody says'!r} is not known",)


def _bitsandbytes(told: Mapping[str, Any]) -> Precision:
    """QLoRA (arXiv:2305.14314): 4 bits and a scale for each 64, which may itself be quantized."""
    if told.get("load_in_8bit") or told.get("_load_in_8bit"):
        return PRECISIONS["bnb-int8"]
    return replace(PRECISIONS["nf4"], bits=4.127) if told.get("bnb_4bit_use_double_quant") else PRECISIONS["nf4"]


def _integers(method: str, bits: float, told: Mapping[str, Any]) -> Precision:
    """Whole numbers with a scale and a zero for each group; GPTQ keeps zeros even where it needs none."""
    if bits != int(bits) or method == "exl2":
        return Precision(f"{bits:g} bits", bits)
    group = _group(told.get("group_size"))
    zeros = method not in {"awq", "compressed-tensors"} or told.get("zero_point", True) is not False
    base = PRECISIONS["awq" if "awq" in method else "int8-gptq" if bits == 8 else "gptq"]  # noqa: PLR2004
    return replace(base, bits=bits + (_SCALE + (bits if zeros else 0)) / group if group else bits)


def _group(told: object) -> int:
    return told if type(told) is int and 0 < told <= 1 << 20 else 0


def _block(precision: Precision, told: Mapping[str, Any]) -> Precision:
    """Add the 32-bit scale of each block where weights are scaled in blocks."""
    block = told.get("weight_block_size")
    if precision.name == "fp8" and isinstance(block, list) and len(block) == 2 and all(map(_group, block)):  # noqa: PLR2004
        return replace(precision, bits=8 + 32 / (block[0] * block[1]))
    return precision


def _grouped(groups: Mapping[str, Any]) -> tuple[Precision, tuple[str, ...]]:
    """compressed-tensors and newer ModelOpt: the first group stands for all."""
    for group in groups.values():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if isinstance(weights, Mapping) and type(weights.get("num_bits")) is int:
            bits, size = weights["num_bits"], _group(weights.get("group_size"))
            activations = isinstance(group.get("input_activations"), Mapping)
            if weights.get("type") == "float":
                if bits == 4:  # noqa: PLR2004
                    return PRECISIONS["mxfp4" if size == 32 else "nvfp4"], ()  # noqa: PLR2004
                block = {"weight_block_size": weights.get("block_structure")}
                return _block(PRECISIONS["fp8"], block), ()
            if bits == 8 and activations:  # noqa: PLR2004
                return PRECISIONS["int8"], ()
            if 1 <= bits <= 8:  # noqa: PLR2004
                base = PRECISIONS["int8-gptq" if bits == 8 else "gptq"]  # noqa: PLR2004
                zeros = 0 if weights.get("symmetric", True) else bits
                return replace(base, bits=bits + (_SCALE + zeros) / size if size else float(bits)), ()
    return PRECISIONS["bf16"], ("weights of 16 bits: no group of quantization_config says how many it has",)


def _quark(told: Mapping[str, Any]) -> tuple[Precision, tuple[str, ...]]:
    whole = told.get("global_quant_config")
    weight = whole.get("weight") if isinstance(whole, Mapping) else None
    weight = weight[0] if isinstance(weight, list) and weight else weight
    kind = str(weight.get("dtype")) if isinstance(weight, Mapping) else ""
    name = {"fp8_e4m3": "fp8", "fp4": "mxfp4", "int8": "int8", "int4": "gptq", "uint4": "awq"}.get(kind)
    return (
        (PRECISIONS[name], ()) if name else (PRECISIONS["fp8"], (f"weights of 8 bits: Quark's {kind!r} is not known",))
    )


# ---------------------------------------------------------------- what stays in 16 bits


def modules_of(shape: Architecture) -> list[Module]:
    """Return the linear layers of a model, by the names that most checkpoints give them."""
    found: list[Module] = []
    hidden, width = shape.hidden, shape.heads * shape.head_dim
    scale = shape.mixing / (shape.layers * shape.attention) if shape.mixing >= 0 and shape.attention else 1.0
    for index in range(shape.layers):
        start = f"model.layers.{index}"
        if shape.latent:
            attention = _latent(shape)
        else:
            keys = hidden * shape.kv_heads * shape.head_dim
            attention = {"q_proj": hidden * width, "k_proj": keys, "v_proj": keys, "o_proj": hidden * width}
        found += [Module(f"{start}.self_attn.{name}", round(size * scale)) for name, size in attention.items()]
        dense = index < shape.dense_layers or not shape.experts
        if dense or shape.feeding < 0:
            found += _mlp(shape, start) if dense else []
        if not dense:
            found.append(Module(f"{start}.mlp.experts", shape.experts * shape.expert))
            if shape.feeding >= 0:
                each = (shape.feeding - shape.dense_layers * shape.dense_mlp) // max(1, shape.moe_layers)
                found.append(Module(f"{start}.mlp.shared_experts", max(0, each)))
    return found


def _mlp(shape: Architecture, start: str) -> list[Module]:
    names = ("gate_proj", "up_proj", "down_proj") if shape.gated else ("up_proj", "down_proj")
    return [Module(f"{start}.mlp.{name}", shape.hidden * shape.mlp) for name in names]


def _latent(shape: Architecture) -> dict[str, int]:
    key = shape.nope_dim + shape.rope_dim
    query = (
        {"q_a_proj": shape.hidden * shape.q_rank, "q_b_proj": shape.q_rank * shape.heads * key}
        if shape.q_rank
        else {"q_proj": shape.hidden * shape.heads * key}
    )
    return query | {
        "kv_a_proj_with_mqa": shape.hidden * (shape.kv_rank + shape.rope_dim),
        "kv_b_proj": shape.kv_rank * shape.heads * (shape.nope_dim + shape.v_dim),
        "o_proj": shape.heads * shape.v_dim * shape.hidden,
    }


def _patterns(told: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for name in _IGNORED:
        value = told.get(name)
        if isinstance(value, list):
            found += [each for each in value if isinstance(each, str) and 0 < len(each) <= _LONGEST_PATTERN]
    return found[:_MOST_PATTERNS]


class _Rules(NamedTuple):
    """Patterns sorted by how they are held against a name: names and parts of names, wildcards, regular expressions."""

    plain: frozenset[str]
    wild: tuple[str, ...]
    regular: tuple[re.Pattern[str], ...]

    def leave_out(self, name: str) -> bool:
        """Return whether a module stays in 16 bits."""
        start, _, last = name.rpartition(".")
        for spelled in (name, f"{start}.{_FUSED[last]}") if last in _FUSED else (name,):
            if self._named(_short(spelled)) or any(fnmatchcase(spelled, each) for each in self.wild):
                return True
            if any(each.match(spelled) for each in self.regular):
                return True
        return False

    def _named(self, short: str) -> bool:
        """Whole parts of a name count: `mlp.gate` does not mean `mlp.gate_proj`."""
        parts = short.split(".")
        return any(
            ".".join(parts[start:end]) in self.plain
            for start in range(len(parts))
            for end in range(start + 1, len(parts) + 1)
        )


def _rules(patterns: Iterable[str]) -> _Rules:
    plain, wild, regular = set(), [], []
    for each in dict.fromkeys(patterns):
        if each.startswith("re:"):
            text = each.removeprefix("re:")
            try:
                regular += [] if _ENDLESS.search(text) else [re.compile(text)]
            except (re.error, OverflowError, RecursionError):
                continue  # no engine could read it either: nothing is left out by it
        elif "*" in each or "?" in each:
            wild.append(each)
        else:
            plain.add(_short(each))
    return _Rules(frozenset(plain), tuple(wild), tuple(regular))


def _short(name: str) -> str:
    """Return a module's name from its layer on: what stands before differs between libraries."""
    return re.sub(r"^.*?\b(?:layers|h|blocks)\.(?=\d)", "layers.", name)
