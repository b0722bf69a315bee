"""Owns the way from a model to what its replicas run: which engine, pinned to what, started how.

Knows which engines there are and nothing of any; knows no target.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from infctl.engines import custom, llama_cpp
from infctl.engines.model_file import ModelFile
from infctl.engines.pin import Pin
from infctl.engines.setup import Setup
from infctl.provider.values import Probe, Template, digest

if TYPE_CHECKING:
    from infctl.spec.model import Model
    from infctl.spec.problems import Problem

DISTRIBUTIONS: Mapping[str, str] = MappingProxyType({llama_cpp.NAME: llama_cpp.DISTRIBUTION})
READS_HEADER = frozenset({llama_cpp.NAME})  # engines whose model file infctl understands
_PROBES = MappingProxyType({"generate": ("completions", "/v1/completions"), "embed": ("embeddings", "/v1/embeddings")})


def engine_of(model: Model) -> str:
    """Return the engine that serves `model`: what it says, or for `auto` its own command, else llama.cpp."""
    if model.engine != "auto":
        return model.engine
    return custom.NAME if model.command else llama_cpp.NAME


def inputs_of(model: Model) -> tuple[str, ...]:
    """Return what a pin is decided from: a change here asks for a new pin, a change elsewhere does not."""
    return (engine_of(model), model.uri or "", model.task, model.quantization, model.image or "")


def decide_pin(model: Model, file: ModelFile | None, versions: Mapping[str, str]) -> Pin:
    """Return what `model` would be pinned to now. `versions` are those of the installed engines."""
    engine, inputs = engine_of(model), digest(inputs_of(model))
    version = versions.get(engine, "")
    if file is None:
        return Pin(engine, version, model.uri or "", inputs=inputs)
    return Pin(engine, version, file.uri, file.sha256, file.bytes, file.quantization, inputs)


def set_up(model: Model, file: ModelFile | None) -> Setup:
    """Return how the engine of `model` is started. Problems are in the setup: nothing is raised for them.

    `spec` lets no engines pass but these.
    """
    if engine_of(model) == custom.NAME:
        return custom.set_up(model)
    assert file is not None  # noqa: S101  -- `spec` demands a uri of every other engine
    return llama_cpp.set_up(model, file)


def check(model: Model) -> tuple[Problem, ...]:
    """Return what the engine of `model` cannot follow, as far as that shows without the model file."""
    return custom.set_up(model).problems if engine_of(model) == custom.NAME else tuple(llama_cpp.check(model))


def in_own_words(engine: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of a template of `engine` as the user's own fields say them, where there are such."""
    return llama_cpp.in_own_words(args) if engine == llama_cpp.NAME else args


def asking(model: Model) -> tuple[object, ...]:
    """Return all that `set_up` depends on as a key: models that ask the same of the same file share a setup."""
    if engine_of(model) == custom.NAME:
        return (custom.NAME, model.name)
    return (llama_cpp.NAME, model.uri, *llama_cpp.asking(model))


def resolve(model: Model, pin: Pin, setup: Setup, memory: int = 0) -> Template:
    """Return what one replica of `model` runs. `memory`: bytes one replica needs, 0 where nobody knows."""
    return Template(
        engine=pin.engine,
        engine_version=pin.engine_version,
        model_uri=pin.model_uri,
        model_sha256=pin.model_sha256,
        task=model.task,
        image=model.image or "",
        command=setup.command,
        args=setup.args,
        env=model.env,
        port=setup.port,
        probe=probe_of(model),
        metrics_path=setup.metrics_path,
        memory=memory,
    )


def probe_of(model: Model) -> Probe:
    """Return what counts as ready: answers on the model's health path, else real ones to requests of its task."""
    requests = 1 + model.warmup.requests
    if model.health:
        return Probe("http", model.health, requests=requests)
    kind, path = _PROBES[model.task]
    return Probe(kind, path, model.name, requests)
