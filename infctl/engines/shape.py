"""Owns what a GGUF header means for sizing: the model's shape, from llama.cpp's keys.

Keys as llama.cpp reads them (src/llama-arch.cpp, src/llama-model.cpp, `load_hparams`). Pure.
"""

from __future__ import annotations

from infctl.engines.gguf import Header
from infctl.engines.model_file import Shape

# Layers that keep something else than the keys and values of the whole context.
_OTHER_MEMORY = ("attention.sliding_window", "ssm.state_size", "wkv.head_size", "shortconv.l_cache")


def shape_of(header: Header) -> Shape:
    """Return the model's shape; a figure that the file leaves out is 0 or what llama.cpp takes instead."""
    figure = header.figure
    embedding, layers = figure("embedding_length"), figure("block_count")
    heads = _over_layers(header, "attention.head_count", layers, 0)
    kv_heads = _over_layers(header, "attention.head_count_kv", layers, heads)
    head_length = embedding * layers // heads if heads else 0
    key = figure("attention.key_length") or head_length
    value = figure("attention.value_length") or head_length
    latent = figure("attention.kv_lora_rank")
    if latent and figure("attention.key_length_mla"):  # one latent row per layer; values are a view into it
        kv_heads, key, value = layers, latent + figure("rope.dimension_count"), 0
    return Shape(
        architecture=header.architecture,
        context_length=figure("context_length"),
        layers=layers,
        embedding_length=embedding,
        feed_forward_length=figure("feed_forward_length"),
        vocabulary=header.lengths.get("tokenizer.ggml.tokens", 0) or figure("vocab_size"),
        merges=header.lengths.get("tokenizer.ggml.merges", 0),
        heads=heads // layers if layers else 0,
        kv_heads=kv_heads,
        key_length=key,
        value_length=value,
        plain=bool(kv_heads and key) and not any(figure(name) for name in _OTHER_MEMORY),
    )


def _over_layers(header: Header, name: str, layers: int, default: int) -> int:
    """Return a count summed over all layers: it is one number for each of them, or a list of numbers."""
    each = header.arrays.get(f"{header.architecture}.{name}")
    if each is not None:
        return sum(value for value in each if isinstance(value, int) and value > 0)
    return figure * layers if (figure := header.figure(name)) else default
