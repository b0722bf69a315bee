"""Owns what a GGUF header says of a model's shape, from llama.cpp's keys (src/llama-arch.cpp, `load_hparams`). Pure."""

from __future__ import annotations

from infctl.catalog.architecture import Architecture
from infctl.diagnostics import InfctlError, error
from infctl.engines.gguf import Header
from infctl.engines.model_file import BAD_MODEL_FILE

# Architectures whose layers with a window alternate, and how many of them one that sees everything follows.
_PERIODS = {"gemma2": 2, "gemma3": 6, "gpt-oss": 2, "cohere2": 4, "llama4": 4}
_GATELESS = frozenset(
    {"gpt2", "gptj", "gptneox", "falcon", "mpt", "bloom", "starcoder", "starcoder2", "phi2", "bert", "nemotron"}
)
_ENCODERS = frozenset({"bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "modern-bert", "neo-bert", "eurobert"})


def architecture_of(header: Header, name: str = "") -> Architecture:
    """Return the shape of the model in a GGUF file. Raises InfctlError (bad-model-file) where it says too little."""
    figure = header.figure
    kind, hidden, layers = header.architecture, figure("embedding_length"), figure("block_count")
    if not hidden or not layers:
        detail = f"it does not say {kind or 'its architecture'}.embedding_length and {kind}.block_count"
        raise InfctlError(
            error(BAD_MODEL_FILE, f"{name} does not describe a model", detail, hint=BAD_MODEL_FILE.remedy)
        )
    heads = _typical(header, "attention.head_count") or max(1, hidden // 128)
    latent = figure("attention.kv_lora_rank")
    rope = figure("rope.dimension_count") if latent else 0
    key = figure("attention.key_length_mla") or figure("attention.key_length")
    experts, window = figure("expert_count"), figure("attention.sliding_window")
    caching = _caching(header, layers)
    assumed = (
        ()
        if figure("attention.head_count") or header.arrays.get(f"{kind}.attention.head_count")
        else ("heads of 128 elements",)
    )
    return Architecture(
        name or str(header.metadata.get("general.name", "")),
        hidden,
        layers,
        heads,
        min(heads, _typical(header, "attention.head_count_kv") or heads),
        figure("attention.key_length") if not latent and figure("attention.key_length") else max(1, hidden // heads),
        _typical(header, "feed_forward_length"),
        header.lengths.get("tokenizer.ggml.tokens", 0) or figure("vocab_size"),
        gated=kind not in _GATELESS,
        expert_mlp=figure("expert_feed_forward_length") or figure("feed_forward_length") if experts else 0,
        experts=experts,
        active=figure("expert_used_count") if experts else 0,
        shared=figure("expert_shared_count"),
        dense_layers=min(layers, figure("leading_dense_block_count")) if experts else 0,
        q_rank=figure("attention.q_lora_rank"),
        kv_rank=latent,
        nope_dim=max(0, key - rope) if latent else 0,
        rope_dim=rope,
        v_dim=(figure("attention.value_length_mla") or figure("attention.value_length")) if latent else 0,
        window=window,
        context=figure("context_length"),
        encoder=kind in _ENCODERS,
        family=kind,
        seeing=_seeing(header, layers, window) if caching == layers else caching,
        stateful=layers - caching,
        assumed=assumed,
    )


def _typical(header: Header, name: str) -> int:
    """Return a figure, or of one for each layer the mean of those that are not zero."""
    each = [
        value
        for value in header.arrays.get(f"{header.architecture}.{name}", ())
        if isinstance(value, int) and value > 0
    ]
    return round(sum(each) / len(each)) if each else header.figure(name)


def _caching(header: Header, layers: int) -> int:
    """Return the layers that keep keys and values: those with KV heads, or one in so many of a hybrid."""
    each = header.arrays.get(f"{header.architecture}.attention.head_count_kv")
    if each is not None:
        return sum(1 for value in each[:layers] if value)
    interval = header.figure("full_attention_interval")
    return layers // interval if interval and header.figure("ssm.state_size") else layers


def _seeing(header: Header, layers: int, window: int) -> int:
    if not window:
        return -1
    pattern = header.arrays.get(f"{header.architecture}.attention.sliding_window_pattern")
    if pattern is not None and len(pattern) >= layers:
        return sum(1 for windowed in pattern[:layers] if not windowed)
    period = header.figure("attention.sliding_window_pattern") or _PERIODS.get(header.architecture, 0)
    return layers // period if period else layers
