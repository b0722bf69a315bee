"""Writes checkpoints of a few kilobytes: a config.json and safetensors files whose headers are as real ones are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

SIZES = {"BF16": 2, "F16": 2, "F32": 4, "I32": 4, "F8_E4M3": 1, "U8": 1}
LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 256,
    "max_position_embeddings": 2048, "tie_word_embeddings": False,
}  # fmt: skip


def safetensors(tensors: Mapping[str, tuple[str, tuple[int, ...]]], *, data: bool = True) -> bytes:
    """Return a file of tensors (format, shape) full of zeros; without `data`, cut off behind its header."""
    at, header = 0, {}
    for name, (kind, shape) in tensors.items():
        size = prod(shape) * SIZES[kind]
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return len(text).to_bytes(8, "little") + text + (bytes(at) if data else b"")


def llama_tensors(kind: str = "BF16") -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the tensors of LLAMA, its linear layers in the format `kind`."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {
        "model.embed_tokens.weight": ("BF16", (256, 64)),
        "model.norm.weight": ("BF16", (64,)),
        "lm_head.weight": ("BF16", (256, 64)),
    }
    shapes = {"self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64),
              "self_attn.o_proj": (64, 64), "mlp.gate_proj": (128, 64), "mlp.up_proj": (128, 64),
              "mlp.down_proj": (64, 128)}  # fmt: skip
    for layer in range(2):
        for name, shape in shapes.items():
            found[f"model.layers.{layer}.{name}.weight"] = (kind, shape)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            found[f"model.layers.{layer}.{norm}.weight"] = ("BF16", (64,))
    return found


def write_checkpoint(folder: Path, config: Mapping[str, Any] = LLAMA, kind: str = "BF16") -> Path:
    """Write a tiny Llama into `folder`."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(safetensors(llama_tensors(kind)))
    return folder
