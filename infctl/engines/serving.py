"""Owns what all engines in containers have in common: a description each, checked and turned into a command line.

Each engine's own file has its `Serving`. Knows no target, no provider and no daemon. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from infctl.diagnostics import Severity, did_you_mean
from infctl.engines.container import Container
from infctl.engines.flag_table import FlagTable, argv_of, check_flags, flag_table, wrong_value
from infctl.engines.model_file import ModelFile
from infctl.engines.pin import Pin, what_to_fetch
from infctl.engines.setup import UNFIT_FOR_ENGINE, Setup
from infctl.spec.problems import Problem, problem

if TYPE_CHECKING:
    from infctl.spec.model import Model

ANYWHERE = "0.0.0.0"  # noqa: S104  -- every address of its own container; the host publishes it to itself only
MODEL, PORT, GPU_SHARE = "{model}", "{port}", "{gpu_share}"  # what a provider puts in: see Template.command
HF = "hf://"
_DIGEST = "@sha256:"
ELSEWHERE: Mapping[str, str] = MappingProxyType(  # whatever the engine
    {
        "host": "leave it out: infctl says it",
        "port": "leave it out: expose: {port: …} is the address that clients use",
        "served_model_name": "say served_names of the model instead",
        "api_key": "leave it out: an argument is seen by everybody, and infctl keeps strangers out",
        "hf_token": "say env: {HF_TOKEN: {secret: NAME, as: env}}: an argument is seen by everybody",
        "ssl_keyfile": "leave it out: infctl reaches the engine on its own host",
        "ssl_certfile": "leave it out: infctl reaches the engine on its own host",
    }
)


@dataclass(frozen=True, slots=True)
class Serving:
    """One engine in a container.

    `image` is its official image, with `{version}` in the tag; `version` the one taken by default, `since` the oldest
    that infctl knows how to start. `tasks` are those it serves. `model`, `revision`, `context`, `kv_cache`, `method`
    and `devices` name the flags for the model, its revision, `max_model_len`, `kv_cache_dtype`, `quantization` and
    `gpu.count` ("" = there is none), which the flags in `splits` divide; `methods` maps quantizations to the flag's
    words. `fixed` is said of every model, `said` of one at a version. `elsewhere` maps further flags that infctl
    decides to what the user does instead. `gpus` devices are used where the model does not say, `gpu_image` is taken
    where there are any and the other has no use for them. `share` is the flag that keeps it within its part of a
    device; one that is `thrifty` needs none, for it takes what it needs. `repository` is whether it loads whole
    repositories of the Hugging Face Hub by name, and downloads them itself; `one_file` whether its model is one file.
    `follows` are fields that it honours by other means than a flag named here. `joint` stands between the words of a
    flag, `glued` allows --flag=value; `before` begins the command line, with the model after it where that is
    `positional`. `more` tells what else it cannot follow, `prepare` makes the setup.
    """

    name: str
    image: str
    version: str
    tasks: tuple[str, ...]
    port: int
    fixed: Mapping[str, Any]
    container: Container
    said: Callable[[Model, str], Mapping[str, Any]] = lambda _model, _version: {}
    health: str = "/health"
    metrics_path: str = "/metrics"
    model: str = ""
    revision: str = ""
    context: str = ""
    kv_cache: str = ""
    method: str = ""
    methods: Mapping[str, str] = field(default_factory=dict)
    devices: str = ""
    splits: tuple[str, ...] = ()
    share: str = ""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    gpus: int = 1
    gpu_image: str = ""
    thrifty: bool = False
    repository: bool = True
    one_file: bool = False
    follows: frozenset[str] = frozenset()
    joint: str = "-"
    glued: bool = True
    positional: bool = False
    before: tuple[str, ...] = ()
    more: Callable[[Model], Iterator[Problem]] = lambda _model: iter(())
    prepare: Callable[[Serving, Model, str, ModelFile | None], Setup] | None = None

    @property
    def table(self) -> FlagTable:
        return flag_table(self.name)

    def image_of(self, model: Model) -> str:
        """Return the image that replicas of `model` run, as it was named: its own, else this engine's."""
        own = self.gpu_image if self.gpu_image and gpus_of(self, model) else self.image
        return model.image or own.format(version=self.version)

    def version_of(self, model: Model) -> str:
        """Return the engine's version in that image, as far as the tag tells; "" where it does not."""
        return tag_version(model.image) if model.image else self.version

    def set_up(self, model: Model, version: str, file: ModelFile | None = None) -> Setup:
        """Return the setup of `model` at `version`; `file` is None for a model that is no local file."""
        return (self.prepare or prepare)(self, model, version, file)

    def check(self, model: Model, version: str) -> Iterator[Problem]:
        """Yield what the engine cannot follow in `model` at `version`; places begin at the model."""
        unchecked, elsewhere = model.engine_args_unchecked, _set_elsewhere(self, model)
        yield from check_flags(model.engine_args, self.table, version, elsewhere, unchecked=unchecked)
        yield from _check_task(self, model)
        yield from _check_fields(self, model, version)
        yield from _check_devices(self, model)
        yield from _check_uri(self, model)
        yield from self.more(model)

    def command(self, model: Model, setup: Setup, pin: Pin) -> tuple[str, ...]:
        """Return argv, or what follows the image's entrypoint; with the placeholders that a provider fills in."""
        named: dict[str, Any] = {}
        downloads = self.repository and from_hub(model)
        which = repository_of(pin.model_uri) if downloads else MODEL
        if self.model:
            named[self.model] = which
        if downloads and self.revision and pin.model_revision:
            named[self.revision] = pin.model_revision
        begin = (*self.before, which) if self.positional else self.before
        args = argv_of({**named, **setup.args}, self.table, pin.engine_version, joint=self.joint, glued=self.glued)
        return (*begin, *args)

    def needs(self, model: Model, pin: Pin) -> Mapping[str, Any]:
        """Return what stands in `Template.container`."""
        downloads = self.repository and from_hub(model)
        return {**replace(self.container, download=downloads).values(), **what_to_fetch(pin)}

    def asking(self, model: Model) -> tuple[object, ...]:
        """Return all that a setup and a command depend on, besides the pin, as a key."""
        args = json.dumps(model.engine_args, sort_keys=True, default=repr) if model.engine_args else ""
        fields = (model.task, model.quantization, model.kv_cache_dtype, model.max_model_len, model.image, model.gpu)
        return (self.name, model.uri, model.served_names, *fields, model.engine_args_unchecked, args)


