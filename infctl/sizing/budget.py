"""Owns what lies in a GPU's memory when an engine serves a model, and how many tokens of KV cache that leaves. Pure.

    vLLM      usable = total * utilization; cache = usable - weights - other - activations (- graphs since 0.21)
    SGLang    usable = (total - context) * fraction, cache = usable - weights; graphs and activations lie outside of it
    TRT-LLM   cache = fraction * (total - weights - other - activations)
    TGI       as vLLM, with the whole of the memory
    llama.cpp, transformers: cache = what the context asks for, where one is given; the rest is scratch

What engines do by default is in `habits`, with its sources. The scratch of a profiling pass is the MLP's moment, 2
bytes * tokens * 3 (MLP / tp + hidden) (fits two settings of vLLM issue 10517 to 1 %), or the sampler's, so many bytes
for each logit, beside the residual stream, 3.6 bytes * tokens * hidden.
"""

from __future__ import annotations

from dataclasses import replace

from infctl.frozen import dataclass
from infctl.sizing.case import Case
from infctl.sizing.habits import Habits, begun, habits_of, is_large, outside, static_share
from infctl.sizing.packing import packed_weights
from infctl.sizing.precision import KV_BYTES
from infctl.sizing.versions import native
from infctl.sizing.weights import (
    KEPT_BYTES,
    absorbed_bytes,
    kv_bytes,
    kv_bytes_alike,
    rope_bytes,
    weight_bytes,
    weight_bytes_per_gpu,
)

__all__ = ["GIB", "Memory", "budget", "habits_of", "scratch"]
GIB = 1024**3
BLOCK = 16  # tokens of one block of a paged cache (vLLM, SGLang's page and TensorRT-LLM's are powers of two near it)
_RESIDUAL = 3.6  # bytes for each token and element: what lives through a pass (see `habits`)
_CAPTURED = 512  # the largest batch that a graph is captured for
_LEAST_GRAPHS = 0.1  # GiB
_LIBRARIES = 0.5  # GiB that SGLang's kernels take while it loads (vLLM issue 21348: 367,404 tokens on 4 H100)
_UBATCH = 512  # tokens that llama.cpp computes at once
_WORKSPACE = 0.03  # GiB that a process without a cache of its own takes for matrix products
_MAKES = frozenset({"vllm", "sglang"})  # engines that make tables and products of weights while they load
_READ_WHOLE = frozenset({"vllm", "sglang"})  # engines that refuse a context which the cache cannot hold once
_CHUNKED = 32_768  # tokens of context from which vLLM before 0.8 cuts prompts into chunks by itself


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on each GPU. `kv` is what is left for the cache, `kv_tokens` how many tokens that is over all sequences.

    `total` is what everything together takes, `usable` what the engine may take of it at most. `most_seqs` sequences
    run at a time, `most_tokens` go through one pass. `fits` is whether one sequence of the longest kind has room.
    `kv_logged` are the tokens as the engine's own log counts them.
    """

    weights: float
    kv: float
    kv_bytes_per_token: float
    kv_tokens: int
    activations: float
    graphs: float
    other: float
    usable: float
    most_seqs: int
    most_tokens: int
    fits: bool
    reason: str = ""
    kv_logged: int = 0

    @property
    def total(self) -> float:
        return self.weights + max(0.0, self.kv) + self.activations + self.graphs + self.other


def budget(case: Case) -> Memory:
    """Return what lies in each GPU's memory; of a pipeline, on the fullest stage."""
    gpu, habits = case.gpu, habits_of(case.engine, case.engine_version)
    large = 0 if is_large(case.engine, case.engine_version, gpu) else 1
    seqs = case.max_num_seqs or habits.seqs[large]
    tokens = _tokens(case, habits, habits.tokens[large])
    longest = case.max_model_len or int(case.isl + case.osl)
    weights = weights_on_gpu(case)
    other = outside(case.engine, case.engine_version, gpu, case.tensor) * GIB
    activations = scratch(case, tokens, seqs)
    graphs = _graphs(habits, seqs) * GIB
    allowed, kv = _left(case, habits, weights, activations + other, graphs)
    each = kv_bytes(case.shape, longest, KV_BYTES[case.kv_dtype], case.tensor) / max(1, longest) / case.pipeline
    asked = longest * (case.max_num_seqs or 1)
    if case.engine == "transformers" or (case.engine == "llama.cpp" and case.max_model_len):
        room, kv = kv + activations, each * asked
        if case.engine == "transformers":
            activations = max(activations + _WORKSPACE * GIB, _loading(case) - kv)
        lacks = kv + activations - room
        why = f"{lacks / GIB:.1f} GiB too much on each GPU" if lacks > 0 else ""
        return Memory(weights, kv, each, asked, activations, graphs, other, allowed, seqs, tokens, not why, why, asked)
    held = int(kv / each / BLOCK) * BLOCK if each and kv > 0 else 0
    alike = kv_bytes_alike(case.shape, KV_BYTES[case.kv_dtype], case.tensor) / case.pipeline if habits.alike else each
    logged = int(kv / alike / BLOCK) * BLOCK if alike and kv > 0 else 0
    fits, reason = _verdict(kv, each, held, longest)
    return Memory(weights, kv, each, held, activations, graphs, other, allowed, seqs, tokens, fits, reason, logged)


