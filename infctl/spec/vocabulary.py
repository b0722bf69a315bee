"""Owns the parts of the language that no code serves yet: what an SLO, a rollout, an endpoint, a policy look like.

They are checked as strictly as all others, so that a file written today is right on the day they are served.
When code serves one, it moves to `model`. Loaded only when a file says one of them (see `later`).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from infctl.spec import units
from infctl.spec.parts import Count, Flag, Number, Part, Port, Rate, Seconds, Share, Text, Whole

Auto = Literal["auto"]
Devices = Annotated[Count | Auto, Field(union_mode="left_to_right")]


def _threshold(value: Any) -> Any:
    """Return a number as it is, and a duration in seconds: what a metric is held against."""
    return units.seconds(value) if isinstance(value, str) else value


Threshold = Annotated[Number, BeforeValidator(_threshold), WithJsonSchema({"type": ["number", "string"]})]
Condition = Annotated[str, Field(pattern=r"^[<>]=?\s*\d+(\.\d+)?\s*(%|ms|s|m)?$")]


class Speculative(Part):
    noun: ClassVar[str] = "speculative decoding"
    method: Literal["ngram", "draft", "eagle", "medusa", "mtp"] = Field(description="how tokens are guessed")
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
    p50: Count | None = Field(None, description="half of the requests have at most so many")
    p95: Count | None = Field(None, description="95 of 100 requests have at most so many")
    p99: Count | None = Field(None, description="99 of 100 requests have at most so many")


class Workload(Part):
    noun: ClassVar[str] = "a workload"
    isl: Tokens | None = Field(None, description="input sequence length, tokens")
    osl: Tokens | None = Field(None, description="output sequence length, tokens")
    rate: Rate | None = Field(None, description="requests as usual, as 6/s")
    peak: Rate | None = Field(None, description="requests at the worst hour, as 20/s")
    trace: Text | None = Field(None, description="a CSV file of requests, instead of the figures above")
    prefix_cache_hit_rate: Share | None = Field(
        None, description="share of a question's tokens that the prefix cache has already, as 40%"
    )


class Latency(Part):
    noun: ClassVar[str] = "a latency"
    p50: Seconds | None = Field(None, description="half of the requests are at least so fast")
    p90: Seconds | None = Field(None, description="90 of 100 requests are at least so fast")
    p95: Seconds | None = Field(None, description="95 of 100 requests are at least so fast")
    p99: Seconds | None = Field(None, description="99 of 100 requests are at least so fast")


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
    name: Text = Field(description="the metric's name, as queue")
    target: Threshold | None = Field(None, description="what each ready replica should have at most")


class Schedule(Part):
    noun: ClassVar[str] = "a schedule"
    cron: Text = Field(description="five fields, as 0 8 * * 1-5")
    min: Whole | None = Field(None, description="fewest replicas from then on")
    max: Whole | None = Field(None, description="most replicas from then on")


class BurstWhen(Part):
    noun: ClassVar[str] = "a burst condition"
    queue: Whole | None = Field(None, description="waiting requests per replica")
    for_: Seconds | None = Field(None, alias="for", description="how long it has lasted")


class Burst(Part):
    noun: ClassVar[str] = "a burst"
    to: Text = Field(description="the target that takes what does not fit")
    when: BurstWhen | None = Field(None, description="what has to be so first")
    max_cost_per_hour: Number | None = Field(None, description="dollars that it may cost")
    return_after: Seconds | None = Field(None, description="calm for so long, and it goes back")


class Scaling(Part):
    noun: ClassVar[str] = "scaling"
    metrics: tuple[Metric, ...] = Field((), description="what is looked at")
    scale_up_delay: Seconds | None = Field(None, description="how long it has to be too much")
    scale_down_delay: Seconds | None = Field(None, description="how long it has to be too little")
    schedule: tuple[Schedule, ...] = Field((), description="limits by the clock")
    burst: Burst | None = Field(None, description="another target for what does not fit")


class Rollout(Part):
    noun: ClassVar[str] = "a rollout"
    strategy: Literal["canary", "blue_green", "rolling", "recreate"] | None = Field(None, description="which way")
    steps: tuple[Share, ...] = Field((), description="shares of traffic, as [10%, 50%, 100%]")
    hold: Seconds | None = Field(None, description="how long each step is watched")
    rollback_when: dict[str, Condition] = Field(
        default_factory=dict, description='metric: condition, as error_rate: ">1%"'
    )


class Lora(Part):
    noun: ClassVar[str] = "a LoRA adapter"
    name: Text = Field(description='what clients send as "model"')
    uri: Text = Field(description="where the adapter comes from")


Loras = tuple[Lora, ...]


class Tls(Part):
    noun: ClassVar[str] = "tls"
    cert: Text = Field(description="the certificate: a file, or secret://NAME")
    key: Text = Field(description="its key: a file, or secret://NAME")


class Match(Part):
    noun: ClassVar[str] = "a match"
    model: Text | None = Field(None, description='what the client sent as "model"')
    header: dict[str, str] = Field(default_factory=dict, description="headers that the request must have")


class Destination(Part):
    noun: ClassVar[str] = "a destination"
    model: Text = Field(description="a model of this stack")
    weight: Whole | None = Field(None, description="its share, beside the others' weights")


class Shadow(Part):
    noun: ClassVar[str] = "a shadow"
    model: Text = Field(description="a model of this stack, whose answers nobody sees")
    percent: Annotated[Number, Field(le=100, description="how many of 100 requests it is sent too")]


class Route(Part):
    noun: ClassVar[str] = "a route"
    match: Match = Field(description="which requests")
    to: tuple[Destination, ...] = Field(description="who answers them")
    shadow: Shadow | None = Field(None, description="who is asked besides")
    retries: Whole | None = Field(None, description="further tries when a replica fails")
    priority: Whole | None = Field(None, description="who goes first when room is short; more goes first")


class HoldAtZero(Part):
    noun: ClassVar[str] = "hold_at_zero"
    max_requests: Count | None = Field(None, description="most requests kept at once")
    max_wait: Seconds | None = Field(None, description="longest wait of one request")


class Endpoint(Part):
    noun: ClassVar[str] = "an endpoint"
    listen: Port = Field(description="port")
    tls: Tls | None = Field(None, description="certificate and key")
    routes: tuple[Route, ...] = Field((), description="who answers what; the first that fits")
    hold_at_zero: HoldAtZero | None = Field(None, description="keep requests while a model wakes up")


Endpoints = dict[str, Endpoint]


class Team(Part):
    noun: ClassVar[str] = "a team"
    role: Literal["viewer", "invoker", "deployer", "admin"] = Field(description="what its members may do")
    models: tuple[Text, ...] = Field((), description="models that it may use")
    endpoints: tuple[Text, ...] = Field((), description="endpoints that it may call")
    rate_limit: Rate | None = Field(None, description="requests, as 100/m")
    priority: Whole | None = Field(None, description="who goes first when room is short; more goes first")
    gpu_quota: Whole | None = Field(None, description="most devices at once")
    members: tuple[Text, ...] = Field((), description="who belongs to it")


class Access(Part):
    noun: ClassVar[str] = "access"
    teams: dict[str, Team] = Field(default_factory=dict, description="who, and with what rights")
    isolation: Literal["none", "namespace"] | None = Field(None, description="what keeps teams apart")


class Policies(Part):
    noun: ClassVar[str] = "policies"
    max_cost_per_hour: Number | None = Field(None, description="dollars of the whole stack")
    max_cost_increase: Share | None = Field(None, description="by how much one plan may raise it")
    require: tuple[Text, ...] = Field((), description="fields that every model must have")
    deny: tuple[dict[str, Any], ...] = Field((), description="fields of a model that must not be so, and a reason")


class Prometheus(Part):
    noun: ClassVar[str] = "prometheus"
    retention: Seconds | None = Field(None, description="how long figures are kept")


class Alerts(Part):
    noun: ClassVar[str] = "alerts"
    burn_rate: Flag = Field(False, description="alert when an SLO's error budget burns too fast")
    receiver: Text | None = Field(None, description="who is told")


class Observability(Part):
    noun: ClassVar[str] = "observability"
    prometheus: Prometheus | None = Field(None, description="keep figures here")
    grafana: Flag = Field(False, description="bring dashboards")
    alerts: Alerts | None = Field(None, description="who is told, and when")
