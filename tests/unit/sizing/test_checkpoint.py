"""What a config.json says: shapes of every kind against published counts, and every way to keep weights."""

from __future__ import annotations

from typing import Any

import pytest

from infctl.catalog.gpus import gpus
from infctl.diagnostics import InfctlError
from infctl.engines.safetensors import Tensor
from infctl.sizing.budget import GIB, budget
from infctl.sizing.case import Case
from infctl.sizing.checkpoint import as_kept, from_config, from_safetensors
from infctl.sizing.precision import PRECISIONS

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
    "max_position_embeddings": 131072,
}  # fmt: skip
QWEN3_MOE = {
    "model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 32,
    "num_key_value_heads": 4, "head_dim": 128, "vocab_size": 151936, "num_experts": 128, "num_experts_per_tok": 8,
    "moe_intermediate_size": 768, "intermediate_size": 6144, "decoder_sparse_step": 1, "mlp_only_layers": [],
}  # fmt: skip
DEEPSEEK = {
    "model_type": "deepseek_v3", "hidden_size": 7168, "num_hidden_layers": 61, "num_attention_heads": 128,
    "num_key_value_heads": 128, "intermediate_size": 18432, "moe_intermediate_size": 2048, "n_routed_experts": 256,
    "num_experts_per_tok": 8, "n_shared_experts": 1, "first_k_dense_replace": 3, "moe_layer_freq": 1,
    "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
    "vocab_size": 129280,
}  # fmt: skip
NEMOTRON = {
    "model_type": "nemotron_h", "hidden_size": 2688, "num_hidden_layers": 52, "num_attention_heads": 32,
    "num_key_value_heads": 2, "head_dim": 128, "intermediate_size": 1856, "moe_intermediate_size": 1856,
    "moe_shared_expert_intermediate_size": 3712, "n_routed_experts": 128, "n_shared_experts": 1, "n_groups": 8,
    "num_experts_per_tok": 6, "mamba_num_heads": 64, "mamba_head_dim": 64, "ssm_state_size": 128, "conv_kernel": 4,
    "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME", "vocab_size": 131072,
    "mamba_ssm_cache_dtype": "float32",
}  # fmt: skip
QWEN3_NEXT = {
    "model_type": "qwen3_next", "hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 16,
    "num_key_value_heads": 2, "head_dim": 256, "vocab_size": 151936, "linear_num_value_heads": 32,
    "linear_num_key_heads": 16, "linear_key_head_dim": 128, "linear_value_head_dim": 128, "full_attention_interval": 4,
    "num_experts": 512, "num_experts_per_tok": 10, "moe_intermediate_size": 512, "intermediate_size": 5120,
    "shared_expert_intermediate_size": 512,
}  # fmt: skip
BERT = {
    "model_type": "bert", "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096, "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2,
}  # fmt: skip
GEMMA3 = {
    "model_type": "gemma3", "text_config": {
        "model_type": "gemma3_text", "hidden_size": 5376, "num_hidden_layers": 62, "num_attention_heads": 32,
        "num_key_value_heads": 16, "head_dim": 128, "intermediate_size": 21504, "sliding_window": 1024,
        "vocab_size": 262208, "max_position_embeddings": 131072,
    },
    "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27, "intermediate_size": 4304, "patch_size": 14},
}  # fmt: skip


KIMI_LINEAR = {
    "model_type": "kimi_linear", "hidden_size": 2304, "num_hidden_layers": 27, "num_attention_heads": 32,
    "num_key_value_heads": 32, "intermediate_size": 9216, "moe_intermediate_size": 1024, "num_experts": 256,
    "num_experts_per_token": 8, "num_shared_experts": 1, "first_k_dense_replace": 1, "vocab_size": 163840,
    "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "linear_attn_config": {
        "full_attn_layers": [4, 8, 12, 16, 20, 24, 27], "num_heads": 32, "head_dim": 128, "short_conv_kernel_size": 4,
    },
}  # fmt: skip


# Parameters in thousands of millions, and those that one token goes through, as model cards state them.
@pytest.mark.parametrize(
    ("config", "billions", "active"),
    [
        (LLAMA, 8.030, 8.03),
        (QWEN3_MOE, 30.5, 3.3),
        (DEEPSEEK, 671.0, 37.5),
        (NEMOTRON, 31.6, 3.6),
        (QWEN3_NEXT, 79.7, 3.9),
        (KIMI_LINEAR, 49.1, 3.43),
        (BERT, 0.3351, 0.334),
        (GEMMA3, 27.4, 27.0),
    ],
)
def test_parameters_in_all_and_active(config: dict[str, Any], billions: float, active: float) -> None:
    found = from_config(config).shape
    assert found.total / 1e9 == pytest.approx(billions, rel=0.003)
    assert (found.active_linear + found.embeddings) / 1e9 == pytest.approx(active, rel=0.02)


def windowed(kind: str, **more: Any) -> dict[str, Any]:
    return {**LLAMA, "model_type": kind, "sliding_window": 4096, **more}


