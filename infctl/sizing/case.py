"""Owns the question that sizing answers: one model on certain GPUs under a certain load. A value; knows no answer."""

from __future__ import annotations

from enum import StrEnum

from infctl.catalog.architecture import Architecture
from infctl.catalog.gpus import Gpu
from infctl.frozen import dataclass
from infctl.sizing.precision import Precision


class Load(StrEnum):
    """How requests come.

    STATIC_BATCH: `batch` start together and run to their end. CONCURRENCY: a closed loop, so many always in flight.
    RATE_POISSON: an open loop, `rate` a second at random. BURST_ALL: `prompts` all at once. OFFLINE_MAX: a queue that
    is never empty.
    """

    STATIC_BATCH = "static_batch"
    CONCURRENCY = "concurrency"
    RATE_POISSON = "rate_poisson"
    BURST_ALL = "burst_all"
    OFFLINE_MAX = "offline_max"


@dataclass(frozen=True, slots=True)
class Case:
    """One question. `isl` and `osl` are the tokens of a question and of its answer (means, where they vary);
    `varied` is whether they do, as in recorded conversations.

    `gpus` is what the product's name may mean, the likeliest first. `tensor` GPUs share each layer, `pipeline` stages
    the layers. `rate` in requests a second. `utilization` is the part of a GPU's memory that the engine may take,
    the other limits are tokens and sequences: None where the engine's own default holds. `kept` is the part of the
    linear layers that the checkpoint leaves in 16 bits, `weight_bytes` what all its tensors take (None: computed);
    `source` is where that was read.

    `uneven` is how far answers lie from their mean, as a part of it, where they are not fixed; `apart` is whether a
    prompt and its answer are timed apart; the load is spread over `replicas` copies of the model.
    """

    shape: Architecture
    gpus: tuple[Gpu, ...]
    precision: Precision
    engine: str
    engine_version: str = ""
    tensor: int = 1
    pipeline: int = 1
    kv_dtype: str = "auto"
    isl: float = 1024.0
    osl: float = 256.0
    varied: bool = False
    load: Load = Load.CONCURRENCY
    concurrency: int = 1
    rate: float = 0.0
    prompts: int = 0
    utilization: float | None = None
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    kept: float = 0.0
    weight_bytes: float | None = None
    uneven: float = 0.0
    apart: bool = False
    replicas: int = 1
    source: str = ""

    @property
    def gpu(self) -> Gpu:
        return self.gpus[0]

    @property
    def count(self) -> int:
        """GPUs of one replica."""
        return self.tensor * self.pipeline
