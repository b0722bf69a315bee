"""Owns the shapes of a decision: what is asked of a model, what there is to run it on, and what was decided and why.

Values only; `choose` makes decisions, `capacity` the figures in them. Latencies in seconds, memory in GiB where a name
says so and else in bytes, money in US dollars. Names are stable: other parts build on them, fields are only added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, NamedTuple

from infctl.catalog.gpus import Gpu
from infctl.frozen import dataclass
from infctl.sizing.budget import Memory
from infctl.sizing.precision import Precision
from infctl.sizing.predict import Estimate

AUTO = "auto"
PERCENTILES = (50, 90, 95, 99)
Metric = Literal["ttft", "itl", "e2e"]
Purchase = Literal["owned", "reserved", "on_demand", "spot"]


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a question or of an answer. `squared_cv` is the variance over the squared mean, 0 for fixed lengths."""

    mean: float
    p95: float | None = None
    squared_cv: float = 0.0


class Request(NamedTuple):
    """One request of a trace: seconds since its first, tokens of question and answer."""

    at: float
    isl: float
    osl: float


@dataclass(frozen=True, slots=True)
class Workload:
    """What comes in, over all replicas: requests a second on average (`rate`) and in the worst minutes (`peak`).

    `burstiness` is the squared coefficient of variation of the times between two requests: 1 at random (Poisson).
    `cached` is the part (0 to 1) of a question that a prefix cache already has. `source` says where it is from.
    """

    isl: Lengths
    osl: Lengths
    rate: float
    peak: float
    trace: tuple[Request, ...] = ()
    burstiness: float = 1.0
    cached: float = 0.0
    source: str = ""


@dataclass(frozen=True, slots=True)
class Objective:
    """A bound on a latency: `percentile` (50 to 99) of requests, or of the gaps between tokens, within `seconds`."""

    metric: Metric
    percentile: int
    seconds: float

    @property
    def name(self) -> str:
        """The key of its figure: ttft_p95."""
        return f"{self.metric}_p{self.percentile}"


@dataclass(frozen=True, slots=True)
class Slo:
    """What a model owes. `goodput` is the share of requests that must meet every objective at once, `availability` the
    share that must be answered at all; None where the file does not say. Dollars for 1M tokens, in and out together.
    """

    objectives: tuple[Objective, ...] = ()
    goodput: float | None = None
    availability: float | None = None
    max_cost_per_1m: float | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a target has of one kind of device, made from its inventory; without a live one, what the catalogue says.

    `gpus` is what the product's name may mean, the likeliest first; empty is a host without GPUs. `hosts` have
    `devices` of them each, that can be promised whole; None is as many as wanted. `free_gib` is the least that one of
    them has free, None the whole. `price` is dollars for an hour of one GPU (of a host, where there are none).
    `engines` are those that the target can start (empty: any that comes as a container).
    """

    target: str
    gpus: tuple[Gpu, ...] = ()
    devices: int = 1
    hosts: int | None = 1
    free_gib: float | None = None
    price: float | None = None
    purchase: Purchase = "owned"
    engines: tuple[str, ...] = ()
    priced: str = ""  # where the price is from, and of when

    @property
    def product(self) -> str:
        return self.gpus[0].name if self.gpus else "cpu"


@dataclass(frozen=True, slots=True)
class Ask:
    """What the file fixes of a model. "auto" and None are left to the decision; `replicas` (min, max) over all targets,
    max None is as many as needed. `gpus` are the devices of a replica, `product` the only one that it may run on.
    `fraction` (0 to 1] is the part of each device that a replica gets. `max_quality_loss` is a share (0.01 = 1 %).
    `engine_args` under the engine's own names. `operated` are engines that the stack runs elsewhere already.
    """

    engine: str = AUTO
    engine_version: str = ""
    quantization: str = AUTO
    tensor: int | None = None
    pipeline: int | None = None
    max_model_len: int | None = None
    kv_dtype: str = AUTO
    gpus: int | None = None
    product: str = ""
    fraction: float = 1.0
    replicas: tuple[int, int | None] = (1, None)
    max_quality_loss: float | None = None
    engine_args: Mapping[str, object] = field(default_factory=dict)
    task: str = "generate"
    speculative: str = ""
    operated: tuple[str, ...] = ()
    order: tuple[str, ...] = ()  # targets, best first; empty: all alike


@dataclass(frozen=True, slots=True)
class Batching:
    """What an engine is started with: sequences at a time, tokens of one pass, whether prompts are cut into chunks that
    share passes with tokens, whether the cache keeps prefixes; `utilization` is the part of each GPU's memory that it
    may take, None where the engine has no such setting.
    """

    max_num_seqs: int
    max_num_batched_tokens: int
    chunked_prefill: bool = True
    prefix_caching: bool = True
    utilization: float | None = None


@dataclass(frozen=True, slots=True)
class Fleet:
    """How many replicas: enough for the mean rate, enough for the peak, those that may be down; `total` is what is to
    run at the peak, never less than the file's least.
    """

    mean: int
    peak: int
    spare: int
    total: int


@dataclass(frozen=True, slots=True)
class Load:
    """What one replica does at `rate` requests a second (its part of them). `latency` maps ttft_p95, itl_p50, e2e_p99
    and so on to seconds. `running` sequences at a time. `goodput` is the share of requests within all objectives;
    `utilisation` the rate over the largest that it takes up without a growing queue.
    """

    rate: float
    latency: Mapping[str, Estimate]
    running: float
    goodput: float
    utilisation: float
    tok_s: float  # in and out
    out_tok_s: float


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars: each hour for all replicas, and for 1M tokens (in and out, and out alone) at the declared rate, which
    keeps the fleet busy to the part `utilisation` of what it can take up; `full_per_1m` with it fully busy.
    """

    per_hour: float
    per_1m: float | None = None
    per_1m_out: float | None = None
    full_per_1m: float | None = None
    utilisation: float | None = None
    priced: str = ""


