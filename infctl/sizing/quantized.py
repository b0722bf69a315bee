"""Owns what a checkpoint says of how its weights are kept: `quantization_config`, or ModelOpt's file beside it. Pure.

Words as vLLM's readers of them have them (vllm/model_executor/layers/quantization); which layers stay in 16 bits is
`left_out`'s to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from infctl.catalog.architecture import Architecture
from infctl.sizing.left_out import Module, modules_of, rules_of, share_of, short
from infctl.sizing.precision import PRECISIONS, Precision

_SCALE = 16  # bits of a group's scale
# ModelOpt's words for whole checkpoints.
_ALGORITHMS: Final = {
    "FP8": "fp8", "FP8_PER_CHANNEL_PER_TOKEN": "fp8", "FP8_PB_WO": "fp8-block", "FP8_PB": "fp8-block", "MXFP8": "fp8",
    "NVFP4": "nvfp4", "W4A16_NVFP4": "nvfp4", "NVFP4_AWQ": "nvfp4", "W4A8_NVFP4_FP8": "nvfp4", "MXFP4": "mxfp4",
    "W4A8_MXFP4_FP8": "mxfp4", "INT4_AWQ": "awq", "W4A16_AWQ": "awq", "W4A8_AWQ": "awq", "W4A16_GPTQ": "gptq",
    "INT8_SQ": "int8", "W8A8_SQ_PER_CHANNEL": "int8", "W8A16": "int8-gptq", "W8A16_GPTQ": "int8-gptq",
}  # fmt: skip


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
        rules = rules_of(told)
        left = [each for each in modules if rules.leave_out(each.name)]
    return Quantized(precision, share_of(left, modules), kv, assumed)


def _mixed(layers: Mapping[str, Any], modules: list[Module], kv: str) -> Quantized:
    """ModelOpt's MIXED_PRECISION: each layer says its own format; their mean stands for all of them."""
    found = {
        short(name): _ALGORITHMS.get(str(each.get("quant_algo")))
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
    return Quantized(replace(finest, bits=bits), 1 - share_of(some, modules), kv)


def _named(name: str, found: Mapping[str, str | None]) -> str | None:
    """Return what is said of a layer; one that stands for many (experts, a hybrid's mixers) takes one of theirs."""
    own = short(name)
    if own in found:
        return found[own]
    start = own.rpartition(".")[0]
    inside = own + "." if own.endswith("experts") else start + "."
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
