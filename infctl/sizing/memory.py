"""Owns how much memory one llama.cpp replica needs on CPUs, and whether it fits. Pure.

Knows nothing of processes; a test starts real engines and measures how far off it is.
Where the figures come from: weights and KV cache are arithmetic over the model file's own numbers; the compute buffer
and the process were fitted to xllamacpp 2026.10.11549 on x86-64, whose log states its buffers, over eleven models and
settings: within 3 % for every buffer, within 5 % of the resident memory after use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from infctl.engines.ggml import BY_NAME
from infctl.engines.model_file import ModelFile, Shape
from infctl.frozen import dataclass

MIB: Final = 1024**2
PROCESS = 38 * MIB  # an idle engine without a model: 23 MiB of its own, 15 of libraries (measured)
TOKENIZER_ENTRY = 200  # bytes for each token and each merge in memory (measured: 190 to 205)
BATCH = 512  # tokens computed at once: llama.cpp's n_ubatch where it is not given
CONTEXT_STEP = 256  # llama.cpp rounds the context of each slot up to this (src/llama-context.cpp)
# Formats whose tensors llama.cpp copies into an order that the CPU likes (ggml/src/ggml-cpu/repack.cpp): these are no
# longer the mapped file. Q2_K only with AVX-512.
COPIED: Final = frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4", "Q2_K"})
_MAPPED: Final = frozenset({"auto", "mmap", "mlock", "mmap_mlock"})


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of one replica. `weights` are those of the model; `shared` of them stay in the mapped file, which all
    replicas on a machine share. `kv` is the KV cache, `compute` the scratch of one batch, `process` the rest.
    `exact` is whether `kv` is known: it is an upper bound where layers keep less than the whole context.
    """

    weights: int
    kv: int
    compute: int
    process: int
    shared: int = 0
    exact: bool = True

    @property
    def total(self) -> int:
        """What the first replica on a machine needs."""
        return self.weights + self.kv + self.compute + self.process

    def of(self, replicas: int) -> int:
        """Return what so many replicas on one machine need together."""
        return replicas * (self.total - self.shared) + self.shared if replicas else 0

    def least(self, replicas: int) -> int:
        """Return what so many replicas surely need: nothing that was only measured, nothing that may be less."""
        each = self.weights - self.shared + (self.kv if self.exact else 0)
        return replicas * each + self.shared if replicas else 0


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether replicas fit. Bytes. `certain` is false where they might fit although `fits` is false."""

    needed: int
    free: int
    fits: bool
    certain: bool
    reason: str


def fit(need: Need, replicas: int, free: int) -> Fit:
    """Return whether `replicas` more on one machine fit into `free` bytes."""
    needed = need.of(replicas)
    fits = needed <= free
    parts = f"{_gib(need.weights)} weights + {_gib(need.kv)} kv + {_gib(need.compute + need.process)} other"
    reason = f"{replicas} x ({parts}) = {_gib(needed)} of {_gib(free)} GiB free"
    return Fit(needed, free, fits, fits or need.least(replicas) > free, reason)


def _gib(size: int) -> str:
    return f"{size / 1024**3:.2f}"


def need_of(file: ModelFile, args: Mapping[str, Any], task: str) -> Need | None:
    """Return what llama.cpp needs for `file` with `args` (as `engines.llama_cpp` makes them); None where the file
    does not say enough.
    """
    shape = file.shape
    if shape is None or not args:
        return None
    slots = args["parallel"]
    context = -(-args["ctx_size"] // slots // CONTEXT_STEP) * CONTEXT_STEP
    mapped = args.get("load_mode", "auto") in _MAPPED
    copied = sum(size for name, size in file.formats.items() if name in COPIED)
    return Need(
        weights=file.weights,
        kv=kv_bytes(shape, context * slots, args) + args["cache_ram"] * MIB,
        compute=_compute_bytes(shape, context, args, task),
        process=PROCESS + TOKENIZER_ENTRY * (shape.vocabulary + shape.merges),
        shared=file.weights - copied if mapped else 0,
        exact=shape.plain,
    )


def kv_bytes(shape: Shape, tokens: int, args: Mapping[str, Any]) -> int:
    """Return the bytes of the KV cache: one key and one value per token, layer and KV head (SIZING: 2 * layers *
    kv_heads * head_dim * bytes, with lengths and formats of keys and values apart).
    """
    keys, values = (BY_NAME[str(args.get(name, "f16")).upper()] for name in ("cache_type_k", "cache_type_v"))
    each = keys.bytes_of(shape.kv_heads * shape.key_length) + values.bytes_of(shape.kv_heads * shape.value_length)
    return tokens * each


def _compute_bytes(shape: Shape, context: int, args: Mapping[str, Any], task: str) -> int:
    """Return the scratch of one batch: the widest moment of a layer in 32 bits, and the attention mask.

    The widest moment is the feed-forward part; or, without flash attention, the scores of all heads; or, where every
    token is an output, the logits (fitted, see above).
    """
    embedding, batch = shape.embedding_length, args.get("ubatch_size", BATCH)
    wide = 3 * shape.feed_forward_length + 5 * embedding
    mask = 2
    if args.get("flash_attn") == "off":
        wide, mask = max(wide, shape.heads * context + 7 * embedding), 4
    if task == "embed":  # an input is embedded in one go
        batch = max(BATCH, context)
        wide = max(wide, shape.vocabulary + 5 * embedding)
    return int(batch * (4 * wide + mask * context) + 4 * shape.vocabulary * args["parallel"])
