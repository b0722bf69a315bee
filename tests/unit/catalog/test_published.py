"""Every well-known family is in the catalogue, and its count of parameters is the one that its publisher states."""

from __future__ import annotations

import pytest

from infctl.catalog.models import models

# Thousands of millions of parameters: model cards, and the counts that hubs make of the safetensors files.
PUBLISHED = {
    "meta-llama/Meta-Llama-3-8B": 8.03, "meta-llama/Llama-3.3-70B-Instruct": 70.6, "huggyllama/llama-7b": 6.74,
    "LLaMA-13B": 13.0, "LLaMA-65B": 65.3, "codellama/CodeLlama-34b-hf": 33.7,
    "meta-llama/Llama-2-13b-chat-hf": 13.0, "meta-llama/Llama-3.2-11B-Vision-Instruct": 10.64,
    "meta-llama/Llama-3.2-90B-Vision-Instruct": 88.6, "meta-llama/Llama-4-Scout-17B-16E-Instruct": 109,
    "meta-llama/Llama-4-Maverick-17B-128E-Instruct": 402, "mistralai/Mistral-7B-Instruct-v0.3": 7.25,
    "mistralai/Mistral-Small-Instruct-2409": 22.2, "mistralai/Mistral-Small-24B-Instruct-2501": 23.6,
    "mistralai/Mistral-Small-3.2-24B-Instruct-2506": 24.0, "mistralai/Mistral-Large-Instruct-2407": 123,
    "mistralai/Mistral-Nemo-Instruct-2407": 12.2, "mistralai/Ministral-8B-Instruct-2410": 8.02,
    "mistralai/Pixtral-12B-2409": 12.7, "mistralai/Mixtral-8x22B-Instruct-v0.1": 141,
    "Qwen/Qwen1.5-0.5B-Chat": 0.464, "Qwen/Qwen1.5-4B": 3.95, "Qwen/Qwen1.5-7B-Chat": 7.72,
    "Qwen/Qwen1.5-32B": 32.5, "Qwen/Qwen1.5-72B": 72.3, "Qwen/Qwen1.5-110B": 111, "Qwen/Qwen1.5-MoE-A2.7B": 14.3,
    "Qwen/Qwen2-57B-A14B-Instruct": 57.4, "Qwen/Qwen2.5-Coder-32B-Instruct": 32.8,
    "Qwen/Qwen2.5-VL-3B-Instruct": 3.75, "Qwen/Qwen2.5-VL-7B-Instruct": 8.29, "Qwen/Qwen2.5-VL-72B-Instruct": 73.4,
    "Qwen/Qwen2-VL-2B-Instruct": 2.21, "Qwen/Qwen2-VL-7B-Instruct": 8.29, "Qwen/Qwen3-Next-80B-A3B-Instruct": 79.7,
    "Qwen/Qwen3-4B-Instruct-2507": 4.02, "Qwen/Qwen3-14B": 14.8, "Qwen/Qwen3-Coder-480B-A35B-Instruct": 480,
    "Qwen/Qwen3-VL-8B-Instruct": 8.77, "Qwen/Qwen3-VL-30B-A3B-Instruct": 31.1, "Qwen/Qwen3-Embedding-8B": 7.57,
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": 1.78, "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B": 32.8,
    "deepseek-ai/DeepSeek-R1-Distill-Llama-8B": 8.03, "deepseek-ai/DeepSeek-V2-Lite-Chat": 15.7,
    "deepseek-ai/DeepSeek-V2.5": 236, "deepseek-ai/deepseek-llm-67b-chat": 67.4,
    "deepseek-ai/deepseek-moe-16b-base": 16.4, "deepseek-ai/deepseek-coder-33b-instruct": 33.3,
    "moonshotai/Moonlight-16B-A3B-Instruct": 16.0, "moonshotai/Kimi-K2-Instruct": 1026, "google/gemma-2b-it": 2.51,
    "google/gemma-7b-it": 8.54, "google/gemma-2-2b-it": 2.61, "google/gemma-2-27b-it": 27.2,
    "google/gemma-3-270m-it": 0.268, "google/gemma-3-1b-it": 1.00, "google/gemma-3-4b-it": 4.30,
    "google/gemma-3-12b-it": 12.2, "google/gemma-3-27b-it": 27.4, "microsoft/phi-2": 2.78,
    "microsoft/Phi-3-mini-4k-instruct": 3.82, "microsoft/Phi-3-medium-4k-instruct": 14.0,
    "microsoft/Phi-3.5-MoE-instruct": 41.9, "microsoft/Phi-4-mini-instruct": 3.84, "01-ai/Yi-6B": 6.06,
    "01-ai/Yi-1.5-34B-Chat": 34.4, "tiiuae/falcon-40b-instruct": 41.3, "tiiuae/Falcon3-7B-Instruct": 7.46,
    "facebook/opt-1.3b": 1.32, "facebook/opt-6.7b": 6.66, "facebook/opt-13b": 12.9, "facebook/opt-66b": 65.7,
    "EleutherAI/gpt-j-6b": 6.05, "EleutherAI/gpt-neox-20b": 20.6, "mosaicml/mpt-7b": 6.65, "mosaicml/mpt-30b": 30.0,
    "bigscience/bloom": 176, "bigcode/starcoder": 15.5, "bigcode/starcoder2-7b": 7.17,
    "bigcode/starcoder2-15b": 16.0, "CohereForAI/c4ai-command-r-v01": 35.0, "CohereForAI/c4ai-command-r-plus": 104,
    "CohereForAI/c4ai-command-r7b-12-2024": 8.03, "CohereForAI/c4ai-command-a-03-2025": 111,
    "databricks/dbrx-instruct": 132, "allenai/OLMo-2-1124-7B": 7.30, "allenai/OLMo-2-0325-32B-Instruct": 32.2,
    "allenai/OLMoE-1B-7B-0924": 6.92, "internlm/internlm2_5-7b-chat": 7.74, "internlm/internlm2_5-20b-chat": 19.9,
    "internlm/internlm3-8b-instruct": 8.80, "THUDM/chatglm3-6b": 6.24, "THUDM/glm-4-9b-chat": 9.40,
    "THUDM/GLM-4-32B-0414": 32.6, "zai-org/GLM-4.5-Air": 107, "zai-org/GLM-4.5": 353, "zai-org/GLM-5": 744,
    "MiniMaxAI/MiniMax-Text-01": 456, "MiniMaxAI/MiniMax-M2": 229, "ibm-granite/granite-3.3-8b-instruct": 8.17,
    "ibm-granite/granite-3.3-2b-instruct": 2.53, "ibm-granite/granite-4.0-h-small": 32.2,
    "nvidia/Nemotron-4-340B-Instruct": 341, "nvidia/Llama-3_3-Nemotron-Super-49B-v1": 49.9,
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": 31.6, "nvidia/Nemotron-H-56B-Base-8K": 56.3,
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": 1.10, "HuggingFaceTB/SmolLM2-1.7B": 1.71,
    "HuggingFaceTB/SmolLM3-3B": 3.08, "upstage/SOLAR-10.7B-Instruct-v1.0": 10.7,
    "baichuan-inc/Baichuan2-13B-Chat": 13.9, "ByteDance-Seed/Seed-OSS-36B-Instruct": 36.2,
    "ai21labs/AI21-Jamba-1.5-Mini": 51.6, "llava-hf/llava-1.5-7b-hf": 7.06, "XiaomiMiMo/MiMo-V2-Flash": 309,
    "openai/gpt-oss-20b": 20.9, "deepseek-ai/DeepSeek-V3.1": 671, "BAAI/bge-base-en-v1.5": 0.109,
    "BAAI/bge-large-en-v1.5": 0.335, "BAAI/bge-small-en-v1.5": 0.0334, "BAAI/bge-reranker-v2-m3": 0.568,
    "BAAI/bge-reranker-large": 0.560, "intfloat/multilingual-e5-large": 0.560,
    "intfloat/multilingual-e5-base": 0.278, "intfloat/multilingual-e5-small": 0.118,
    "intfloat/e5-mistral-7b-instruct": 7.11, "Alibaba-NLP/gte-large-en-v1.5": 0.434,
    "Alibaba-NLP/gte-multilingual-base": 0.305, "Alibaba-NLP/gte-Qwen2-7B-instruct": 7.07,
    "nomic-ai/nomic-embed-text-v1.5": 0.137, "jinaai/jina-embeddings-v2-base-en": 0.137,
    "sentence-transformers/all-MiniLM-L6-v2": 0.0227, "sentence-transformers/all-mpnet-base-v2": 0.109,
    "cross-encoder/ms-marco-MiniLM-L-6-v2": 0.0227, "answerdotai/ModernBERT-base": 0.149,
    "bert-base-uncased": 0.1095, "distilbert-base-uncased": 0.067, "FacebookAI/roberta-large": 0.355,
    "mixedbread-ai/mxbai-embed-large-v1": 0.335,
}  # fmt: skip