# Layers that keep everything and those that keep a window; numbers of the cache of one token in a long context.
@pytest.mark.parametrize(
    ("config", "full", "window", "numbers"),
    [
        (LLAMA, 32, 0, 2 * 32 * 8 * 128),
        ({**LLAMA, "num_key_value_heads": None}, 32, 0, 2 * 32 * 32 * 128),  # MHA
        ({**LLAMA, "model_type": "falcon", "num_kv_heads": 8, "multi_query": True}, 32, 0, 2 * 32 * 128),  # MQA
        (windowed("mistral"), 0, 32, 0),
        (windowed("gemma2"), 16, 16, 2 * 16 * 8 * 128),
        (GEMMA3, 10, 52, 2 * 10 * 16 * 128),
        (windowed("cohere2"), 8, 24, 2 * 8 * 8 * 128),
        (windowed("gpt_oss", layer_types=["sliding_attention", "full_attention"] * 16), 16, 16, 2 * 16 * 8 * 128),
        (windowed("qwen2", use_sliding_window=False), 32, 0, 2 * 32 * 8 * 128),
        (windowed("qwen2", max_window_layers=28), 28, 4, 2 * 28 * 8 * 128),
        (windowed("phi3", sliding_window=262144), 32, 0, 2 * 32 * 8 * 128),
        (windowed("mimo_v2_flash", hybrid_layer_pattern=[0, 1, 1, 1] * 8), 8, 24, 2 * 8 * 8 * 128),
        (DEEPSEEK, 61, 0, 61 * 576),  # MLA
        (QWEN3_NEXT, 12, 0, 2 * 12 * 2 * 256),
        (NEMOTRON, 6, 0, 2 * 6 * 2 * 128),
        (BERT, 24, 0, 0),
    ],
)
def test_what_layers_keep(config: dict[str, Any], full: int, window: int, numbers: int) -> None:
    found = from_config(config).shape
    assert (found.full_layers, found.windowed_layers) == (full, window)
    assert found.kv_elements(200_001) - found.kv_elements(200_000) == numbers


def test_a_hybrid_keeps_a_state_of_its_own_for_each_sequence() -> None:
    """Nemotron 3 Nano: 23 layers of 64 x 64 x 128 numbers of 4 bytes, and 3 of 6,144 channels in 2."""
    assert from_config(NEMOTRON).shape.state == 23 * (64 * 64 * 128 * 4 + 3 * 6144 * 2)


@pytest.mark.parametrize(
    ("quantization", "name", "bits", "kept"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}, "awq", 4.15625, 0),
        ({"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": True}, "gptq", 4.625, 0),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, "int8-gptq", 8, 0),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8", 8 + 32 / 16384, 0),
        ({"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["model.layers.0", "self_attn"]}, "fp8", 8, 0.218),
        ({"quant_method": "fp8", "ignored_layers": [f"model.layers.{i}.mlp.up_proj" for i in range(32)]}, "fp8", 8,
         0.269),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True}, "nf4", 4.127, 0),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bnb-int8", 8, 0),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "exclude_modules": ["*self_attn*", "lm_head"]}, "nvfp4",
         4.5, 0.192),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}}}, "fp8", 8, 0),
        ({"quant_method": "auto-round", "bits": 2, "group_size": 64}, "gptq", 2 + 18 / 64, 0),
        ({"quant_method": "exl2", "bits": 3.5}, "3.5 bits", 3.5, 0),
    ],
)  # fmt: skip
def test_every_kind_of_quantization(quantization: dict[str, Any], name: str, bits: float, kept: float) -> None:
    found = from_config({**LLAMA, "quantization_config": quantization})
    assert found.precision.name == name
    assert found.precision.bits == pytest.approx(bits)
    assert found.kept == pytest.approx(kept, abs=0.001)
    assert not found.assumed


def group(**weights: Any) -> dict[str, Any]:
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"targets": ["Linear"], **weights}}}


@pytest.mark.parametrize(
    ("weights", "activations", "name", "bits"),
    [
        ({"num_bits": 8, "type": "float"}, {"num_bits": 8}, "fp8", 8),
        ({"num_bits": 8, "type": "int"}, {"num_bits": 8}, "int8", 8),
        ({"num_bits": 8, "type": "int", "group_size": 128}, None, "int8-gptq", 8.125),
        ({"num_bits": 4, "type": "int", "group_size": 128, "symmetric": True}, None, "gptq", 4.125),
        ({"num_bits": 4, "type": "int", "group_size": 128, "symmetric": False}, None, "gptq", 4.15625),
        ({"num_bits": 4, "type": "float", "group_size": 16}, {"num_bits": 4}, "nvfp4", 4.5),
        ({"num_bits": 4, "type": "float", "group_size": 32}, None, "mxfp4", 4.25),
    ],
)
def test_groups_of_compressed_tensors(
    weights: dict[str, Any], activations: dict[str, Any] | None, name: str, bits: float
) -> None:
    told = group(weights=weights, input_activations=activations) | {"ignore": ["lm_head", "re:.*mlp.gate$"]}
    found = from_config({**LLAMA, "quantization_config": told})
    assert (found.precision.name, found.kept) == (name, 0)
    assert found.precision.bits == pytest.approx(bits)


