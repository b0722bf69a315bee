"""Owns the typed form of a model: every field of `models.X`.

Fields that no code serves yet are described in `vocabulary` and looked at only when a file gives them (see `later`).
Rules between fields are in `rules`. Imports pydantic.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidatorFunctionWrapHandler, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticKnownError

from infctl.secrets import SecretRef
from infctl.spec.later import Later
from infctl.spec.parts import Bytes, Count, Flag, Part, Port, Seconds, Share, Text, Through, Whole
from infctl.spec.stack import Replicas

AUTO = "auto"
SECRET = "secret://"  # noqa: S105  -- how a reference begins
_QUANTIZATION = r"^(auto|none|fp8|int8|awq|gptq|nf4|gguf:[A-Za-z0-9_]+)$"


class _Range(Part):
    noun: ClassVar[str] = "replicas"
    min: Whole
    max: Whole | None = None


def _replicas(value: Any, handler: ValidatorFunctionWrapHandler) -> Replicas:
    if value == AUTO:
        return Replicas(1, None)
    if type(value) is int and value >= 0:
        return Replicas(value, value)
    if not isinstance(value, dict) and type(value) is not int:
        raise PydanticKnownError("int_type")
    found = handler(value if isinstance(value, dict) else {"min": value})
    return Replicas(found.min, found.min if found.max is None else found.max)


class _EnvSecret(Part):
    noun: ClassVar[str] = "a secret in env"
    secret: Text
    delivery: Literal["file", "env"] = Field("file", alias="as")


def _env_value(value: Any, handler: ValidatorFunctionWrapHandler) -> str | SecretRef:
    if isinstance(value, str):
        return SecretRef(value.removeprefix(SECRET)) if value.startswith(SECRET) else value
    if not isinstance(value, dict):
        raise PydanticKnownError("string_type")
    found = handler(value)
    return SecretRef(found.secret, found.delivery)


class GoneError(ValueError):
    """An engine is named that nobody develops any more; `hint` is what to take."""

    hint = "write engine: tensorrt-llm, its successor, or leave engine out"


def _not_gone(value: Any) -> Any:
    if isinstance(value, str) and value.lower().replace("-", "").replace("_", "") == "fastertransformer":
        raise GoneError("FasterTransformer is dead: NVIDIA ended its development in 2023")
    return value


_REPLICAS_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"const": AUTO},
        {
            "type": "object",
            "properties": {
                "min": {"type": "integer", "minimum": 0, "description": "fewest"},
                "max": {"type": "integer", "minimum": 0, "description": "most; as many as min when left out"},
            },
            "required": ["min"],
            "additionalProperties": False,
        },
    ]
}
_ENV_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                "secret": {"type": "string", "description": "the secret's name"},
                "as": {"enum": ["file", "env"], "default": "file", "description": "file: NAME_FILE says where"},
            },
            "required": ["secret"],
            "additionalProperties": False,
        },
    ]
}
ReplicaCount = Annotated[
    Replicas,
    Through(_Range, _replicas),
    WithJsonSchema(_REPLICAS_SCHEMA),
]
EnvValue = Annotated[
    str | SecretRef,
    Through(_EnvSecret, _env_value),
    WithJsonSchema(_ENV_SCHEMA),
]


class Placement(Part):
    noun: ClassVar[str] = "placement"
    order: tuple[Text, ...] = Field((), description="targets, best first; default: the first target of the stack")
    spread: Literal["host", "zone", "none"] | None = Field(None, description="what no two replicas share")
    colocate_with: tuple[Text, ...] = Field((), description="models that it is to be beside on a host")
    keep_in: tuple[Text, ...] = Field((), description="targets that it never leaves: data residency")


class Expose(Part):
    noun: ClassVar[str] = "expose"
    port: Port | None = Field(None, description="the model's stable port; chosen once and kept when left out")
    bind: Text = Field("127.0.0.1", description="the address to listen on: 0.0.0.0 for every network")


class Warmup(Part):
    noun: ClassVar[str] = "warmup"
    requests: Whole = Field(0, description="requests answered before a replica counts as ready, besides the first")


class Timeouts(Part):
    noun: ClassVar[str] = "timeouts"
    pull: Annotated[Seconds, Field(gt=0)] | None = Field(None, description="fetching image and model, as 30m")
    ready: Annotated[Seconds, Field(gt=0)] | None = Field(None, description="start to first answer; default: by size")
    drain: Annotated[Seconds, Field(gt=0)] | None = Field(None, description="letting answers end before a stop")


class Gpu(Part):
    """What one replica needs. `memory` in bytes and `fraction` are of each device; neither means the whole."""

    noun: ClassVar[str] = "gpu"
    count: Annotated[Count, Field(le=1_024)] = Field(1, description="devices of one replica")
    fraction: Annotated[Share, Field(gt=0)] | None = Field(
        None, description="MIG slice, time slice or memory share, as 0.25"
    )
    memory: Annotated[Bytes, Field(gt=0)] | None = Field(None, description="memory of each device, as 16GB")
    product: Text | None = Field(None, description="the device's name, as L40S")


class Model(Part):
    """One model. `name` is its key in the file; `served_names` is never empty. Durations in seconds."""

    noun: ClassVar[str] = "a model"
    hidden: ClassVar[frozenset[str]] = frozenset({"name"})
    name: SkipJsonSchema[str]
    like: Text | None = Field(None, description="another model, whose fields hold where this one says nothing")
    uri: Text | None = Field(None, description="where the model comes from: file: hf:// s3:// http(s):// pvc://")
    task: Literal["generate", "embed", "rerank", "classify", "vision", "custom"] = Field(
        "generate", description="what it is asked for"
    )
    image: Text | None = Field(None, description="container image, instead of the engine's own")
    engine: Annotated[
        Literal["auto", "vllm", "sglang", "tensorrt-llm", "tgi", "triton", "llama.cpp", "onnxruntime", "custom"],
        BeforeValidator(_not_gone),
    ] = Field("auto", description="what runs it; custom: your own command")
    engine_args: dict[str, Any] = Field(
        default_factory=dict, description="arguments under the engine's own names, with underscores"
    )
    engine_args_unchecked: Flag = Field(
        False, description="let arguments through that infctl does not know of this engine's version"
    )
    quantization: str = Field(
        "auto",
        pattern=_QUANTIZATION,
        description="of the weights: auto, none, fp8, int8, awq, gptq, nf4 or gguf:Q4_K_M",
    )
    max_quality_loss: Share | None = Field(None, description="what quantization auto may give up, as 1%")
    max_model_len: Count | None = Field(None, description="tokens of one request, question and answer together")
    kv_cache_dtype: Text = Field("auto", description="number format of the KV cache")
    speculative: Annotated[Any, Later("Speculative")] = Field(None, description="speculative decoding")
    parallelism: Annotated[Any, Later("Parallelism")] = Field(None, description="how devices share the model")
    workload: Annotated[Any, Later("Workload")] = Field(None, description="what the sizing is for")
    slo: Annotated[Any, Later("Slo")] = Field(None, description="what it owes")
    placement: Placement = Field(Placement(), description="where it may live")
    replicas: ReplicaCount = Field(
        Replicas(1, None),
        description="how many, over all targets: a number, min and max, or auto (what its workload needs)",
        json_schema_extra={"default": AUTO},
    )
    scaling: Annotated[Any, Later("Scaling")] = Field(None, description="when the number changes")
    rollout: Annotated[Any, Later("Rollout")] = Field(None, description="how a new revision takes over")
    lora: Annotated[Any, Later("Loras")] = Field(None, description="adapters served beside it")
    priority: Literal["low", "normal", "high"] | None = Field(None, description="who goes first when room is short")
    owner: Text | None = Field(None, description="whom to ask")
    runbook: Text | None = Field(None, description="where it is written what to do")
    team: Text | None = Field(None, description="whose namespace and quota it lives under")
    env: dict[str, EnvValue] = Field(
        default_factory=dict, description="environment: text, secret://NAME, or {secret: NAME, as: env}"
    )
    expose: Expose = Field(Expose(), description="its stable address")
    served_names: tuple[Text, ...] = Field(
        (), min_length=1, description='what clients send as "model"; default: its name'
    )
    warmup: Warmup = Field(Warmup(), description="what it answers before it counts as ready")
    timeouts: Timeouts = Field(Timeouts(), description="how long things may take")
    protect: Flag = Field(False, description="refuse to destroy it, or to replace it with downtime")
    tags: dict[str, str] = Field(default_factory=dict, description="labels for people and bills")
    overrides: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="type of target: fields of its own, merged last"
    )
    command: tuple[Text, ...] = Field((), description="argv of a custom engine; {port} is the port to listen on")
    port: Port | None = Field(None, description="where a custom engine listens; left out, it is told")
    health: str | None = Field(None, pattern="^/", description="path that answers 200 when it is ready, as /healthz")
    gpu: Gpu | None = Field(None, description="what a replica needs of GPUs; left out, the engine says")