def tag_version(image: str) -> str:
    """Return the version that an image's tag names, as v0.11.0-cuda12 or server-cuda-b11382; "" where it names none."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    found = re.search(r"\d+(?:\.\d+)+(?:\.?post\d+)?|(?<=b)\d{3,}", tag)
    return found[0] if found else ""


def from_hub(model: Model) -> bool:
    return (model.uri or "").startswith(HF)


def shares(model: Model) -> bool:
    """Return whether a replica takes only a part of each device."""
    return model.gpu is not None and bool(model.gpu.memory or model.gpu.fraction)


def gpus_of(serving: Serving | None, model: Model) -> int:
    if model.gpu is not None:
        return model.gpu.count
    return serving.gpus if serving else 0


def prepare(serving: Serving, model: Model, version: str, file: ModelFile | None) -> Setup:
    """Return the setup of `model` in a container. `args` are all flags under the engine's own names, in order."""
    checked = (*serving.check(model, version), *_check_files(serving, file))
    args = {**serving.fixed, **serving.said(model, version), **_from_fields(serving, model), **taken(model, checked)}
    return Setup(args, port=serving.port, metrics_path=serving.metrics_path, problems=checked)


def taken(model: Model, problems: Iterable[Problem]) -> dict[str, Any]:
    """Return the arguments of `model` without those that were found wrong."""
    refused = {each.loc[1] for each in problems if each.loc[0] == "engine_args" and is_error(each)}
    return {name: _frozen(value) for name, value in model.engine_args.items() if name not in refused}


