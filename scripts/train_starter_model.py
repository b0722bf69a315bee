"""Make stacks/hello/models/hello.gguf, the language model that ships with infctl, from nothing but this repository.

    python3.11 -m venv /tmp/train
    /tmp/train/bin/pip install jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6 gguf==0.19.0
    nice -n 15 /tmp/train/bin/python scripts/train_starter_model.py

The text comes from scripts/starter_model (its .txt files, mixed by corpus.py); nothing but the packages is downloaded.
Text, weights and this script are infctl's own work, under the Apache License 2.0.
It takes 13 s per 50 steps on two idle cores, 9 minutes in all; the shipped file took 16 beside other work.
The seed is fixed: on one machine, the same versions give the same file.
"""

import argparse
import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import gguf
import jax.numpy as jnp
import numpy as np
from starter_model.corpus import Corpus, Document
from starter_model.network import Batch, Learner, Shape, Weights, initialise, step
from starter_model.tokenizer import CONTROL, END, START, Tokenizer, train

OUT = Path(__file__).parent.parent / "stacks/hello/models/hello.gguf"
VOCABULARY, TIME, ROWS, SEED = 1024, 512, 4, 20261121
PEAK_RATE, WARMUP = 4e-3, 100
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'user' %}<|user|>{{ message.content | trim }}"
    "{% elif message.role == 'assistant' %}<|assistant|>{{ message.content | trim }}<|end|>"
    "{% else %}<|system|>{{ message.content | trim }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", type=int, default=2100)
    arguments.add_argument("--out", type=Path, default=OUT)
    options = arguments.parse_args()
    drawn = islice(Corpus(SEED).documents(), 8000)
    tokenizer = train((text for document in drawn for _, text in document), VOCABULARY)
    shape = Shape(vocabulary=len(tokenizer.tokens))
    weights = fit(tokenizer, shape, options.steps)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write(options.out, tokenizer, shape, weights)
    print(f"{options.out}: {options.out.stat().st_size:,} bytes")


def fit(tokenizer: Tokenizer, shape: Shape, steps: int) -> Weights:
    weights = initialise(shape, SEED)
    print(f"{sum(weight.size for weight in weights.values()):,} parameters, {steps} steps of {ROWS * TIME} tokens")
    learner = Learner(weights, *({name: jnp.zeros_like(w) for name, w in weights.items()} for _ in range(2)))
    started, losses = time.monotonic(), []
    for count, batch in enumerate(islice(draw_batches(tokenizer, shape.context), steps), 1):
        rate = PEAK_RATE * min(count / WARMUP, 0.51 + 0.5 * math.cos(math.pi * count / steps))
        learner, loss = step(learner, batch, rate, shape)
        losses.append(float(loss))
        if count % 50 == 0 or count == steps:
            print(
                f"step {count}: loss {np.mean(losses[-50:]):.4f} after {time.monotonic() - started:.0f} s", flush=True
            )
    return learner.weights


def draw_batches(tokenizer: Tokenizer, context: int) -> Iterator[Batch]:
    """Rows filled with whole documents and cut at TIME.

    Between turns the positions jump ahead by chance, so that short rows teach all distances of the context.
    """
    corpus = Corpus(SEED + 1)
    encoded = (encode_document(tokenizer, document) for document in corpus.documents())
    while True:
        tokens, learn = np.zeros((ROWS, TIME), np.int32), np.zeros((ROWS, TIME), np.float32)
        for row in range(ROWS):
            used = 0
            while used < TIME:
                ids, mask = next(encoded)
                room = min(TIME - used, len(ids))
                tokens[row, used : used + room], learn[row, used : used + room] = ids[:room], mask[:room]
                used += room
        starts = (tokens == START) | (tokens == CONTROL.index("<|user|>"))
        scales = corpus.rng.choice((0.0, 40.0, 300.0), (ROWS, 1))
        jumps = np.cumsum(corpus.rng.exponential(scales, tokens.shape) * starts, 1)
        jumps *= np.minimum(1.0, (context - TIME) / np.maximum(jumps[:, -1:], 1.0))
        yield Batch(tokens, (np.arange(TIME) + jumps).astype(np.int32), learn)


def encode_document(tokenizer: Tokenizer, document: Document) -> tuple[list[int], list[int]]:
    """Ids, and 1 for those the model must learn to say: plain text, answers, and where these end."""
    ids, learn = [START], [0]
    for role, text in document:
        if role not in {"text", "skip"}:
            ids.append(CONTROL.index("<|assistant|>" if role == "begin" else f"<|{role}|>"))
            learn.append(0)
        body = tokenizer.encode(text) + ([END] if role in {"text", "assistant"} else [])
        ids += body
        learn += [int(role in {"text", "assistant", "begin"})] * len(body)
    return ids, learn


def write(path: Path, tokenizer: Tokenizer, shape: Shape, weights: Weights) -> None:
    """The model as GGUF: matrices in Q8_0, norms in F32."""
    out = gguf.GGUFWriter(path, "llama")
    out.add_name("hello")
    out.add_description("The starter model of infctl: a tiny Llama that talks about plans, tokens and GPUs.")
    out.add_author("the infctl authors")
    out.add_license("Apache-2.0")
    out.add_context_length(shape.context)
    out.add_embedding_length(shape.width)
    out.add_block_count(shape.layers)
    out.add_feed_forward_length(shape.hidden)
    out.add_head_count(shape.heads)
    out.add_head_count_kv(shape.heads)
    out.add_layer_norm_rms_eps(shape.epsilon)
    out.add_rope_dimension_count(shape.head)
    out.add_rope_freq_base(shape.rope_base)
    out.add_vocab_size(len(tokenizer.tokens))
    out.add_pooling_type(gguf.PoolingType.MEAN)  # so that an embeddings request needs no setting
    out.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    write_tokenizer(out, tokenizer)
    for name, weight in weights.items():
        kind = gguf.GGMLQuantizationType.F32 if weight.ndim == 1 else gguf.GGMLQuantizationType.Q8_0
        out.add_tensor(name, gguf.quantize(np.asarray(weight, np.float32), kind), raw_dtype=kind)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def write_tokenizer(out: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(list(tokenizer.tokens))
    out.add_token_types([control if i < len(CONTROL) else normal for i in range(len(tokenizer.tokens))])
    out.add_token_merges([" ".join(pair) for pair in tokenizer.merges])
    out.add_bos_token_id(START)
    out.add_eos_token_id(END)
    out.add_add_bos_token(True)
    out.add_chat_template(CHAT_TEMPLATE)


if __name__ == "__main__":
    main()