class Step(NamedTuple):
    """One reason: what it is about ("compatibility", "throughput", …) and the sentence."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """How a model would run on one target. `gpu` is None on a host without GPUs; `gpus` are those of one replica.

    `at_rate` and `at_peak` are one replica's figures with the load shared evenly, None where speed is not known or no
    workload is said. `capacity` is the most requests a second that one replica serves within the SLO. `quality_loss` is
    a share, None where nothing is known of it. `basis` says what the figures rest on.
    """

    target: str
    engine: str
    engine_version: str
    precision: Precision
    kv_dtype: str
    tensor: int
    pipeline: int
    gpu: Gpu | None
    gpus: int
    max_model_len: int
    batching: Batching
    memory: Memory | None
    fleet: Fleet
    at_rate: Load | None = None
    at_peak: Load | None = None
    capacity: float | None = None
    cost: Cost | None = None
    quality_loss: float | None = None
    free_gib: float | None = None
    purchase: Purchase = "owned"
    steps: tuple[Step, ...] = ()
    basis: str = ""

    @property
    def product(self) -> str:
        return self.gpu.name if self.gpu else "cpu"


@dataclass(frozen=True, slots=True)
class Lost:
    """A plan that was not taken, and the one line that says why: "itl p95 52 ms > 40 ms"."""

    decision: Decision
    why: str


class Constraint(NamedTuple):
    """A line of the file, or a fact of the inventory, that cannot hold beside the others. `path` is under the model
    ("slo.itl.p95"), "" where it is no line of the file; `said` is in the user's words: "itl p95 ≤ 40 ms".
    """

    path: str
    said: str


@dataclass(frozen=True, slots=True)
class Clash:
    """The smallest set of constraints that cannot hold together; `ways` out, the cheapest first."""

    constraints: tuple[Constraint, ...]
    ways: tuple[str, ...]
    detail: str = ""  # the nearest plan, and what is wrong with it


@dataclass(frozen=True, slots=True)
class Choice:
    """What was decided, what came next and why it lost; without a decision, what clashes.

    A model whose file fixes all is judged: then `decision` is there, and `clash` says what it will not meet.
    """

    decision: Decision | None
    alternatives: tuple[Lost, ...] = ()
    clash: Clash | None = None
