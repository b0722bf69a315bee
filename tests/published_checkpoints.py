"""Writes checkpoints of published models as their publishers did: config.json and headers, without the data.

Names, shapes and formats of all tensors are those of the models' config.json and `modeling_*.py` (transformers), of
AutoAWQ's WQLinear, and of DeepSeek-V3's FP8 in blocks of 128 x 128.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from math import ceil, prod
from pathlib import Path
from typing import Any

from tests.tiny_safetensors import SIZES, safetensors

Tensors = dict[str, tuple[str, tuple[int, ...]]]
Keep = Callable[[str, int, int], Iterator[tuple[str, str, tuple[int, ...]]]]  # (name, out, in) -> tensors

LLAMA_8B: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
    "max_position_embeddings": 131072, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip
LLAMA_70B = LLAMA_8B | {"hidden_size": 8192, "num_hidden_layers": 80, "num_attention_heads": 64,
                        "intermediate_size": 28672}  # fmt: skip
QWEN25_HALF_B: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 896, "num_hidden_layers": 24,
    "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864, "vocab_size": 151936,
    "max_position_embeddings": 32768, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
}  # fmt: skip
QWEN3_MOE_30B: dict[str, Any] = {
    "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48,
    "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "intermediate_size": 6144,
    "moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8, "vocab_size": 151936,
    "decoder_sparse_step": 1, "mlp_only_layers": [], "max_position_embeddings": 40960, "tie_word_embeddings": False,
}  # fmt: skip
AWQ = {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}}
FP8_BLOCK = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}


def plain(name: str, out: int, into: int) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    yield f"{name}.weight", "BF16", (out, into)


def awq(name: str, out: int, into: int) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Eight 4-bit numbers in each 32 bits; a zero packed so and a 16-bit scale for each group of 128."""
    yield f"{name}.qweight", "I32", (into, out // 8)
    yield f"{name}.qzeros", "I32", (into // 128, out // 8)
    yield f"{name}.scales", "F16", (into // 128, out)


def fp8_block(name: str, out: int, into: int) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    yield f"{name}.weight", "F8_E4M3", (out, into)
    yield f"{name}.weight_scale_inv", "F32", (ceil(out / 128), ceil(into / 128))


def tensors_of(config: Mapping[str, Any], keep: Keep = plain) -> Tensors:
    """Return every tensor of a model; `keep` says how a linear layer's weights are kept."""
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    found: Tensors = {"model.embed_tokens.weight": ("BF16", (vocab, hidden)), "model.norm.weight": ("BF16", (hidden,))}
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = ("BF16", (vocab, hidden))
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        for name, out, into in _linears(config):
            found |= {at + each: (kind, shape) for each, kind, shape in keep(name, out, into)}
        found |= {at + name: ("BF16", shape) for name, shape in _others(config)}
    return found


def _linears(config: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head = config.get("head_dim", hidden // heads)
    query, key = heads * head, config["num_key_value_heads"] * head
    for name, out in (("q", query), ("k", key), ("v", key)):
        yield f"self_attn.{name}_proj", out, hidden
    yield "self_attn.o_proj", hidden, query
    experts, width = config.get("num_experts", 0), config.get("moe_intermediate_size", config["intermediate_size"])
    for mlp in [f"mlp.experts.{each}" for each in range(experts)] or ["mlp"]:
        yield f"{mlp}.gate_proj", width, hidden
        yield f"{mlp}.up_proj", width, hidden
        yield f"{mlp}.down_proj", hidden, width


def _others(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What stays in 16 bits whatever the method: norms, Qwen2's biases, Qwen3's norms of heads, the router."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head = config.get("head_dim", hidden // heads)
    yield "input_layernorm.weight", (hidden,)
    yield "post_attention_layernorm.weight", (hidden,)
    if config["model_type"] == "qwen2":
        yield "self_attn.q_proj.bias", (heads * head,)
        for name in ("k", "v"):
            yield f"self_attn.{name}_proj.bias", (config["num_key_value_heads"] * head,)
    if config["model_type"] == "qwen3_moe":
        yield "mlp.gate.weight", (config["num_experts"], hidden)
        for name in ("q", "k"):
            yield f"self_attn.{name}_norm.weight", (head,)


def write_published(folder: Path, config: Mapping[str, Any], keep: Keep = plain, *, sparse: bool = False) -> int:
    """Write config.json and one file of headers into `folder`; `sparse`: a file of the whole length, without blocks on
    the disk. Return the bytes of all tensors.
    """
    tensors = tensors_of(config, keep)
    size = sum(SIZES[kind] * prod(shape) for kind, shape in tensors.values())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    header = safetensors(tensors, data=False)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(header)
        if sparse:
            file.truncate(len(header) + size)
    return size
