"""Owns how engines lay out a GPU's memory by default, by engine and version. Pure.

Sources: vLLM (vllm/config/cache.py, engine/arg_utils.py, v1/worker/gpu_worker.py, v1/core/kv_cache_utils.py), SGLang
(server_args.py, memory_hook.py), TensorRT-LLM (performance overview), TGI (launcher). What was measured, not read:

- vLLM 0.8 to 0.18 profiles its sampler with `max_num_seqs` answers: 38 bytes for each logit. Off seven start-ups on an
  H100 (llm-d-benchmark, config_explorer/empirical-vllm-memory-results.md: 4.76 GiB with a vocabulary of 128,256, 5.56
  with 151,936, 7.38 with 201,088; 1,024 sequences), and before 0.8 off one (pull request 10511: 1.26 GiB with 256).
  Later versions sample in place: 7 bytes, off two start-ups of July and August 2026.
- Graphs: before 0.8 "1~3 GiB" by vLLM's own message, 0.5 to 0.7 since (ibid.).
- Outside of PyTorch: before 0.7 what the CUDA context and libraries hold, 0.35 GiB of a 23.6 GiB card (issue 10517) and
  1.79 of 79.2, twice that with NCCL (pull request 10511), between them a line. Since then only what profiling adds:
  0.14 GiB, with NVLink 0.26 for each rank (0.55 of two, llm-d-benchmark; 2.1 of eight), without 0.22. V1 before 0.10
  counted what was there before too: a context of 0.23 GiB on 22, 0.49 on 44, 0.61 on 79, and 0.93 of NCCL (free memory
  at start-up in the same logs).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from infctl.catalog.gpus import Gpu
from infctl.frozen import dataclass
from infctl.sizing.versions import before

LARGE_GPU = 70  # GiB from which engines take larger batches by default


@dataclass(frozen=True, slots=True)
class Habits:
    """How an engine family lays out a GPU's memory by default. `seqs` and `tokens` are the most of one pass, for large
    GPUs and for others; `graphs` in GiB for each GPU; `graphs_inside` is whether they come out of `utilization`,
    `scratch_inside` whether activations do, `of_what_is_left` whether it is a part of what the weights leave.
    `per_logit` are the bytes of the sampler's scratch for each logit; `alike` is whether the log counts all layers as
    if each kept the whole context.
    """

    utilization: float
    seqs: tuple[int, int]
    tokens: tuple[int, int]
    graphs: float
    graphs_inside: bool = False
    of_what_is_left: bool = False
    scratch_inside: bool = True
    per_logit: float = 38.0
    alike: bool = False
    whole: bool = False


VLLM: Final = Habits(0.92, (1024, 256), (8192, 2048), 0.6, graphs_inside=True, per_logit=7.0)
# Of vLLM, what held before a version: (since, habits before it), the oldest first.
_VLLM_AGES: Final = (
    ((0, 8), Habits(0.90, (256, 256), (8192, 2048), 2.0, alike=True, whole=True)),
    ((0, 9), Habits(0.90, (1024, 1024), (8192, 2048), 0.5, alike=True)),
    ((0, 19), Habits(0.90, (1024, 256), (8192, 2048), 0.5, alike=True)),
    ((0, 21), Habits(0.90, (1024, 256), (8192, 2048), 0.5, per_logit=7.0)),
)
_EARLY: Final = re.compile(r"(?i)\b(jan|feb)\w* 2025\b")  # V1 was tried then, and kept V0's accounts
_HABITS: Final = {
    "sglang": Habits(0.88, (2048, 2048), (8192, 2048), 1.5, scratch_inside=False, per_logit=7.0),
    "tensorrt-llm": Habits(0.90, (2048, 2048), (8192, 8192), 0.5, of_what_is_left=True, per_logit=4.0),
    "tgi": Habits(1.0, (1024, 512), (65536, 4096), 1.0, graphs_inside=True, per_logit=4.0),
    "llama.cpp": Habits(1.0, (4, 4), (2048, 2048), 0.0, per_logit=4.0),
    "transformers": Habits(1.0, (1, 1), (1, 1), 0.0, per_logit=0.0),
}


@lru_cache(256)  # a search for the best GPU asks the same of thousands of ways
def habits_of(engine: str, version: str) -> Habits:
    """Return an engine's habits; of one that is not known, those of vLLM."""
    if engine == "vllm":
        if _EARLY.search(version):
            return _VLLM_AGES[0][1]
        return next((habits for since, habits in _VLLM_AGES if before(engine, version, since)), VLLM)
    return _HABITS.get(engine, VLLM)


def is_large(engine: str, version: str, gpu: Gpu) -> bool:
    """Return whether an engine takes the larger batches on a GPU: vLLM does not on an A100, since some
    release after 0.9: 0.9.2 is measured with 1,000 sequences at a time there (GPUStack's study of quantization).
    """
    spared = engine == "vllm" and gpu.name.startswith("A100") and not before(engine, version, (0, 10))
    return gpu.memory >= LARGE_GPU and not spared


def outside(engine: str, version: str, gpu: Gpu, ranks: int) -> float:
    """Return the GiB on each of `ranks` GPUs that the engine's accounts call neither weights, cache nor activations."""
    if engine == "transformers":  # reports what PyTorch allocates
        return 0.0
    linked = gpu.link_kind != "pcie"
    if engine == "vllm" and not before(engine, version, (0, 7)) and not _EARLY.search(version):
        added = 0.14 if ranks == 1 else 0.26 * ranks if linked else 0.22
        counted = before(engine, version, (0, 10)) and not before(engine, version, (0, 8))
        return added + (begun(gpu, ranks) if counted else 0.0)
    if engine == "llama.cpp":
        return context(gpu)
    small, large = (23.58, 0.35), (79.22, 1.79)  # GiB of the card, GiB taken
    slope = (large[1] - small[1]) / (large[0] - small[0])
    taken = min(2.5, max(0.2, small[1] + slope * (gpu.memory - small[0])))
    return taken * (2 if ranks > 1 and linked else 1)


def context(gpu: Gpu) -> float:
    """Return the GiB that a CUDA context takes on a GPU before anything is loaded."""
    return min(0.7, 0.08 + 0.0067 * gpu.memory)


def begun(gpu: Gpu, ranks: int) -> float:
    """Return the GiB that are taken on each of `ranks` GPUs before anything is loaded: the context, and NCCL."""
    return context(gpu) + (0.93 if ranks > 1 and gpu.link_kind != "pcie" else 0.0)


def static_share(version: str, gpu: Gpu, ranks: int) -> float:
    """Return SGLang's default mem_fraction_static: by ranks up to 0.4, then what a reserve leaves (memory_hook.py:
    512 MB, 1.5 for each token of a chunk, 2 for each sequence of the largest graph, 1 GB for eight ranks).
    """
    if before("sglang", version, (0, 5)):
        return next((share for most, share in ((1, 0.88), (2, 0.87), (4, 0.85), (8, 0.81)) if ranks <= most), 0.79)
    large = gpu.memory >= LARGE_GPU
    reserve = 512 + 1.5 * (8192 if large else 2048) + 2 * (256 if large else 24) + 1024 * ranks / 8
    return max(0.5, 1 - reserve / (1024 * gpu.memory))
