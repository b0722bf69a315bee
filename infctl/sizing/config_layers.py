"""Owns what each kind of layer of a config.json keeps of a sequence, and its parameters. Pure.

Words and defaults as the configuration classes of the Hugging Face transformers library have them (5.23); parameters
and states of layers without attention as its modeling code makes them: gated delta rule (modeling_qwen3_next.py),
Mamba (modeling_mamba2.py, modeling_jamba.py), lightning attention (modeling_minimax.py), short convolutions
(modeling_lfm2.py).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from infctl.sizing.said import Said

FULL, WINDOW, STATE, NOTHING = "full", "window", "state", "nothing"
_WORDS: Final = {
    "full_attention": FULL, "attention": FULL, "global": FULL, "global_attention": FULL, "hybrid": FULL,
    "sliding_attention": WINDOW, "chunked_attention": WINDOW, "local": WINDOW, "local_attention": WINDOW,
    "linear_attention": STATE, "mamba": STATE, "mamba2": STATE, "conv": STATE, "recurrent": STATE, "rwkv": STATE,
    "moe": NOTHING, "mlp": NOTHING, "none": NOTHING,
}  # fmt: skip
_LETTERS: Final = {"*": FULL, "M": STATE, "-": NOTHING, "E": NOTHING}  # Nemotron-H
# One layer in so many sees everything, where config.json leaves it to the class.
_PERIODS: Final = {
    "gemma2": 2,
    "gemma3_text": 6,
    "gemma3": 6,
    "cohere2": 4,
    "gpt_oss": 2,
    "llama4_text": 4,
    "exaone4": 4,
}
_ALL_WINDOWED: Final = frozenset({"mistral", "phi3", "starcoder2", "mixtral", "phimoe"})
_FLOAT32 = 4
_HALF = 2
_LEAST = 16  # Mamba's default state


class Layers(NamedTuple):
    """How many layers there are of each kind."""

    full: int
    window: int
    state: int
    nothing: int


class Mixer(NamedTuple):
    """Of one layer that keeps a state: its parameters, and the bytes of one sequence's state."""

    parameters: int
    state: int


def layers_of(said: Said, layers: int) -> Layers:
    """Return the kinds of a model's layers. Without a word about them all see everything."""
    kinds = _listed(said)[:layers]
    if kinds:
        kinds += (FULL,) * (layers - len(kinds))
        return Layers(*(kinds.count(kind) for kind in (FULL, WINDOW, STATE, NOTHING)))
    if attending := _attending(said, layers):
        return Layers(attending, 0, layers - attending, 0)
    if said.kind in {"mamba", "mamba2", "falcon_mamba", "rwkv"}:
        return Layers(0, 0, layers, 0)
    if not window_of(said):
        return Layers(layers, 0, 0, 0)
    if period := said.number("sliding_window_pattern", "_sliding_window_pattern", default=_PERIODS.get(said.kind, 0)):
        full = layers // period
    else:
        full = min(layers, said.number("max_window_layers")) if said.kind not in _ALL_WINDOWED else 0
    return Layers(full, layers - full, 0, 0)


def window_of(said: Said) -> int:
    """Return the tokens that a windowed layer sees; 0 where no layer is, or the window is as long as the context."""
    window = said.number("sliding_window", "attention_chunk_size", "sliding_window_size")
    context = said.number("max_position_embeddings", default=window + 1)
    return window if said.truth("use_sliding_window", default=True) and window < context else 0


def _listed(said: Said) -> tuple[str, ...]:
    if words := said.words("layer_types", "layers_block_type", "block_types"):
        return tuple(_WORDS.get(word, FULL) for word in words)
    if pattern := said.word("hybrid_override_pattern"):
        return tuple(_LETTERS.get(letter, NOTHING) for letter in pattern[:1024])
    if flags := said.numbers("hybrid_layer_pattern"):
        return tuple(WINDOW if flag else FULL for flag in flags)
    if flags := said.numbers("attn_type_list"):  # MiniMax-Text-01
        return tuple(FULL if flag else STATE for flag in flags)
    blocks = said.values.get("block_configs")
    if isinstance(blocks, list):  # DeciLM
        return tuple(NOTHING if _skips(block) else FULL for block in blocks[:1024])
    return ()


def _skips(block: object) -> bool:
    attention = block.get("attention") if isinstance(block, dict) else None
    return isinstance(attention, dict) and bool(attention.get("no_op") or attention.get("replace_with_linear"))


