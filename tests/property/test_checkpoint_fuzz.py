"""Whatever a config.json or a safetensors header says: a checkpoint comes out, or a diagnostic; never anything else."""

from __future__ import annotations

import json
from contextlib import suppress
from math import isfinite
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from infctl.diagnostics import InfctlError
from infctl.engines.safetensors import Damage, Tensor, length_of, parse_header
from infctl.sizing.checkpoint import Checkpoint, from_config, from_safetensors
from infctl.sizing.weights import kv_bytes, weight_bytes_per_gpu

KEYS = (
    "model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
    "n_embd", "intermediate_size", "vocab_size", "num_local_experts", "num_experts_per_tok",
    "moe_intermediate_size", "n_shared_experts", "first_k_dense_replace", "moe_layer_freq", "mlp_only_layers",
    "decoder_sparse_step", "kv_lora_rank", "q_lora_rank", "sliding_window", "layer_types",
    "hybrid_override_pattern", "block_configs", "vision_config", "text_config", "attn_config",
    "quantization_config", "max_position_embeddings", "attn_layer_period", "linear_num_value_heads",
    "mamba_num_heads", "full_attention_interval", "tie_word_embeddings", "expansion_ratio", "moe_latent_size",
    "global_head_dim", "conv_L_cache", "enable_moe_block", "architectures", "index_n_heads",
)  # fmt: skip
QUANT = (
    "quant_method", "bits", "group_size", "zero_point", "ignore", "modules_to_not_convert", "config_groups",
    "weights", "num_bits", "type", "weight_block_size", "quant_algo", "quantized_layers", "load_in_8bit",
    "global_quant_config",
)  # fmt: skip
WORDS = st.sampled_from([
    "llama", "gpt_oss", "qwen3_next", "nemotron_h", "bert", "falcon", "gemma3", "mamba2", "full_attention",
    "mamba", "sliding_attention", "linear_attention", "MEM*-", "awq", "gptq", "fp8", "mxfp4",
    "compressed-tensors", "NVFP4", "MIXED_PRECISION", "re:.*self_attn.*", "re:(", "re:(a+)+$", "*mlp*",
    "lm_head", "model.layers.0.mlp", "", "bitsandbytes",
])  # fmt: skip
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-3, 1 << 40), st.integers(1, 96), st.floats(), WORDS)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.sampled_from((*KEYS, *QUANT)), inner, max_size=6)
    ),
    max_leaves=12,
)
CONFIGS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=14)
WHOLE = st.fixed_dictionaries({"hidden_size": st.integers(1, 1 << 15), "num_hidden_layers": st.integers(1, 64)})


def check(found: Checkpoint) -> None:
    """Sizing goes on with whatever comes out."""
    assert found.shape.total >= 0
    assert 0 <= found.kept <= 1
    for gpus in (1, 8):
        assert isfinite(weight_bytes_per_gpu(found.shape, found.precision, gpus, kept=found.kept))
        assert isfinite(kv_bytes(found.shape, 4096, 2.0, gpus))


@settings(max_examples=300, deadline=None)
@given(whole=WHOLE, more=CONFIGS)
def test_a_config_of_anybody_is_a_checkpoint_or_a_diagnostic(whole: dict[str, Any], more: dict[str, Any]) -> None:
    for config in (more, {**more, **whole}, {**whole, "text_config": more}):
        try:
            check(from_config(config, "acme/any"))
        except InfctlError as failure:
            said = failure.diagnostics[0]
            if said.code != "bad-model-file" or not said.hint:
                raise


@settings(max_examples=200, deadline=None)
@given(head=st.binary(max_size=64), told=VALUES, claimed=st.integers(0, 1 << 64))
def test_a_header_of_anybody_is_read_or_refused_in_words(head: bytes, told: object, claimed: int) -> None:
    text = json.dumps({"a.weight": told, "b": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    for size in (len(text), len(text) + 8, len(text) + 100):
        for header in (text, head, text[:-3]):
            with suppress(Damage):
                length_of((claimed % (1 << 64)).to_bytes(8, "little"), size)
            with suppress(Damage):
                parse_header(header, size)


@settings(max_examples=100, deadline=None)
@given(
    whole=WHOLE,
    tensors=st.dictionaries(
        st.sampled_from(
            ["model.layers.0.mlp.up_proj.weight", "model.layers.99999999999.x.weight", "mtp.a", "lm_head.weight"]
        ),
        st.builds(
            Tensor, st.sampled_from(["BF16", "U8", "F32", "??"]), st.tuples(st.integers(0, 9)), st.integers(0, 1 << 50)
        ),
    ),
)
def test_headers_that_do_not_fit_their_config_are_counted_all_the_same(
    whole: dict[str, Any], tensors: dict[str, Tensor]
) -> None:
    check(from_safetensors(tensors, {**whole, "quantization_config": {"quant_method": "awq", "bits": 4}}, "acme/any"))
