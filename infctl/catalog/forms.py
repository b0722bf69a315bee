"""Owns the typed form of a user's own catalogue file: which rows it may have, and what each may say. Imports pydantic.

Fields of GPUs and models are those of their dataclasses, so that both have them as soon as one does. Loaded only when
there is such a file.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_type_hints

from pydantic import Field, StrictInt, create_model

from infctl.catalog.architecture import Architecture
from infctl.catalog.gpus import Gpu
from infctl.spec.parts import Count, Flag, Number, Part, Text, Whole

DATE = r"^\d{4}-\d{2}-\d{2}$"
Date = Annotated[str, Field(pattern=DATE)]
Version = Annotated[str, Field(pattern=r"^\d+(\.\w+)*$")]
_KINDS = {int: StrictInt, float: Number, bool: Flag, str: str}


class Link(Part):
    noun: ClassVar[str] = "a link between GPUs"
    kind: Literal["nvlink", "xgmi", "pcie"] = Field(description="nvlink, xgmi or pcie")
    rate: Number = Field(description="GB/s in each direction")


def _fields(made: type, *, without: tuple[str, ...] = (), **instead: Any) -> dict[str, Any]:
    """Return the plain fields of a dataclass as optional ones of a form, and those of `instead`."""
    hints = get_type_hints(made)
    plain = {
        name: (_KINDS[kind] | None, None) for name, kind in hints.items() if kind in _KINDS and name not in without
    }
    return {**plain, **instead}


GpuRow: Any = create_model(
    "GpuRow",
    __base__=Part,
    **_fields(
        Gpu,
        without=("link_kind", "link_rate"),
        name=(Text, Field(description="the product's name")),
        label=(Count | None, None),
        link=(Link | None, None),
        mig=(dict[str, Count], Field(default_factory=dict)),
        aliases=(tuple[Text, ...], ()),
        vendor=(Literal["nvidia", "amd"] | None, None),
        market=(Literal["datacenter", "workstation", "gaming"] | None, None),
    ),
)
GpuRow.noun = "a GPU"
ModelRow: Any = create_model(
    "ModelRow",
    __base__=Part,
    **_fields(Architecture, without=("name",), aliases=(tuple[Text, ...], ()), assumed=(tuple[Text, ...], ())),
)
ModelRow.noun = "a model's shape"


class MethodRow(Part):
    noun: ClassVar[str] = "a row of formats"
    names: Annotated[tuple[Text, ...], Field(min_length=1, description="formats, as [fp8, awq]")]
    native: tuple[Text, ...] = Field((), description='where it computes in it, as ["8.9+", gfx942]')
    weight_only: tuple[Text, ...] = Field((), description="where it only keeps weights in it")
    since: Version | None = Field(None, description='the first version, in quotes where it has one dot: "0.9"')
    until: Version | None = Field(None, description="the last version")
    flag: str | None = Field(None, description="what is said to the engine")
    ready: Flag | None = Field(None, description="the checkpoint must be in it already")
    cpu: Flag | None = Field(None, description="it runs on CPUs too")
    gone: str | None = Field(None, description="why later versions lack it")
    source: Text = Field(description="where this was read")


class RunsRow(Part):
    noun: ClassVar[str] = "a row of GPUs"
    where: tuple[Text, ...] = Field(description='as ["7.5+", gfx942]')
    since: Version | None = Field(None, description="the first version")
    until: Version | None = Field(None, description="the last version")
    cpu: Flag | None = Field(None, description="it runs on CPUs too")
    source: Text = Field(description="where this was read")


class EngineRow(Part):
    noun: ClassVar[str] = "an engine"
    state: Literal["", "archived", "dead"] | None = Field(None, description="archived or dead")
    successor: str | None = Field(None, description="what to take instead")
    why: str | None = Field(None, description="why it is so")
    runs_on: tuple[RunsRow, ...] = Field((), description="the GPUs that it is built for")
    tasks: tuple[Text, ...] = Field((), description="what it serves")
    classes: dict[str, str] = Field(default_factory=dict, description="model class: first version that knows it")
    also: tuple[Text, ...] = Field((), description="further model classes")
    unknown_classes: str | None = Field(None, description="what becomes of other classes")
    unknown_here: tuple[Text, ...] = Field((), description="model classes that it does not know")
    since: str | None = Field(None, description="the version that this holds from")
    methods: tuple[MethodRow, ...] = Field((), description="formats of weights")
    kv: tuple[MethodRow, ...] = Field((), description="formats of the KV cache")


class FormRow(Part):
    noun: ClassVar[str] = "a file format"
    engines: tuple[Text, ...] = Field((), description="who serves it")
    edge: str | None = Field(None, description="the devices that it is for, if no server is")
    instead: Text = Field(description="what to do instead")


class LossRow(Part):
    noun: ClassVar[str] = "a measured loss"
    method: Text = Field(description="the format, as awq")
    model: Text = Field(description="what was measured")
    family: Text = Field(description="its class, as LlamaForCausalLM")
    size: Number = Field(description="thousands of millions of parameters")
    loss: Annotated[float, Field(strict=True)] = Field(description="percent of the 16-bit figure")
    scores: Text = Field(description="on what")
    source: Text = Field(description="who measured it")
    date: Date | None = Field(None, description="when, as 2026-11-20")


class EffectRow(Part):
    noun: ClassVar[str] = "a measured effect on speed"
    method: Text
    engine: Text
    gpu: Text
    size: Number
    load: Literal["full", "single"]
    change: Annotated[float, Field(strict=True)] = Field(description="percent more tokens a second than in 16 bits")
    source: Text
    date: Date | None = None


class PriceRow(Part):
    noun: ClassVar[str] = "a price"
    buy: Literal["on_demand", "spot", "reserved", "capacity_block"] = Field(description="how it is paid")
    region: Text = Field(description="where, as us-east-1")
    usd: Annotated[Number, Field(gt=0)] = Field(description="dollars an hour for the whole instance")
    source: Text = Field(description="who says so")
    date: Date | None = Field(None, description="when, as 2026-11-20; or its source has one")


class InstanceRow(Part):
    noun: ClassVar[str] = "an instance"
    cloud: Text | None = Field(None, description="aws, gcp, azure, or your own word")
    gpu: Text | None = Field(None, description="a GPU of the catalogue")
    count: Count | None = Field(None, description="how many of them")
    vcpus: Whole | None = Field(None, description="virtual cores")
    memory: Number | None = Field(None, description="GiB")
    part: Annotated[Number, Field(gt=0, le=1)] | None = Field(None, description="share of one GPU")
    joined: Whole | None = Field(None, description="GPUs that NVLink joins")
    prices: tuple[PriceRow, ...] = Field((), description="what it costs")


class SourceRow(Part):
    noun: ClassVar[str] = "a source"
    say: Text = Field(description="what it is")
    date: Date = Field(description="when it said so, as 2026-11-20")


class Fetched(Part):
    noun: ClassVar[str] = "the fetched part"
    price_as_of: Date = Field(description="when it was fetched")
    sources: dict[str, SourceRow] = Field(description="where from")
    instances: dict[str, InstanceRow] = Field(description="what was fetched")


class OwnFile(Part):
    """A user's file of catalogue rows: each kind may be left out."""

    noun: ClassVar[str] = "a catalogue file"
    gpus: tuple[GpuRow, ...] = Field((), description="GPUs, by name")
    ambiguous: dict[str, tuple[Text, ...]] = Field(default_factory=dict, description="names that may mean several GPUs")
    models: dict[str, ModelRow] = Field(default_factory=dict, description="shapes of models, by name")
    engines: dict[str, EngineRow] = Field(default_factory=dict, description="what engines take")
    formats: dict[str, FormRow] = Field(default_factory=dict, description="file formats")
    losses: tuple[LossRow, ...] = Field((), description="measured losses of quality")
    effects: tuple[EffectRow, ...] = Field((), description="measured effects on speed")
    opt_in: tuple[Text, ...] = Field((), description="how formats begin that auto never takes")
    default_most: Number | None = Field(None, description="percent of quality that auto may give up")
    as_good_as: dict[str, Text] = Field(default_factory=dict, description="format: one that loses no less")
    instances: dict[str, InstanceRow] = Field(default_factory=dict, description="what clouds rent out")
    price_as_of: Date | None = Field(None, description="when prices were gathered")
    sources: dict[str, SourceRow] = Field(default_factory=dict, description="short name: what it is, and its date")
    fetched: Fetched | None = Field(None, description="what `infctl catalog update` wrote")
