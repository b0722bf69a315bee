"""Owns what lies in a GPU's memory when an engine serves a model, and how many tokens of KV cache that leaves. Pure.

    vLLM      usable = total * utilization; cache = usable - weights - other - activations (- graphs since 0.21)
    SGLang    usable = total * fraction, cache = usable - weights; graphs and activations lie outside of it
    TRT-LLM   cache = fraction * (total - weights - other - activations)
    TGI       as vLLM, with the whole of the memory
    llama.cpp cache = what the context asks for; the rest is scratch

Sources: vLLM (vllm/config/cache.py, v1/worker/gpu_worker.py), SGLang (server_args.py), TensorRT-LLM (performance
overview). What the CUDA context and the libraries take was read off logs: 0.35 GiB of an RTX 3090's 23.6 (issue 10517),
1.79 of a 79.2 GiB card and twice that with NCCL (PR 10511); between them a line. The scratch of a profiling pass is the
MLP's moment, 2 bytes * tokens * 3 (MLP / tp + hidden) (fits that issue's two settings to 1 %), or the sampler's, 41
bytes for each logit (the same PR).
"""

from __future__ import annotations

from infctl.catalog.gpus import Gpu
from infctl.frozen import dataclass
from infctl.sizing.case import Case
from infctl.sizing.precision import KV_BYTES
from infctl.sizing.weights import kv_bytes, weight_bytes_per_gpu

GIB = 1024**3
BLOCK = 16  # tokens of one block of a paged cache (vLLM, SGLang's page and TensorRT-LLM's are powers of two near it)
_SAMPLER = 41.0  # bytes for each logit while a token is chosen: its copies in several formats
_SAMPLED = 256  # sequences that the sampler's scratch grows with; larger batches are sampled in place
_LARGE_GPU = 70  # GiB from which engines take larger batches by default


@dataclass(frozen=True, slots=True)
class Habits:
    """How an engine family lays out a GPU's memory by default. `seqs` and `tokens` are the most of one pass, for large
    GPUs and for others; `graphs` in GiB for each GPU; `graphs_inside` is whether they come out of `utilization`.
    """

    utilization: float
    seqs: tuple[int, int]
    tokens: tuple[int, int]
    graphs: float
    graphs_inside: bool = False
    of_what_is_left: bool = False
    scratch_inside: bool = True


VLLM = Habits(0.92, (1024, 256), (8192, 2048), 0.6, graphs_inside=True)
_VLLM_V1 = Habits(0.90, (1024, 256), (8192, 2048), 1.0)  # 0.8 to 0.20
_VLLM_V0 = Habits(0.90, (256, 256), (8192, 2048), 1.0)
_HABITS = {
    "sglang": Habits(0.88, (256, 160), (8192, 2048), 1.5, scratch_inside=False),
    "tensorrt-llm": Habits(0.90, (256, 256), (8192, 8192), 0.5, of_what_is_left=True),
    "tgi": Habits(1.0, (128, 128), (4096, 4096), 1.0, graphs_inside=True),
    "llama.cpp": Habits(1.0, (4, 4), (2048, 2048), 0.0),
}
_INSIDE_SINCE = (0, 21)  # vLLM: graphs are part of what is asked for, and the default grew to make up for it


def habits_of(engine: str, version: str) -> Habits:
    """Return an engine's habits; of one that is not known, those of vLLM."""
    if engine == "vllm" and before(version, _INSIDE_SINCE):
        return _VLLM_V0 if before(version, (0, 8)) else _VLLM_V1
    return _HABITS.get(engine, VLLM)


def before(version: str, since: tuple[int, int]) -> bool:
    """Return whether a version is known to be older; one that does not say its number is not."""
    parts = version.split(" ", maxsplit=1)[0].split(".")
    return len(parts) > 1 and parts[0].isdigit() and parts[1].isdigit() and (int(parts[0]), int(parts[1])) < since


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on each GPU. `kv` is what is left for the cache, `kv_tokens` how many tokens that is over all sequences.

    `total` is what everything together takes, `usable` what the engine may take of it at most. `most_seqs` sequences
    run at a time, `most_tokens` go through one pass. `fits` is whether one sequence of the longest kind has room.
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

    @property
    def total(self) -> float:
        return self.weights + max(0.0, self.kv) + self.activations + self.graphs + self.other


def budget(case: Case) -> Memory:
    """Return what lies in each GPU's memory. A pipeline's stages are taken to be alike."""
    shape, gpu, ranks = case.shape, case.gpu, case.tensor
    habits = habits_of(case.engine, case.engine_version)
    large = 0 if gpu.memory >= _LARGE_GPU else 1
    seqs = case.max_num_seqs or habits.seqs[large]
    tokens = case.max_num_batched_tokens or habits.tokens[large]
    longest = case.max_model_len or int(case.isl + case.osl)
    weights = weight_bytes_per_gpu(shape, case.precision, case.count, kept=case.kept)
    other = _other(gpu, ranks)
    activations = scratch(case, tokens, seqs)
    graphs = habits.graphs * GIB
    allowed = gpu.memory * GIB * (case.utilization or habits.utilization)
    if habits.of_what_is_left:
        left = gpu.memory * GIB - weights - other - activations - graphs
        kv, allowed = left * (case.utilization or habits.utilization), gpu.memory * GIB
    else:
        kv = allowed - weights
        if habits.scratch_inside:
            kv -= other + activations + (graphs if habits.graphs_inside else 0.0)
    each = kv_bytes(shape, longest, KV_BYTES[case.kv_dtype], ranks) / max(1, longest) / case.pipeline
    held = int(kv / each / BLOCK) * BLOCK if each and kv > 0 else 0
    fits, reason = _verdict(kv, each, held, longest)
    return Memory(weights, kv, each, held, activations, graphs, other, allowed, seqs, tokens, fits, reason)


def scratch(case: Case, tokens: int, seqs: int) -> float:
    """Return the bytes of the widest moment of one pass of `tokens` tokens, of which `seqs` get an answer."""
    shape = case.shape
    wide = shape.mlp
    if shape.experts:
        wide = max(shape.expert_mlp * (shape.active + shape.shared), shape.mlp if shape.dense_layers else 0)
    layer = 2 * tokens * 3 * (wide / case.tensor + shape.hidden)
    return max(layer, _SAMPLER * min(seqs, _SAMPLED) * shape.vocab if not shape.encoder else 0.0)


def _other(gpu: Gpu, ranks: int) -> float:
    small, large = (23.58, 0.35), (79.22, 1.79)  # GiB of the card, GiB taken
    slope = (large[1] - small[1]) / (large[0] - small[0])
    taken = min(2.5, max(0.2, small[1] + slope * (gpu.memory - small[0])))
    return taken * GIB * (2 if ranks > 1 and gpu.link_kind != "pcie" else 1)


def _verdict(kv: float, each: float, held: int, longest: int) -> tuple[bool, str]:
    if kv <= 0:
        return False, f"the weights leave no room: {-kv / GIB:.1f} GiB too much on each GPU"
    if each and held < longest:
        return False, f"the KV cache holds {held:,} tokens, one sequence needs {longest:,}"
    return True, ""
