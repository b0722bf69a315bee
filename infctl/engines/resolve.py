"""Owns the way from a model to what its replicas run: which engine, pinned to what, started how.

A target either brings its engine (`container` false) or runs containers of images. Knows which engines there are and
nothing of any; knows no target. Engines in containers are loaded when a model asks for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from math import ceil
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from infctl.engines import custom, llama_cpp
from infctl.engines.model_file import ModelFile
from infctl.engines.pin import Pin, what_to_fetch
from infctl.engines.setup import Setup
from infctl.provider.values import Probe, Template, digest

if TYPE_CHECKING:
    from infctl.engines.serving import Serving
    from infctl.spec.model import Model
    from infctl.spec.problems import Problem

DISTRIBUTIONS: Mapping[str, str] = MappingProxyType({llama_cpp.NAME: llama_cpp.DISTRIBUTION})
READS_HEADER = frozenset({llama_cpp.NAME})  # engines whose model file infctl understands
LOCAL, HUB = "file:", "hf://"
DOWNLOAD_RATE = 10_000_000  # bytes a second: a line of 100 Mbit/s, nearly
# Arguments that infctl decides the same for everybody, and names that stand elsewhere in the file.
_DECIDED = frozenset({"host", "hostname", "port", "metrics", "alias", "served_model_name"})
_COMPLETIONS = ("completions", "/v1/completions")
_PROBES = MappingProxyType(
    {"generate": _COMPLETIONS, "vision": _COMPLETIONS, "embed": ("embeddings", "/v1/embeddings")}
)
SERVED: Mapping[str, str] = MappingProxyType(  # engine -> the module that says how it is served in a container
    {
        "vllm": "vllm",
        "sglang": "sglang",
        "tgi": "tgi",
        "tensorrt-llm": "tensorrt_llm",
        "triton": "triton",
        "onnxruntime": "onnxruntime",
        llama_cpp.NAME: "llama_server",
    }
)


@cache
def serving_of(engine: str) -> Serving | None:
    """Return how an engine is served in a container; None for a custom one."""
    name = SERVED.get(engine)
    if name is None:
        return None
    found: Serving = import_module(f"infctl.engines.{name}").SERVING
    return found


def engine_of(model: Model, *, container: bool = False) -> str:
    """Return the engine that serves `model`: what it says, or for `auto` its own command, else by its files.

    In a container vLLM serves whatever is not one file or not GGUF; where the engine is brought, that is llama.cpp.
    """
    if model.engine != "auto":
        return model.engine
    if model.command:
        return custom.NAME
    return llama_cpp.NAME if not container or _is_gguf(model) else "vllm"


def _is_gguf(model: Model) -> bool:
    """Return whether a model's uri or quantization says GGUF; a `file:` of no other known kind is taken for one."""
    uri = (model.uri or "").partition("#")[0].rstrip("/").lower()
    if uri.endswith(".gguf") or model.quantization.startswith("gguf:"):
        return True
    name = uri.rpartition("/")[2].partition("@")[0]
    return name.endswith("-gguf") if not uri.startswith(LOCAL) else "." in name and not name.endswith(".safetensors")


def inputs_of(model: Model, *, container: bool = False) -> tuple[str, ...]:
    """Return what a pin is decided from: a change here asks for a new pin, a change elsewhere does not."""
    engine = engine_of(model, container=container)
    asked = (engine, model.uri or "", model.task, model.quantization, model.image or "")
    return (*asked, "gpu" if gpus_of(model, engine) else "cpu") if container else asked


def gpus_of(model: Model, engine: str) -> int:
    """Return the devices of one replica in a container: as the model says, else as its engine needs."""
    serving = serving_of(engine)
    return model.gpu.count if model.gpu else serving.gpus if serving else 0


def decide_pin(model: Model, file: ModelFile | None, versions: Mapping[str, str], *, container: bool = False) -> Pin:
    """Return what `model` would be pinned to now. `versions` are those of the installed engines.

    In a container the image is as it is named, without its digest, and a model from elsewhere is without its revision:
    see `infctl.desired.complete`.
    """
    engine, inputs = engine_of(model, container=container), digest(inputs_of(model, container=container))
    version, image = versions.get(engine, ""), ""
    if container:
        serving = serving_of(engine)
        version, image = (serving.version_of(model), serving.image_of(model)) if serving else ("", model.image or "")
    if file is None:
        return Pin(engine, version, model.uri or "", inputs=inputs, image=image)
    return Pin(engine, version, file.uri, file.sha256, file.bytes, file.quantization, inputs, image)