def weights_on_gpu(case: Case) -> float:
    """Return the bytes of weights on the fullest GPU: exact where the checkpoint's own are known."""
    shape, precision = packed_weights(case)
    each = weight_bytes_per_gpu(shape, precision, case.count, kept=case.kept, pipeline=case.pipeline)
    if case.weight_bytes is not None:
        each *= case.weight_bytes / weight_bytes(case.shape, case.precision, kept=case.kept)
    if native(case.engine, case.engine_version) and case.tensor > 1:  # its builds keep both tables whole on each rank
        tables = 1 if shape.tied else 2
        each += tables * shape.vocab * shape.hidden * KEPT_BYTES * (1 - 1 / case.tensor)
    if case.engine in _MAKES:
        each += rope_bytes(shape, case.max_model_len or shape.context) + absorbed_bytes(shape, case.count)
    return each


def _loading(case: Case) -> float:
    """Return the bytes that a model takes only while transformers loads it: AutoAWQ writes out a tied output matrix."""
    twice = case.engine == "transformers" and case.shape.tied and case.precision.name == "awq"
    return case.shape.vocab * case.shape.hidden * KEPT_BYTES if twice else 0.0


def _tokens(case: Case, habits: Habits, default: int) -> int:
    """Return the most tokens of one pass. vLLM before 0.8 takes whole prompts, up to a certain context."""
    if case.max_num_batched_tokens:
        return case.max_num_batched_tokens
    if case.engine == "transformers":
        return max(1, int(case.isl))
    length = case.max_model_len or 0
    return max(2048, length) if habits.whole and 0 < length <= _CHUNKED else default


def _graphs(habits: Habits, seqs: int) -> float:
    """Return the GiB of CUDA graphs: captured for batches up to twice the sequences (vLLM's default sizes)."""
    if not habits.graphs:
        return 0.0
    return _LEAST_GRAPHS + (habits.graphs - _LEAST_GRAPHS) * min(1.0, 2 * seqs / _CAPTURED)


def _left(case: Case, habits: Habits, weights: float, scratched: float, graphs: float) -> tuple[float, float]:
    """Return (bytes that the engine may take, bytes that are left of them for the cache)."""
    whole = case.gpu.memory * GIB
    if habits.of_what_is_left:
        return whole, (whole - weights - scratched - graphs) * (case.utilization or habits.utilization)
    if not habits.scratch_inside:  # SGLang: a part of what is free once its context and NCCL are there
        free = whole - begun(case.gpu, case.tensor) * GIB
        allowed = free * (case.utilization or static_share(case.engine_version, case.gpu, case.tensor))
        return allowed, allowed - weights - _LIBRARIES * GIB
    allowed = whole * (case.utilization or habits.utilization)
    return allowed, allowed - weights - scratched - (graphs if habits.graphs_inside else 0.0)


def scratch(case: Case, tokens: int, seqs: int) -> float:
    """Return the bytes of the widest moment of one pass of `tokens` tokens, of which `seqs` get an answer."""
    shape = case.shape
    if case.engine == "llama.cpp":  # logits and one row of each token in 32 bits, with flash attention
        return 4.0 * _UBATCH * (shape.vocab + shape.hidden)
    wide = shape.mlp
    if shape.experts:
        wide = max(shape.expert_mlp * (shape.active + shape.shared), shape.mlp if shape.dense_layers else 0)
    layer = 2 * tokens * 3 * (wide / case.tensor + shape.hidden)
    if shape.encoder:
        return layer
    habits = habits_of(case.engine, case.engine_version)
    answers = habits.per_logit * min(seqs, tokens) * shape.vocab
    return max(layer, answers + _RESIDUAL * tokens * shape.hidden)


def longest_asked(case: Case) -> Case:
    """Return the case with the length that an engine takes where nobody says one: all that the model reads."""
    if case.max_model_len or not case.shape.context or case.engine not in _READ_WHOLE:
        return case
    return replace(case, max_model_len=case.shape.context)


def _verdict(kv: float, each: float, held: int, longest: int) -> tuple[bool, str]:
    if kv <= 0:
        return False, f"the weights leave no room: {-kv / GIB:.1f} GiB too much on each GPU"
    if each and held < longest:
        return False, f"the KV cache holds {held:,} tokens, one sequence needs {longest:,}"
    return True, ""