def test_a_file_beside_the_config_says_it_too() -> None:
    beside = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}}
    found = from_config(LLAMA, beside=beside)
    assert (found.precision.name, found.kv, found.kept) == ("fp8", "fp8", 0)


def test_layers_of_several_formats_have_their_mean() -> None:
    kinds = {"self_attn.q_proj": "FP8", "mlp.up_proj": "NVFP4", "mlp.gate_proj": "NVFP4", "mlp.down_proj": "NVFP4"}
    told = {f"model.layers.{layer}.{name}": {"quant_algo": kind} for layer in range(32) for name, kind in kinds.items()}
    found = from_config({**LLAMA, "quantization_config": {"quant_method": "modelopt", "quantized_layers": told}})
    assert found.precision.name == "nvfp4"
    assert 4.5 < found.precision.bits < 8


def test_experts_alone_are_mxfp4() -> None:
    """gpt-oss-20b: 12.8 GiB of tensors on the hub."""
    config = {
        "model_type": "gpt_oss", "hidden_size": 2880, "num_hidden_layers": 24, "num_attention_heads": 64,
        "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 2880, "vocab_size": 201088,
        "num_local_experts": 32, "num_experts_per_tok": 4, "sliding_window": 128,
        "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]},
    }  # fmt: skip
    found = from_config(config)
    assert found.kept == pytest.approx(1 - found.shape.routed / found.shape.linear)
    assert as_kept(found, PRECISIONS["mxfp4"]) is found


def test_a_format_that_nobody_knows_is_said() -> None:
    found = from_config({**LLAMA, "quantization_config": {"quant_method": "wizardry"}})
    assert found.precision.name == "bf16"
    assert "'wizardry' is not known" in found.assumed[0]
    assert found.shape.assumed == found.assumed


def test_what_predicts_several_tokens_is_not_loaded_and_32_bits_become_16() -> None:
    weight = Tensor("F32", (10, 10), 400)
    names = ["model.layers.60.mlp.up_proj.weight", "model.layers.61.mlp.up_proj.weight", "mtp.layers.0.fc.weight"]
    for count in (1, 3):
        assert from_safetensors(dict.fromkeys(names[:count], weight), DEEPSEEK).bytes == 200


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "hidden_size and num_hidden_layers"),
        ({"hidden_size": 64}, "num_hidden_layers"),
        ({"hidden_size": "wide", "num_hidden_layers": True}, "hidden_size and num_hidden_layers"),
        ({"hidden_size": 64, "num_hidden_layers": 1_000_000}, "1000000 layers"),
    ],
)
def test_a_config_that_describes_no_model_is_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(InfctlError) as failure:
        from_config(config, "acme/odd")
    assert words in failure.value.diagnostics[0].detail
    assert "acme/odd" in failure.value.diagnostics[0].summary


def test_headers_give_what_an_engine_logs() -> None:
    """Meta's FP8 of the 405B keeps attention and the first and last layer in 16 bits: 56.7677 GiB on each of 8 GPUs
    (dstack's benchmarks, vLLM 0.6.3).
    """
    wide, mlp, keys = 16384, 53248, 1024
    shapes = {"gate_proj": (mlp, wide), "up_proj": (mlp, wide), "down_proj": (wide, mlp)}
    tensors = {name: Tensor("BF16", (128256, wide), 2 * 128256 * wide) for name in ("model.embed_tokens", "lm_head")}
    for layer in range(126):
        for name, rows in (("q_proj", wide), ("k_proj", keys), ("v_proj", keys), ("o_proj", wide)):
            tensors[f"model.layers.{layer}.self_attn.{name}.weight"] = Tensor("BF16", (rows, wide), 2 * rows * wide)
        kind, each = ("F8_E4M3", 1) if 0 < layer < 125 else ("BF16", 2)
        for name, (rows, columns) in shapes.items():
            size = each * rows * columns
            tensors[f"model.layers.{layer}.mlp.{name}.weight"] = Tensor(kind, (rows, columns), size)
    config = {
        **LLAMA, "hidden_size": wide, "intermediate_size": mlp, "num_hidden_layers": 126, "num_attention_heads": 128,
        "quantization_config": {"quant_method": "fbgemm_fp8", "modules_to_not_convert": []},
    }  # fmt: skip
    found = from_safetensors(tensors, config)
    assert found.kept == pytest.approx(0.192, abs=0.001)
    card = gpus().find("H100-SXM-80GB")
    case = Case(found.shape, card, found.precision, "vllm", "0.6.3", 8, kept=found.kept, weight_bytes=found.bytes)
    assert budget(case).weights / GIB == pytest.approx(56.7677, rel=0.002)