def set_up(model: Model, file: ModelFile | None, *, container: bool = False, version: str = "") -> Setup:
    """Return how the engine of `model` is started, in a container at a version. Problems are in the setup: nothing is
    raised for them.
    """
    engine = engine_of(model, container=container)
    if engine == custom.NAME:
        return custom.set_up(model, container=container)
    if not container:
        assert file is not None  # noqa: S101  -- `spec` demands a uri of every other engine
        return llama_cpp.set_up(model, file)
    return _served(engine).set_up(model, version, file)


def _served(engine: str) -> Serving:
    serving = serving_of(engine)
    assert serving is not None  # noqa: S101  -- `spec` lets no other engines pass
    return serving


def check(model: Model, *, container: bool = False, version: str = "") -> tuple[Problem, ...]:
    """Return what the engine of `model` cannot follow, as far as that shows without the model file.

    In a container `version` is the one that is pinned, "" for the one that would be.
    """
    engine = engine_of(model, container=container)
    if engine == custom.NAME:
        return custom.set_up(model, container=container).problems
    if not container:
        return tuple(llama_cpp.check(model)) if engine == llama_cpp.NAME else ()  # `spec` says what is not served
    serving = _served(engine)
    return tuple(serving.check(model, version or serving.version_of(model)))


def says_nothing(model: Model) -> bool:
    """Return whether `model` asks nothing of llama.cpp that `check` could refuse; quicker than `check`."""
    plain = not model.engine_args and model.kv_cache_dtype == "auto" and model.task in llama_cpp.TASKS
    return plain and not model.command and model.engine != custom.NAME


def in_own_words(engine: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of a template of `engine` as the user's own fields say them, where there are such."""
    own = {name: value for name, value in args.items() if name not in _DECIDED}
    return llama_cpp.in_own_words(own) if engine == llama_cpp.NAME else own


def asking(model: Model, *, container: bool = False) -> tuple[object, ...]:
    """Return all that `set_up` depends on as a key: models that ask the same of the same file share a setup."""
    engine = engine_of(model, container=container)
    if engine == custom.NAME:
        return (custom.NAME, model.name, container)
    if not container:
        return (llama_cpp.NAME, model.uri, *llama_cpp.asking(model))
    return _served(engine).asking(model)


def resolve(model: Model, pin: Pin, setup: Setup, memory: int = 0, *, container: bool = False) -> Template:
    """Return what one replica of `model` runs. `memory`: bytes one replica needs, 0 where nobody knows."""
    return Template(
        engine=pin.engine,
        engine_version=pin.engine_version,
        model_uri=pin.model_uri,
        model_sha256=pin.model_sha256,
        task=model.task,
        image=pin.image if container else model.image or "",
        command=_command(model, pin, setup) if container else setup.command,
        args=setup.args,
        env=model.env,
        port=setup.port,
        probe=probe_of(model, pin.engine if container else ""),
        metrics_path=setup.metrics_path,
        memory=memory,
        gpus=gpus_of(model, pin.engine) if container else 0,
        gpu_memory=model.gpu.memory or 0 if container and model.gpu else 0,
        gpu_fraction=model.gpu.fraction or 0.0 if container and model.gpu else 0.0,
        gpu_product=model.gpu.product or "" if container and model.gpu else "",
        container=_container(model, pin) if container else {},
    )


def _command(model: Model, pin: Pin, setup: Setup) -> tuple[str, ...]:
    serving = serving_of(pin.engine)
    return serving.command(model, setup, pin) if serving else setup.command


def _container(model: Model, pin: Pin) -> Mapping[str, Any]:
    serving = serving_of(pin.engine)
    return serving.needs(model, pin) if serving else what_to_fetch(pin)


def startup_of(pin: Pin) -> float:
    """Return the seconds that a container may take to be ready besides reading its model: its engine's own, and those
    of a download that the engine does by itself.
    """
    serving = serving_of(pin.engine)
    if serving is None:
        return 0.0
    downloads = serving.repository and pin.model_uri.startswith(HUB)
    return serving.startup + (ceil(pin.model_bytes / DOWNLOAD_RATE) if downloads else 0)


def probe_of(model: Model, engine: str = "") -> Probe:
    """Return what counts as ready: answers on the model's health path, else real ones to requests of its task, else
    the health path of its `engine` in a container.
    """
    requests = 1 + model.warmup.requests
    if model.health:
        return Probe("http", model.health, requests=requests)
    if model.task not in _PROBES:
        serving = serving_of(engine)
        return Probe("http", serving.health if serving else "/health", requests=requests)
    kind, path = _PROBES[model.task]
    return Probe(kind, path, model.served_names[0] if engine else model.name, requests)
