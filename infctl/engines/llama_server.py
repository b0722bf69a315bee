"""Owns llama.cpp in a container: llama-server, its image and its command line. Pure.

What llama.cpp is wherever it runs stands in `llama_cpp`. Sources: docs/docker.md and tools/server/README.md of
llama.cpp; flags: `flags/llama.cpp.json`, by build.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from infctl.diagnostics import did_you_mean
from infctl.engines import llama_cpp
from infctl.engines.asked import taken
from infctl.engines.container import Container
from infctl.engines.model_file import ModelFile
from infctl.engines.serving import ANYWHERE, ELSEWHERE, PORT, Serving
from infctl.engines.serving_checks import unfit
from infctl.engines.setup import Setup
from infctl.spec.problems import Problem

if TYPE_CHECKING:
    from infctl.spec.model import Model

_SAY_TASK = "say task of the model instead"
_TASKS = {"embed": "embeddings", "rerank": "reranking"}


def _said(model: Model, _version: str) -> Mapping[str, Any]:
    return {"alias": ",".join(model.served_names), **({_TASKS[model.task]: True} if model.task in _TASKS else {})}


def _more(model: Model) -> Iterator[Problem]:
    if model.kv_cache_dtype not in {"auto", *llama_cpp.CACHE_TYPES}:
        detail = f"must be one of auto, {', '.join(llama_cpp.CACHE_TYPES)}"
        hint = did_you_mean(model.kv_cache_dtype, llama_cpp.CACHE_TYPES)
        yield unfit("kv_cache_dtype", "llama.cpp has no such format for the KV cache", detail, hint)
    slots = model.engine_args.get("parallel", 1)
    if type(slots) is int and not 1 <= slots <= llama_cpp.MOST_SLOTS:  # -1 is its own choice, which nobody can size
        detail = f"must be 1 to {llama_cpp.MOST_SLOTS}"
        yield unfit("engine_args.parallel", "parallel has a wrong value", detail, "how many requests at once")
    yield from llama_cpp.check_cache({**llama_cpp.cache_types(model), **model.engine_args})


def _prepare(serving: Serving, model: Model, version: str, file: ModelFile | None) -> Setup:
    """Return the setup for serving `file`, or a model that nobody has read yet, as `model` asks."""
    checked = tuple(serving.check(model, version))
    own = {"cache_ram": 0, "parallel": llama_cpp.DEFAULT_SLOTS, **llama_cpp.cache_types(model), **taken(model, checked)}
    trained = file.shape.context_length if file and file.shape else 0
    context = model.max_model_len or min(trained or llama_cpp.DEFAULT_CONTEXT, llama_cpp.DEFAULT_CONTEXT)
    args = {**serving.fixed, **_said(model, version), "ctx_size": context * own["parallel"], **own}
    checked += tuple(llama_cpp.check_context(args, context, trained))
    if file is not None:
        checked += tuple(llama_cpp.check_quantization(model, file))
    return Setup(args, port=serving.port, metrics_path=serving.metrics_path, problems=checked)


SERVING = Serving(
    name=llama_cpp.NAME,
    image="ghcr.io/ggml-org/llama.cpp:server-b{version}",
    gpu_image="ghcr.io/ggml-org/llama.cpp:server-cuda-b{version}",
    version="11382",
    tasks=("generate", "embed", "rerank"),
    port=8080,
    fixed={"host": ANYWHERE, "port": PORT, "metrics": True},
    said=_said,
    container=Container(arguments_only=True, read_only=True, tmpfs=("/tmp",)),  # noqa: S108  -- the container's own
    metrics_path=llama_cpp.METRICS_PATH,
    model="model",
    gpus=0,
    startup=0.0,
    thrifty=True,
    batching={"seqs": "parallel", "tokens": "batch_size"},
    repository=False,
    one_file=True,
    follows=frozenset({"max_model_len", "kv_cache_dtype", "quantization"}),
    glued=False,
    elsewhere={
        **ELSEWHERE,
        "ctx_size": "say max_model_len of the model instead",
        "alias": "say served_names of the model instead",
        "embedding": _SAY_TASK,
        "embeddings": _SAY_TASK,
        "rerank": _SAY_TASK,
        "reranking": _SAY_TASK,
        "metrics": "leave it out: infctl says it",
        "hf_repo": "say uri: hf://OWNER/NAME/FILE.gguf instead",
        "hf_file": "say uri: hf://OWNER/NAME/FILE.gguf instead",
        "model_url": "say uri of the model instead",
        "ssl_key_file": ELSEWHERE["ssl_keyfile"],
        "ssl_cert_file": ELSEWHERE["ssl_certfile"],
        "api_key_file": ELSEWHERE["api_key"],
        "api_prefix": "leave it out: infctl asks for /v1",
    },
    more=_more,
    prepare=_prepare,
)