def _frozen(value: Any) -> Any:
    """Return a value of a file as it comes back from state: with tuples for lists."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    return {name: _frozen(each) for name, each in value.items()} if isinstance(value, dict) else value


def repository_of(uri: str) -> str:
    """Return OWNER/NAME of an `hf://` uri."""
    return "/".join(uri.removeprefix(HF).split("@")[0].split("/")[:2])


def _from_fields(serving: Serving, model: Model) -> dict[str, Any]:
    """Return the flags that stem from fields of the model; what no flag stands for was refused by `check`."""
    found: dict[str, Any] = {}
    if model.max_model_len and serving.context:
        found[serving.context] = model.max_model_len
    if model.kv_cache_dtype != "auto" and serving.kv_cache:
        found[serving.kv_cache] = model.kv_cache_dtype
    if serving.method and (method := serving.methods.get(model.quantization)):
        found[serving.method] = method
    if serving.devices and (count := gpus_of(serving, model) // _parts(serving, model)) > 1:
        found[serving.devices] = count
    if serving.share and shares(model):
        found[serving.share] = GPU_SHARE
    return found


def _parts(serving: Serving, model: Model) -> int:
    """Return into how many groups the arguments split the devices of a replica."""
    asked = (model.engine_args.get(name) for name in serving.splits)
    return prod(each for each in asked if type(each) is int and each > 0)


# ---------------------------------------------------------------- what is wrong


def is_error(found: Problem) -> bool:
    return found.diagnostic.severity is Severity.ERROR


def _set_elsewhere(serving: Serving, model: Model) -> Mapping[str, str]:
    fields = {
        serving.model: "say uri of the model instead",
        serving.revision: "name it in the uri, as hf://OWNER/NAME@REVISION",
        serving.context: "say max_model_len of the model instead",
        serving.kv_cache: "say kv_cache_dtype of the model instead",
        serving.method: "say quantization of the model instead" if serving.methods else "",
        serving.devices: "say gpu: {count: N} of the model instead",
        serving.share: "say gpu: {fraction: …} or {memory: …} of the model instead" if shares(model) else "",
    }
    return {**{flag: way for flag, way in fields.items() if flag and way}, **serving.elsewhere}


def _check_task(serving: Serving, model: Model) -> Iterator[Problem]:
    if model.task not in serving.tasks:
        served = (
            " and ".join((", ".join(serving.tasks[:-1]), serving.tasks[-1])) if serving.tasks[1:] else serving.tasks[0]
        )
        yield unfit("task", f"{serving.name} has no task {model.task}", f"it serves {served}")


def _check_fields(serving: Serving, model: Model, version: str) -> Iterator[Problem]:
    """Yield the fields that no flag of the engine stands for, or whose value is not one that its flag takes."""
    asked = (
        ("max_model_len", model.max_model_len, serving.context, model.max_model_len),
        ("kv_cache_dtype", model.kv_cache_dtype, serving.kv_cache, model.kv_cache_dtype),
        ("quantization", model.quantization, serving.method, serving.methods.get(model.quantization)),
    )
    table = serving.table
    for name, value, flag, word in asked:
        if value in {None, "auto"} or name in serving.follows or (name == "quantization" and value == "none"):
            continue
        row = table.row(flag, table.nearest(version)) if flag else None
        if row is None or word is None:
            known = [each for each in serving.methods if not each.startswith("gguf")] if name == "quantization" else []
            detail = f"it takes {', '.join(known)}" if known else "nobody would hear of it"
            hint = _ways[name]
            yield unfit(name, f"{serving.name} has no way to follow {name}: {value}", detail, hint)
        elif wrong := wrong_value(row, word):
            hint = did_you_mean(str(word), map(str, row.get("choices", ())))
            yield unfit(name, f"{serving.name} has no such {name}", wrong, hint)


_ways = MappingProxyType(
    {
        "max_model_len": "leave it out: the engine takes it from the model",
        "kv_cache_dtype": "leave it out, or choose another engine",
        "quantization": "leave it out and name a checkpoint that is quantized so: engines find that out by themselves",
    }
)


def _check_devices(serving: Serving, model: Model) -> Iterator[Problem]:
    if model.gpu is None:
        return
    if shares(model) and not serving.share and not serving.thrifty:
        hint = "give it whole devices: gpu: {count: 1}"
        yield unfit("gpu", f"{serving.name} cannot be kept to a part of a device", "it takes what is free", hint)

    elif gpus_of(serving, model) % _parts(serving, model):
        detail = f"{gpus_of(serving, model)} devices cannot be split into {_parts(serving, model)} equal groups"
        yield unfit(
            "gpu", "The devices of a replica do not come out even", detail, f"see {' and '.join(serving.splits)}"
        )


def _check_uri(serving: Serving, model: Model) -> Iterator[Problem]:
    scheme = (model.uri or "").partition(":")[0]
    if scheme == "pvc":
        yield unfit("uri", "A claim of Kubernetes cannot be mounted here", "no cluster", "name a file:, hf:// or s3://")
    elif scheme in {"http", "https"} and not serving.one_file:
        hint = "name a folder (file:, s3://) or a repository (hf://)"
        yield unfit("uri", f"{serving.name} serves models of several files", "this is one file", hint)


def _check_files(serving: Serving, file: ModelFile | None) -> Iterator[Problem]:
    if file is not None and not file.folder and not serving.one_file:
        hint = "name the folder that holds config.json and the weights; a GGUF file is for engine: llama.cpp"
        yield unfit("uri", f"{serving.name} serves models of several files", "this is one file", hint)


def unfit(field_name: str, summary: str, detail: str, hint: str = "") -> Problem:
    loc = tuple(field_name.split("."))
    return problem(UNFIT_FOR_ENGINE, summary, detail, loc=loc, hint=hint or UNFIT_FOR_ENGINE.remedy)