@pytest.mark.parametrize(("name", "billions"), PUBLISHED.items())
def test_the_count_of_parameters_is_the_published_one(name: str, billions: float) -> None:
    found = models().find(name)
    assert found is not None
    assert found.total / 1e9 == pytest.approx(billions, rel=0.0075)


def test_every_row_is_plausible_and_found_by_all_its_names() -> None:
    for name, row in models().rows.items():
        found = models().find(name)
        assert found is not None
        assert found.total == row.total, name
        assert row.family, name
        assert row.context, name
        assert row.heads % row.kv_heads == 0, name
        assert 0 <= row.full_layers <= row.layers, name


def test_a_checkpoint_that_leaves_layers_out_says_so() -> None:
    """Meta's FP8 of the 405B keeps attention and the first and last layer: 56.77 GiB on each of 8 GPUs, not 47.7."""
    assert models().kept_as("meta-llama/Llama-3.1-405B-FP8")["kept"] == pytest.approx(0.192, abs=0.001)


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("Qwen/Qwen3-32B-AWQ", "awq"), ("Qwen/Qwen2.5-72B-Instruct-GPTQ-Int8", "int8-gptq"),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "fp8"), ("nvidia/Llama-3.3-70B-Instruct-FP4", "nvfp4"),
        ("neuralmagic/Meta-Llama-3.1-70B-Instruct-quantized.w8a8", "int8"), ("unsloth/gemma-3-27b-it-bnb-4bit", "nf4"),
    ],
)  # fmt: skip
def test_the_name_of_a_checkpoint_says_its_format(name: str, precision: str) -> None:
    assert models().kept_as(name) == {"precision": precision}
