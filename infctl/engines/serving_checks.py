"""Owns what is wrong with a model for an engine in a container. Places begin at the model. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from infctl.diagnostics import did_you_mean
from infctl.engines.asked import HUB_URI, HUB_VARIABLE, from_hub, gpus_of, parts, shares, token_is_a_file
from infctl.engines.flag_table import check_flags, wrong_value
from infctl.engines.model_file import ModelFile
from infctl.engines.setup import UNFIT_FOR_ENGINE
from infctl.spec.problems import Problem, problem

if TYPE_CHECKING:
    from infctl.engines.serving import Serving
    from infctl.spec.model import Model

_WAYS = MappingProxyType(
    {
        "max_model_len": "leave it out: the engine takes it from the model",
        "kv_cache_dtype": "leave it out, or choose another engine",
        "quantization": "leave it out and name a checkpoint that is quantized so: engines find that out by themselves",
    }
)


def check_model(serving: Serving, model: Model, version: str) -> Iterator[Problem]:
    """Yield what the engine cannot follow in `model` at `version`."""
    unchecked, elsewhere = model.engine_args_unchecked, _set_elsewhere(serving, model)
    yield from check_flags(model.engine_args, serving.table, version, elsewhere, unchecked=unchecked)
    yield from _check_task(serving, model)
    yield from _check_fields(serving, model, version)
    yield from _check_devices(serving, model)
    yield from _check_uri(serving, model)
    yield from _check_token(serving, model)
    yield from serving.more(model)


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
        *some, last = serving.tasks
        served = f"it serves {', '.join(some)} and {last}" if some else f"it serves {last}"
        yield unfit("task", f"{serving.name} has no task {model.task}", served)


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
            known = serving.methods if name == "quantization" else ()
            detail = f"it takes {', '.join(known)}" if known else "nobody would hear of it"
            hint = _WAYS[name]
            yield unfit(name, f"{serving.name} has no way to follow {name}: {value}", detail, hint)
        elif wrong := wrong_value(row, word):
            hint = did_you_mean(str(word), map(str, row.get("choices", ())))
            yield unfit(name, f"{serving.name} has no such {name}", wrong, hint)


def _check_devices(serving: Serving, model: Model) -> Iterator[Problem]:
    if model.gpu is None:
        return
    if shares(model) and not serving.share and not serving.thrifty:
        hint = "give it whole devices: gpu: {count: 1}"
        yield unfit("gpu", f"{serving.name} cannot be kept to a part of a device", "it takes what is free", hint)
    elif gpus_of(serving, model) % parts(serving, model):
        detail = f"{gpus_of(serving, model)} devices cannot be split into {parts(serving, model)} equal groups"
        hint = f"see {' and '.join(serving.splits)}"
        yield unfit("gpu", "The devices of a replica do not come out even", detail, hint)


def _check_uri(serving: Serving, model: Model) -> Iterator[Problem]:
    uri = (model.uri or "").partition("#")[0]
    scheme, named = uri.partition(":")[0], HUB_URI.fullmatch(uri)
    several = f"{serving.name} serves models of several files"
    if scheme == "pvc":
        yield unfit("uri", "A claim of Kubernetes cannot be mounted here", "no cluster", "name a file:, hf:// or s3://")
    elif scheme == "hf" and named is None:
        hint = "write hf://OWNER/NAME, hf://OWNER/NAME@REVISION or hf://OWNER/NAME/FILE.gguf"
        yield unfit("uri", "This is not a repository of the hub", "not OWNER/NAME", hint)
    elif serving.one_file:
        return
    elif uri.endswith(".gguf"):
        yield unfit("uri", several, "this is a GGUF file", "say engine: llama.cpp, which serves it")
    elif scheme in {"http", "https"}:
        yield unfit("uri", several, "this is one file", "name a folder (file:, s3://) or a repository (hf://)")
    elif named is not None and named["file"]:
        yield unfit("uri", several, "this is one file", f"name the whole repository: hf://{named['id']}")


def _check_token(serving: Serving, model: Model) -> Iterator[Problem]:
    if serving.repository and not serving.reads_hub_file and from_hub(model) and token_is_a_file(model):
        hint = f"write {HUB_VARIABLE}: {{secret: NAME, as: env}}"
        yield unfit(
            f"env.{HUB_VARIABLE}", f"{serving.name} reads no file for {HUB_VARIABLE}", "handed over as a file", hint
        )


def check_files(serving: Serving, file: ModelFile | None) -> Iterator[Problem]:
    """Yield that the engine cannot load what was found at the model's uri."""
    if file is not None and not file.folder and not serving.one_file:
        hint = "name the folder that holds config.json and the weights; a GGUF file is for engine: llama.cpp"
        yield unfit("uri", f"{serving.name} serves models of several files", "this is one file", hint)


def unfit(field_name: str, summary: str, detail: str, hint: str = "") -> Problem:
    """Return the error about a field, as "gpu" or "engine_args.parallel"."""
    loc = tuple(field_name.split("."))
    return problem(UNFIT_FOR_ENGINE, summary, detail, loc=loc, hint=hint or UNFIT_FOR_ENGINE.remedy)
