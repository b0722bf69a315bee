"""Writes tiny random-weight Llama models, so that a test can have a real engine load different files at once.

The text such a model makes is noise; every endpoint of the engine works. Knows nothing of infctl.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gguf
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

EMBEDDING, LAYERS, HEADS, FEED_FORWARD = 64, 2, 2, 128
SPECIAL = ("<s>", "</s>")
CHAT_TEMPLATE = "{% for m in messages %}{{m['role']}}: {{m['content']}}\n{% endfor %}assistant:"


def byte_alphabet() -> tuple[str, ...]:
    """Return GPT-2's printable stand-ins for the 256 byte values, in byte order.

    llama.cpp's "gpt2" tokenizer looks bytes up under these characters (openai/gpt-2, encoder.py,
    `bytes_to_unicode`): a printable byte stands for itself, the others get code points from 256 on.
    """
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    return tuple(chr(byte if byte in printable else next(spare)) for byte in range(256))


def write_tiny_gguf(path: Path, *, seed: int = 0, context_length: int = 2048) -> Path:
    """Write a byte-level Llama of about 0.4 MB; another seed gives other weights. `context_length`: tokens."""
    tokens = [*SPECIAL, *byte_alphabet(), "th", "he"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"tiny-{seed}")
    writer.add_context_length(context_length)
    writer.add_embedding_length(EMBEDDING)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control] * len(SPECIAL) + [normal] * (len(tokens) - len(SPECIAL)))
    writer.add_token_merges(["t h", "h e"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(value=False)
    writer.add_chat_template(CHAT_TEMPLATE)
    add_weights(writer, np.random.default_rng(seed), len(tokens))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_weights(writer: gguf.GGUFWriter, random: np.random.Generator, vocabulary: int) -> None:
    """Add every tensor that llama.cpp's "llama" architecture asks for; norms are ones."""

    def add(name: str, *shape: int) -> None:
        values = random.standard_normal(shape) * 0.1 if len(shape) > 1 else np.ones(shape)
        writer.add_tensor(f"{name}.weight", values.astype(np.float32))

    add("token_embd", vocabulary, EMBEDDING)
    add("output_norm", EMBEDDING)
    add("output", vocabulary, EMBEDDING)
    for layer in range(LAYERS):
        for norm in ("attn_norm", "ffn_norm"):
            add(f"blk.{layer}.{norm}", EMBEDDING)
        for square in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{square}", EMBEDDING, EMBEDDING)
        for wide in ("ffn_gate", "ffn_up"):
            add(f"blk.{layer}.{wide}", FEED_FORWARD, EMBEDDING)
        add(f"blk.{layer}.ffn_down", EMBEDDING, FEED_FORWARD)