def _attending(said: Said, layers: int) -> int:
    """Return the layers with attention among layers without, 0 where that is not how the model is."""
    linear = said.part("linear_attn_config").get("full_attn_layers")  # Kimi Linear
    for listed in (said.numbers("attn_layer_indices"), said.numbers("full_attn_idxs"), linear):
        if listed and isinstance(listed, list | tuple):
            return min(layers, len(listed))
    if period := said.number("attn_layer_period"):  # Jamba
        offset = said.number("attn_layer_offset")
        return len(range(offset, layers, period))
    if "linear_num_value_heads" in said.values:  # Qwen3-Next and its kin
        return layers // said.number("full_attention_interval", default=4)
    return 0


def mixer_of(said: Said, hidden: int, attention: int) -> Mixer:
    """Return what a layer that keeps a state has; where nothing is said of it, the parameters of attention."""
    if said.number("linear_num_value_heads"):
        return _delta_rule(said, hidden)
    if said.number("conv_L_cache"):
        kernel = said.number("conv_L_cache")
        return Mixer(4 * hidden * hidden + kernel * hidden, hidden * (kernel - 1) * _HALF)
    if said.number("mamba_num_heads", "mamba_n_heads"):
        return _mamba2(said, hidden)
    if said.number("mamba_d_state", "state_size"):
        return _mamba(said, hidden)
    if kda := said.part("linear_attn_config"):
        return _kda(Said(kda), hidden)
    if said.numbers("attn_type_list") or said.kind == "minimax":
        heads, each = said.number("num_attention_heads"), said.number("head_dim", default=128)
        return Mixer(5 * hidden * heads * each, heads * each * each * _FLOAT32)
    return Mixer(attention, 0)


def _delta_rule(said: Said, hidden: int) -> Mixer:
    keys, values = said.number("linear_num_key_heads"), said.number("linear_num_value_heads")
    key, value = said.number("linear_key_head_dim", default=128), said.number("linear_value_head_dim", default=128)
    kernel = said.number("linear_conv_kernel_dim", default=4)
    channels = 2 * keys * key + values * value
    projections = hidden * (channels + values * value + 2 * values) + values * value * hidden
    wide = _FLOAT32 if said.word("mamba_ssm_dtype") == "float32" else _HALF
    state = channels * (kernel - 1) * _HALF + values * key * value * wide
    return Mixer(projections + channels * kernel + 2 * values + value, state)


def _kda(said: Said, hidden: int) -> Mixer:
    """Kimi's delta attention: queries, keys, values and output, and gates of full or low rank."""
    heads, each = said.number("num_heads", default=1), said.number("head_dim", default=128)
    width, kernel = heads * each, said.number("short_conv_kernel_size", default=4)
    gates = hidden * width if said.truth("use_full_rank_gate") else 2 * each * (hidden + width)
    return Mixer(
        4 * hidden * width + gates + 3 * width * kernel + hidden * heads,
        3 * width * (kernel - 1) * _HALF + heads * each * each * _FLOAT32,
    )


def _mamba2(said: Said, hidden: int) -> Mixer:
    heads = said.number("mamba_num_heads", "mamba_n_heads")
    inner = said.number("mamba_d_ssm") or (
        heads * each
        if (each := said.number("mamba_head_dim", "mamba_d_head"))
        else hidden * said.number("mamba_expand", default=2)
    )
    length = said.number("ssm_state_size", "mamba_d_state", default=128)
    kernel = said.number("conv_kernel", "mamba_d_conv", default=4)
    channels = inner + 2 * said.number("n_groups", "mamba_n_groups", default=1) * length
    projections = hidden * (inner + channels + heads) + inner * hidden
    wide = _FLOAT32 if said.word("mamba_ssm_cache_dtype") == "float32" else _HALF
    return Mixer(
        projections + channels * (kernel + 1) + 3 * heads + inner,
        channels * (kernel - 1) * _HALF + inner * length * wide,
    )


def _mamba(said: Said, hidden: int) -> Mixer:
    inner = hidden * said.number("mamba_expand", "expand", default=2)
    length, kernel = (
        said.number("mamba_d_state", "state_size", default=_LEAST),
        said.number("mamba_d_conv", "conv_kernel", default=4),
    )
    rank = said.number("mamba_dt_rank", "time_step_rank", default=-(-hidden // 16))
    parameters = 3 * hidden * inner + inner * (kernel + rank + 2 * length) + rank * inner + inner * length
    return Mixer(parameters, inner * (kernel - 1) * _HALF + inner * length * _FLOAT32)
