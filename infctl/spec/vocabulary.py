"""Owns the parts of the language that no code serves yet: what an SLO, a rollout, an endpoint, a policy look like.

They are checked as strictly as all others, so that a file written today is right on the day they are served.
When code serves one, it moves to `model`. Loaded only when a file says one of them (see `later`).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from infctl.spec import units
from infctl.spec.parts import Bytes, Count, Flag, Number, Part, Port, Rate, Seconds, Share, Text, Whole

Auto = Literal["auto"]
Devices = Annotated[Count | Auto, Field(union_mode="left_to_right")]


def _threshold(value: Any) -> Any:
    """Return a number as it is, and a duration in seconds: what a metric is held against."""
    return units.seconds(value) if isinstance(value, str) else value


Threshold = Annotated[Number, BeforeValidator(_threshold), WithJsonSchema({"type": ["number", "string"]})]
Condition = Annotated[str, Field(pattern=r"^[<>]=?\s*\d+(\.\d+)?\s*(%|ms|s|m)?$")]


class Speculative(Part):
    noun: ClassVar[str] = "speculative decoding"
    method: Literal["ngram", "draft", "eagle", "medusa", "mtp"]
    num_tokens: Count | None = Field(None, description="tokens guessed at once")
    model: Text | None = Field(None, description="uri of the draft model")


class Parallelism(Part):
    noun: ClassVar[str] = "parallelism"
    tensor: Devices = Field("auto", description="devices that share each layer")
    pipeline: Devices = Field("auto", description="groups of devices that take layers in turn")
    data: Devices = Field("auto", description="whole copies behind one address")
    expert: Devices = Field("auto", description="devices that share the experts")


class Tokens(Part):
    noun: ClassVar[str] = "a distribution of lengths"
    mean: Count | None = Field(None, description="tokens on average")
    p50: Count | None = None
    p95: Count | None = None
    p99: Count | None = None


class Workload(Part):
    noun: ClassVar[str] = "a workload"
    isl: Tokens | None = Field(None, description="input sequence length, tokens")
    osl: Tokens | None = Field(None, description="output sequence length, tokens")
    rate: Rate | None = Field(None, description="requests as usual, as 6/s")
    peak: Rate | None = Field(None, description="requests at the worst hour, as 20/s")
    trace: Text | None = Field(None, description="a CSV file of requests, instead of the figures above")


class Latency(Part):
    noun: ClassVar[str] = "a latency"
    p50: Seconds | None = None
    p90: Seconds | None = None
    p95: Seconds | None = None
    p99: Seconds | None = None


class Slo(Part):
    noun: ClassVar[str] = "an SLO"
    ttft: Latency | None = Field(None, description="time to the first token")
    itl: Latency | None = Field(None, description="time between tokens")
    e2e: Latency | None = Field(None, description="time to the whole answer")
    goodput: Share | None = Field(None, description="share of requests that meet all of the above")
    availability: Share | None = Field(None, description="share of requests that are answered at all")
    max_cost_per_1m_tokens: Number | None = Field(None, description="dollars")


class Metric(Part):
    noun: ClassVar[str] = "a scaling metric"
    name: Text
    target: Threshold | None = Field(None, description="what each ready replica should have at most")


class Schedule(Part):
    noun: ClassVar[str] = "a schedule"
    cron: Text = Field(description="five fields, as 0 8 * * 1-5")
    min: Whole | None = None
    max: Whole | None = None


class BurstWhen(Part):
    noun: ClassVar[str] = "a burst condition"
    queue: Whole | None = Field(None, description="waiting requests per replica")
    for_: Seconds | None = Field(None, alias="for", description="how long it has lasted")


class Burst(Part):
    noun: ClassVar[str] = "a burst"
    to: Text = Field(description="the target that takes what does not fit")
    when: BurstWhen | None = None
    max_cost_per_hour: Number | None = None
    return_after: Seconds | None = None


class Scaling(Part):
    noun: ClassVar[str] = "scaling"
    metrics: tuple[Metric, ...] = ()
    scale_up_delay: Seconds | None = None
    scale_down_delay: Seconds | None = None
    schedule: tuple[Schedule, ...] = ()
    burst: Burst | None = None


class Rollout(Part):
    noun: ClassVar[str] = "a rollout"
    strategy: Literal["canary", "blue_green", "rolling", "recreate"] | None = None
    steps: tuple[Share, ...] = Field((), description="shares of traffic, as [10%, 50%, 100%]")
    hold: Seconds | None = Field(None, description="how long each step is watched")
    rollback_when: dict[str, Condition] = Field(
        default_factory=dict, description='metric: condition, as error_rate: ">1%"'
    )


class Lora(Part):
    noun: ClassVar[str] = "a LoRA adapter"
    name: Text
    uri: Text


Loras = tuple[Lora, ...]


class Gpu(Part):
    noun: ClassVar[str] = "gpu"
    count: Count | None = None
    fraction: Share | None = Field(None, description="MIG slice, time slice or memory share")
    memory: Bytes | None = Field(None, description="memory that one device must have")
    product: Text | None = Field(None, description="the device's name, as L40S")


class Tls(Part):
    noun: ClassVar[str] = "tls"
    cert: Text
    key: Text


class Match(Part):
    noun: ClassVar[str] = "a match"
    model: Text | None = None
    header: dict[str, str] = Field(default_factory=dict)


class Destination(Part):
    noun: ClassVar[str] = "a destination"
    model: Text
    weight: Whole | None = None


class Shadow(Part):
    noun: ClassVar[str] = "a shadow"
    model: Text
    percent: Annotated[Number, Field(le=100)]


class Route(Part):
    noun: ClassVar[str] = "a route"
    match: Match
    to: tuple[Destination, ...]
    shadow: Shadow | None = None
    retries: Whole | None = None
    priority: Whole | None = None


class HoldAtZero(Part):
    noun: ClassVar[str] = "hold_at_zero"
    max_requests: Count | None = None
    max_wait: Seconds | None = None


class Endpoint(Part):
    noun: ClassVar[str] = "an endpoint"
    listen: Port
    tls: Tls | None = None
    routes: tuple[Route, ...] = ()
    hold_at_zero: HoldAtZero | None = Field(None, description="keep requests while a model wakes up")


Endpoints = dict[str, Endpoint]


class Team(Part):
    noun: ClassVar[str] = "a team"
    role: Literal["viewer", "invoker", "deployer", "admin"]
    models: tuple[Text, ...] = ()
    endpoints: tuple[Text, ...] = ()
    rate_limit: Rate | None = None
    priority: Whole | None = None
    gpu_quota: Whole | None = None
    members: tuple[Text, ...] = ()


class Access(Part):
    noun: ClassVar[str] = "access"
    teams: dict[str, Team] = Field(default_factory=dict)
    isolation: Literal["none", "namespace"] | None = None


class Policies(Part):
    noun: ClassVar[str] = "policies"
    max_cost_per_hour: Number | None = None
    max_cost_increase: Share | None = None
    require: tuple[Text, ...] = ()
    deny: tuple[dict[str, Any], ...] = Field((), description="fields of a model that must not be so, and a reason")


class Prometheus(Part):
    noun: ClassVar[str] = "prometheus"
    retention: Seconds | None = None


class Alerts(Part):
    noun: ClassVar[str] = "alerts"
    burn_rate: Flag = False
    receiver: Text | None = None


class Observability(Part):
    noun: ClassVar[str] = "observability"
    prometheus: Prometheus | None = None
    grafana: Flag = False
    alerts: Alerts | None = None
