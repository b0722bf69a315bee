"""Owns what a config.json says of a model's shape: the Hugging Face format, whatever its author called things. Pure.

Names and defaults as the configuration classes of the transformers library (5.23) and of the repositories that bring
their own code have them. What a file leaves out is taken for what is usual and said in `assumed`; only a file that does
not say how wide and how deep its model is, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from infctl.catalog.architecture import Architecture
from infctl.diagnostics import InfctlError, error
from infctl.engines.model_file import BAD_MODEL_FILE
from infctl.sizing.config_layers import Layers, layers_of, mixer_of, window_of
from infctl.sizing.config_mixture import Mixture, mixture_of
from infctl.sizing.said import MOST_LAYERS, Said
from infctl.sizing.towers import tower_of

_ENCODER: Final = re.compile(r"bert|roberta|mpnet|electra|^new$|^gte$|jina_embeddings_v3|^t5encoder")
# Encoders whose positions are rotated or biased, not looked up in a table.
_ROTATED: Final = frozenset({"nomic_bert", "modernbert", "new", "gte", "jina_embeddings_v3", "neobert", "eurobert"})
_TABLED: Final = frozenset({"gpt2", "gpt_bigcode", "opt", "gpt_neo"})
_GATELESS: Final = frozenset({
    "gpt2", "gptj", "gpt_neox", "gpt_neo", "opt", "bloom", "falcon", "mpt", "gpt_bigcode", "starcoder2", "phi",
    "nemotron", "nemotron_h", "codegen", "persimmon", "bert", "roberta", "xlm-roberta", "camembert",
    "distilbert", "mpnet", "electra", "jina_embeddings_v3", "whisper",
})  # fmt: skip
_GATED: Final = frozenset({
    "llama", "mistral", "mixtral", "qwen", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen3_next",
    "qwen3_5_text", "qwen3_5_moe_text", "qwen2_5_vl", "qwen2_5_vl_text", "qwen2_vl", "qwen3_vl_text",
    "qwen3_vl_moe_text", "gemma", "gemma2", "gemma3", "gemma3_text", "gemma4_text", "phi3", "phimoe",
    "deepseek", "deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "kimi_linear", "gpt_oss", "chatglm",
    "glm", "glm4", "glm4_moe", "cohere", "cohere2", "dbrx", "olmo", "olmo2", "olmo3", "olmoe", "internlm",
    "internlm2", "internlm3", "minimax", "minimax_m2", "minimax_text_01", "granite", "granitemoe",
    "granitemoehybrid", "baichuan", "yi", "stablelm", "llama4_text", "exaone", "exaone4", "smollm3", "ernie4_5",
    "ernie4_5_moe", "hunyuan_v1_dense", "hunyuan_v1_moe", "jamba", "bamba", "falcon_h1", "lfm2", "nomic_bert",
    "modernbert", "new", "gte", "mllama_text_model", "mimo", "mimo_v2_flash", "nemotron-nas", "seed_oss",
    "arcee", "minicpm", "minicpm3", "xverse", "orion", "solar_open", "ministral3", "glm_moe_dsa",
})  # fmt: skip
_TIED: Final = frozenset({
    "gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n_text", "gemma4_text", "gpt2", "opt", "bloom", "falcon",
    "mpt", "gpt_bigcode", "starcoder2", "cohere", "cohere2", "smollm3", "lfm2", "ernie4_5", "ernie4_5_moe",
})  # fmt: skip
_USUAL_HEAD = 128
_WIDEST = 64  # times the hidden size: no MLP is so wide
_BIASED: Final = frozenset(
    {"qwen", "qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "qwen2_5_vl_text", "gpt_oss", "chatglm"}
)


def shape_of(config: Mapping[str, Any], name: str = "") -> Architecture:
    """Return the shape that a config.json describes. Raises InfctlError (bad-model-file) where it says too little."""
    said = Said(config)
    hidden = said.number("hidden_size", "n_embd", "d_model", "dim", "model_dim", "hidden_dim")
    layers = said.number("num_hidden_layers", "n_layer", "num_layers", "n_layers", "num_decoder_layers")
    layers = layers or len(said.words("layers_block_type")) or len(said.word("hybrid_override_pattern"))
    vocab = said.number("vocab_size", "padded_vocab_size")
    _refuse_too_little(name, hidden, layers)
    assumed = [] if vocab else ["a vocabulary of 32,000 tokens"]
    kinds = layers_of(said, layers)
    if not said.number("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads") and kinds.full:
        assumed.append(f"heads of {_USUAL_HEAD} elements")
    encoder = bool(_ENCODER.search(said.kind)) and "decoder" not in said.kind
    positions = said.number("max_position_embeddings", "n_positions") if _tabled(said, encoder=encoder) else 0
    mlp = _mlp(said, hidden)
    mixture = mixture_of(said, layers, mlp)
    plain = Architecture(
        name=name,
        hidden=hidden,
        layers=layers,
        mlp=mlp,
        vocab=vocab or 32_000,
        tied=_tied(said),
        gated=_gated(said, assumed),
        expert_mlp=mixture.width,
        experts=mixture.experts,
        active=mixture.active,
        dense_layers=mixture.dense_layers,
        encoder=encoder,
        positions=positions + (2 if said.kind == "opt" else 0),
        context=said.number(
            "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_sequence_length"
        ),
        family=said.family,
        **_attention(said, hidden),
        **_seen(said, kinds),
    )
    beside = tower_of(said, hidden) + _beside(said, plain)
    return replace(plain, beside=beside, assumed=tuple(assumed), **_uneven(said, plain, kinds, mixture))


def _refuse_too_little(name: str, hidden: int, layers: int) -> None:
    missing = [what for what, value in (("hidden_size", hidden), ("num_hidden_layers", layers)) if not value]
    if missing or layers > MOST_LAYERS:
        detail = f"it does not say {' and '.join(missing)}" if missing else f"it claims {layers} layers"
        summary = f"The config.json of {name or 'a model'} does not describe a model"
        raise InfctlError(error(BAD_MODEL_FILE, summary, detail, hint="name a folder or repository with a whole one"))


def _attention(said: Said, hidden: int) -> dict[str, Any]:
    """Return what Architecture holds of attention where layers are alike."""
    heads = said.number("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads")
    heads = heads or max(1, hidden // _USUAL_HEAD)
    found = {
        "heads": heads,
        "kv_heads": _kv_heads(said, heads),
        "head_dim": said.number(
            "head_dim", "kv_channels", "attention_head_dim", "d_kv", default=max(1, hidden // heads)
        ),
    }
    if latent := said.number("kv_lora_rank"):
        found |= {
            "q_rank": said.number("q_lora_rank"),
            "kv_rank": latent,
            "nope_dim": said.number("qk_nope_head_dim", default=128),
            "rope_dim": said.number("qk_rope_head_dim", default=64),
            "v_dim": said.number("v_head_dim", default=128),
        }
    return found


def _seen(said: Said, kinds: Layers) -> dict[str, Any]:
    """Return what Architecture holds of which layers keep what."""
    window = window_of(said) if kinds.window else 0
    if not (window or kinds.state or kinds.nothing):
        return {}
    other = 2 * said.number("swa_num_key_value_heads") * said.number("swa_head_dim", "head_dim") if window else 0
    return {"window": window, "window_kv": other, "seeing": kinds.full, "stateful": kinds.state + kinds.nothing}


def _kv_heads(said: Said, heads: int) -> int:
    told = said.number(
        "num_key_value_heads", "num_kv_heads", "n_head_kv", "kv_n_heads", "n_kv_heads", "multi_query_group_num"
    )
    blocks = said.values.get("block_configs")
    if not told and isinstance(blocks, list):  # DeciLM: so many heads share one
        group = next((_in_group(block) for block in blocks if _in_group(block)), 1)
        return max(1, heads // group)
    several = said.kind == "falcon" and said.truth("new_decoder_architecture")
    if not told and said.truth("multi_query", default=said.kind == "gpt_bigcode") and not several:
        return 1
    if said.kind == "falcon" and not several:  # the count is only looked at by the new architecture
        return 1 if said.truth("multi_query", default=True) else heads
    return min(told, heads) or heads


def _in_group(block: object) -> int:
    attention = block.get("attention") if isinstance(block, dict) else None
    group = attention.get("n_heads_in_group") if isinstance(attention, dict) else None
    return group if type(group) is int and group > 0 else 0


def _gated(said: Said, assumed: list[str]) -> bool:
    if said.kind in _GATED or said.kind in _GATELESS:
        return said.kind in _GATED
    assumed.append(
        f"the layers of model_type {said.kind or 'nobody says'!r} are those of Llama or GPT-2, by their activation"
    )
    act = said.word("hidden_act") or said.word("activation_function") or said.word("hidden_activation")
    return not re.match(r"gelu|relu", act)


def _mlp(said: Said, hidden: int) -> int:
    if not said.number("num_local_experts", "num_experts") and said.number("shared_intermediate_size"):
        return said.number("shared_intermediate_size")  # Granite 4 without experts
    wide = said.number(
        "intermediate_size_mlp", "dense_intermediate_size", "intermediate_size", "ffn_hidden_size", "n_inner",
        "ffn_dim", "inner_dim", "d_ff", "hidden_dim", "expert_intermediate_size",
        default=hidden * said.number("expansion_ratio", default=4),
    )  # fmt: skip
    blocks = said.values.get("block_configs")
    if isinstance(blocks, list) and not said.number("intermediate_size"):
        return hidden * 4
    return wide // 2 if said.kind == "qwen" else wide  # the first Qwen counted gate and up together


def _tied(said: Said) -> bool:
    for place in (said.values, said.whole_config):
        if isinstance(place.get("tie_word_embeddings"), bool):
            return bool(place["tie_word_embeddings"])
    return said.kind in _TIED


def _tabled(said: Said, *, encoder: bool) -> bool:
    turned = said.word("position_embedding_type") in {"alibi", "rotary", "rope"}
    return said.kind in _TABLED or (encoder and said.kind not in _ROTATED and not turned)


# ---------------------------------------------------------------- what sets layers apart, and what is beside them


def _uneven(said: Said, plain: Architecture, kinds: Layers, mixture: Mixture) -> dict[str, Any]:
    """Return what Architecture holds of layers that differ."""
    found: dict[str, int] = {}
    attention = plain.attention
    if said.truth("attn_output_gate", default=said.kind == "qwen3_next"):
        attention += plain.hidden * plain.heads * plain.head_dim
    if said.number("index_n_heads") and plain.latent:  # DeepSeek-V3.2: what chooses the tokens that attention sees
        heads, each = said.number("index_n_heads"), said.number("index_head_dim", default=128)
        attention += plain.q_rank * heads * each + plain.hidden * (each + heads)
    full = attention
    if wide := said.number("global_head_dim"):  # Gemma 4
        few = said.number("num_global_key_value_heads", default=plain.kv_heads)
        full = plain.hidden * wide * (2 * plain.heads + (1 if said.truth("attention_k_eq_v") else 2) * few)
        found |= {
            "window_kv": plain.window_kv or 2 * plain.kv_heads * plain.head_dim,
            "kv_heads": few,
            "head_dim": wide,
        }
    mixer = mixer_of(said, plain.hidden, attention) if kinds.state else None
    if mixer or full != plain.attention or kinds.nothing:
        mixing = kinds.full * full + kinds.window * attention + kinds.state * (mixer.parameters if mixer else 0)
        if said.kind == "falcon_h1":  # attention and Mamba side by side
            mixing += plain.layers * mixer_of(said, plain.hidden, attention).parameters
        found |= {"mixing": mixing, "state": kinds.state * mixer.state if mixer else 0}
    elif said.kind == "falcon_h1":
        beside = mixer_of(said, plain.hidden, attention)
        found |= {"mixing": plain.layers * (attention + beside.parameters), "state": plain.layers * beside.state}
    feeding = _feeding(said, plain, mixture)
    return found if feeding is None else found | {"feeding": feeding}


def _feeding(said: Said, plain: Architecture, mixture: Mixture) -> int | None:
    """Return the parameters of all MLPs but experts, None where that is one in each layer without experts."""
    each = 3 if plain.gated else 2
    blocks = said.values.get("block_configs")
    if isinstance(blocks, list):
        return sum(each * plain.hidden * _deci_width(block, plain.hidden) for block in blocks[: plain.layers])
    dense = plain.layers - plain.moe_layers
    if pattern := said.word("hybrid_override_pattern"):
        dense = pattern.count("-")
    elif said.truth("enable_moe_block"):  # Gemma 4: both in each layer
        dense = plain.layers
    shared = plain.moe_layers * each * plain.hidden * mixture.shared
    if not shared and dense == plain.layers - plain.moe_layers:
        return None
    return dense * plain.dense_mlp + shared


def _deci_width(block: object, hidden: int) -> int:
    part = block.get("ffn") if isinstance(block, dict) else None
    ratio = part.get("ffn_mult") if isinstance(part, dict) and not part.get("no_op") else None
    if not isinstance(ratio, int | float) or not 0 < ratio < _WIDEST:
        return 0
    return -(-int(2 * ratio * hidden / 3) // 256) * 256


def _beside(said: Said, shape: Architecture) -> int:
    """Return the parameters of biases, and of what an encoder has around its layers."""
    hidden, layers = shape.hidden, shape.layers
    if shape.encoder and said.kind not in {"nomic_bert", "modernbert", "new", "gte"}:
        types = said.number("type_vocab_size", default=1)
        return layers * (7 * hidden + shape.mlp) + (1 + types) * hidden + hidden * hidden + hidden
    biased = said.truth("attention_bias", default=said.kind in _BIASED)
    found = layers * (shape.heads + 2 * shape.kv_heads) * shape.head_dim if biased and not shape.latent else 0
    if said.kind == "gpt_oss":  # of each expert too, and of the output of attention
        found += layers * (hidden + shape.heads + shape.experts * (2 * shape.expert_mlp + hidden + 1))
    return found
