"""Owns llama.cpp: how a model is asked of it, the arguments it takes, how it answers.

Arguments have the names of llama.cpp's own flags, with underscores (llama.cpp, tools/server/README.md). How a
provider hands them over is its own business. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from infctl.diagnostics import did_you_mean
from infctl.engines.arguments import INT32_MAX, EngineArg, check_args
from infctl.engines.gguf import Header
from infctl.engines.model_file import ModelFile
from infctl.engines.setup import UNFIT_FOR_ENGINE, Setup
from infctl.spec.problems import Problem, problem

if TYPE_CHECKING:
    from infctl.spec.model import Model

NAME = "llama.cpp"
DISTRIBUTION = "xllamacpp"  # the Python package that brings it for the embedded engine
TASKS = ("generate", "embed")
METRICS_PATH = "/metrics"
METRICS: Mapping[str, str] = MappingProxyType(
    {
        "running": "llamacpp:requests_processing",
        "queue": "llamacpp:requests_deferred",
        "tokens_in": "llamacpp:prompt_tokens_total",
        "tokens_out": "llamacpp:tokens_predicted_total",
    }
)
DEFAULT_CONTEXT = 4_096  # tokens of one request, where max_model_len is not given and the model was trained for more
DEFAULT_SLOTS = 4  # requests at once; what llama.cpp's server takes where -np is not given
MOST_SLOTS = 256  # LLAMA_MAX_SEQ of src/llama-cparams.h
_PLAIN = frozenset({"F32", "F16", "BF16"})  # not quantized
CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")

ARGS: Mapping[str, EngineArg] = MappingProxyType(
    {
        "ctx_size": EngineArg(int, "tokens of all slots together", instead="max_model_len"),
        "parallel": EngineArg(int, "requests served at once, each with max_model_len tokens", least=1, most=MOST_SLOTS),
        "threads": EngineArg(int, "CPU threads while generating", least=1, most=512),
        "threads_batch": EngineArg(int, "CPU threads for prompts", least=1, most=512),
        "threads_http": EngineArg(int, "threads that serve HTTP", least=1, most=4_096),
        "batch_size": EngineArg(int, "most prompt tokens handed over at once", least=1),
        "ubatch_size": EngineArg(int, "most prompt tokens computed at once", least=1),
        "n_predict": EngineArg(int, "most tokens of one answer; -1 for no limit", least=-1),
        "cache_type_k": EngineArg(str, "number format of the keys in the KV cache", CACHE_TYPES),
        "cache_type_v": EngineArg(str, "number format of the values in the KV cache", CACHE_TYPES),
        "flash_attn": EngineArg(str, "flash attention", ("auto", "on", "off")),
        "load_mode": EngineArg(
            str,
            "how weights come to memory: mapped, locked, both, or read",
            ("auto", "mmap", "mlock", "mmap_mlock", "direct_io", "none"),
        ),
        "numa": EngineArg(str, "how memory is spread over sockets", ("disabled", "distribute", "isolate", "numactl")),
        "n_gpu_layers": EngineArg(int, "layers kept on a GPU; -1 for all that fit", least=-1),
        "kv_unified": EngineArg(bool, "one KV buffer shared by all slots"),
        "cont_batching": EngineArg(bool, "mix prompts and generation in one batch"),
        "context_shift": EngineArg(bool, "drop the oldest tokens of an answer that grows too long"),
        "cache_prompt": EngineArg(bool, "reuse the KV cache of a common prefix"),
        "cache_reuse": EngineArg(int, "smallest chunk of tokens reused by shifting", least=0),
        "cache_ram": EngineArg(int, "MiB for prompts put aside; 0 for none, which infctl takes", least=0),
        "rope_scaling": EngineArg(
            str,
            "how positions beyond the trained context are scaled",
            ("none", "linear", "yarn", "longrope"),
        ),
        "rope_freq_base": EngineArg(float, "base frequency of RoPE; 0 takes the model's", least=0),
        "rope_freq_scale": EngineArg(float, "RoPE frequency factor; 0 for the model's", least=0),
        "pooling": EngineArg(str, "how token vectors become one embedding", ("none", "mean", "cls", "last", "rank")),
        "jinja": EngineArg(bool, "render chat templates with the full Jinja engine"),
        "chat_template": EngineArg(str, "a chat template, or the name of a built-in one"),
        "seed": EngineArg(int, "seed of requests that bring none; random without it", least=0),
        "temp": EngineArg(float, "temperature of requests that bring none", least=0),
        "top_k": EngineArg(int, "top-k of requests that bring none; 0 for off", least=0),
        "top_p": EngineArg(float, "top-p of requests that bring none", least=0, most=1),
        "min_p": EngineArg(float, "min-p of requests that bring none", least=0, most=1),
        "warmup": EngineArg(bool, "run the model once, empty, before it is called loaded"),
        "timeout_read": EngineArg(int, "seconds until a silent client is dropped", least=1),
        "timeout_write": EngineArg(int, "seconds until a client that stops reading is dropped", least=1),
        "verbosity": EngineArg(int, "how much llama.cpp logs: 0 little, 3 as usual, 5 all", least=0, most=5),
    }
)


def why_not(header: Header) -> str:
    """Return why llama.cpp cannot serve a model file with this header, empty where it can.

    Sources: llama.cpp loads no file without tensors; gguf.md, `general.type` and `split.count`.
    """
    kind, parts = header.metadata.get("general.type", "model"), header.metadata.get("split.count", 1)
    if not header.architecture:
        return "it names no architecture"
    if kind != "model":
        return f"it holds no model of its own, but one of type {kind}"
    if isinstance(parts, int) and parts > 1:
        return f"it is one of {parts} parts; put them together with `llama-gguf-split --merge`"
    return "" if header.tensors else "it holds no weights"


def set_up(model: Model, file: ModelFile) -> Setup:
    """Return the setup for serving `file` as `model` asks. Pure; depends on `file` and on `asking(model)` only."""
    args = _args_asked(model)
    trained = file.shape.context_length if file.shape else 0
    context = model.max_model_len or min(trained or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    args["ctx_size"] = context * args["parallel"]
    problems = (*check(model), *check_quantization(model, file), *check_context(args, context, trained))
    return Setup(args, metrics_path=METRICS_PATH, problems=problems)


def in_own_words(args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `args` with what stems from a field of the model under that field's name: the reverse of `set_up`."""
    size, slots = args.get("ctx_size"), args.get("parallel")
    if not isinstance(size, int) or not isinstance(slots, int) or slots < 1 or size % slots:
        return args
    return {"max_model_len": size // slots, **{name: value for name, value in args.items() if name != "ctx_size"}}


def check(model: Model) -> Iterator[Problem]:
    """Yield what llama.cpp cannot follow in `model`, whatever its file holds. Pure; places begin at the model."""
    yield from check_args(model.engine_args, ARGS, NAME)
    yield from _check_fields(model)
    yield from check_cache(_args_asked(model))


def _args_asked(model: Model) -> dict[str, Any]:
    """Return the arguments of `model` without those that are wrong, and those that infctl decides without a file."""
    refused = {each.loc[-1] for each in check_args(model.engine_args, ARGS, NAME)}
    taken = {name: value for name, value in model.engine_args.items() if name not in refused}
    return {"cache_ram": 0, "parallel": DEFAULT_SLOTS, **cache_types(model), **taken}


def asking(model: Model) -> tuple[object, ...]:
    """Return all that `set_up` depends on, besides the file, as a key; models that ask the same share a setup."""
    args = json.dumps(model.engine_args, sort_keys=True, default=repr) if model.engine_args else ""
    fields = (model.task, model.quantization, model.kv_cache_dtype, model.max_model_len)
    return (*fields, args)


def _check_fields(model: Model) -> Iterator[Problem]:
    """Yield the fields of a model that llama.cpp cannot follow."""
    if model.task not in TASKS:
        yield _unfit("task", f"llama.cpp has no task {model.task}", f"it serves {' and '.join(TASKS)}")
    if model.kv_cache_dtype not in {"auto", *CACHE_TYPES}:
        detail = f"must be one of auto, {', '.join(CACHE_TYPES)}"
        hint = did_you_mean(model.kv_cache_dtype, CACHE_TYPES)
        yield _unfit("kv_cache_dtype", "llama.cpp has no such format for the KV cache", detail, hint)


def check_quantization(model: Model, file: ModelFile) -> Iterator[Problem]:
    """Yield that the file is not quantized as the model asks."""
    fitting = {"auto", f"gguf:{file.quantization}", *(("none",) if file.quantization in _PLAIN else ())}
    if model.quantization not in fitting:
        hint = "name a file of that quantization, or leave quantization out: a GGUF file brings its own"
        detail = f"the file is {file.quantization or 'of an unknown format'}"
        yield _unfit("quantization", f"{file.uri} is not quantized as asked", detail, hint)


def _unfit(field: str, summary: str, detail: str, hint: str = "") -> Problem:
    return problem(UNFIT_FOR_ENGINE, summary, detail, loc=tuple(field.split(".")), hint=hint or UNFIT_FOR_ENGINE.remedy)


def cache_types(model: Model) -> dict[str, str]:
    """Return the arguments that `kv_cache_dtype` stands for."""
    kept_as = model.kv_cache_dtype
    return {"cache_type_k": kept_as, "cache_type_v": kept_as} if kept_as in CACHE_TYPES else {}


def check_cache(args: Mapping[str, Any]) -> Iterator[Problem]:
    """llama.cpp refuses a quantized value cache without flash attention (src/llama-context.cpp)."""
    kept_as = args.get("cache_type_v", "f16")
    if args.get("flash_attn") == "off" and kept_as.upper() not in _PLAIN:
        detail = f"flash_attn is off, but values are kept as {kept_as}"
        hint = "leave flash_attn out, or keep values as f16"
        yield _unfit("engine_args.flash_attn", "A quantized value cache needs flash attention", detail, hint)


def check_context(args: Mapping[str, Any], context: int, trained: int) -> Iterator[Problem]:
    """Yield that a request cannot have `context` tokens; `trained` is 0 where nobody knows."""
    if args["ctx_size"] > INT32_MAX:
        detail = f"{args['parallel']} requests of {context} tokens are more than llama.cpp counts"
        hint = f"at most {INT32_MAX // args['parallel']} tokens with {args['parallel']} slots"
        yield _unfit("max_model_len", "The context is too long", detail, hint)
    elif trained and context > trained:  # its server caps each slot there (tools/server/server-context.cpp)
        detail = f"the model was trained with {trained} tokens, and llama.cpp serves no more"
        yield _unfit("max_model_len", "The context is longer than the model's", detail, f"say {trained} or less")
