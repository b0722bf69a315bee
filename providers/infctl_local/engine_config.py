"""Owns what one embedded llama.cpp is told: its config file, and which `engine_args` it takes.

Names are those of llama.cpp's own flags, with underscores (llama.cpp, tools/server/README.md). Pure, and
without xllamacpp: planning reads it too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType

INT32_MAX = 2**31 - 1  # llama.cpp keeps sizes in 32 bits
Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class EngineArg:
    """One argument. `attribute` is the dotted place in xllamacpp's CommonParams; `choices` maps the
    user's word to the member of xllamacpp's enumeration `enum`; `least` is the smallest value allowed.
    """

    type: type[bool | int | float | str]
    attribute: str
    doc: str
    enum: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    least: float | None = None


def _choice(attribute: str, doc: str, enum: str, prefix: str, *words: str) -> EngineArg:
    members = {word: prefix + word.upper() for word in words}
    return EngineArg(str, attribute, doc, enum, MappingProxyType(members))


def _cache_type(attribute: str, doc: str) -> EngineArg:
    words = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
    return _choice(attribute, doc, "ggml_type", "GGML_TYPE_", *words)


ENGINE_ARGS: Mapping[str, EngineArg] = MappingProxyType(
    {
        "threads": EngineArg(int, "cpuparams.n_threads", "CPU threads while generating", least=1),
        "threads_batch": EngineArg(int, "cpuparams_batch.n_threads", "CPU threads for prompts", least=1),
        "threads_http": EngineArg(int, "n_threads_http", "threads that serve HTTP", least=1),
        "batch_size": EngineArg(int, "n_batch", "most prompt tokens handed over at once", least=1),
        "ubatch_size": EngineArg(int, "n_ubatch", "most prompt tokens computed at once", least=1),
        "n_predict": EngineArg(int, "n_predict", "most tokens of one answer; -1 for no limit", least=-1),
        "cache_type_k": _cache_type("cache_type_k", "number format of the keys in the KV cache"),
        "cache_type_v": _cache_type("cache_type_v", "number format of the values in the KV cache"),
        "flash_attn": EngineArg(
            str,
            "flash_attn_type",
            "flash attention",
            "llama_flash_attn_type",
            MappingProxyType(
                {
                    "auto": "LLAMA_FLASH_ATTN_TYPE_AUTO",
                    "on": "LLAMA_FLASH_ATTN_TYPE_ENABLED",
                    "off": "LLAMA_FLASH_ATTN_TYPE_DISABLED",
                }
            ),
        ),
        "load_mode": _choice(
            "load_mode",
            "how weights come to memory: mapped, locked, both, or read",
            "llama_load_mode",
            "LLAMA_LOAD_MODE_",
            *("auto", "mmap", "mlock", "mmap_mlock", "direct_io", "none"),
        ),
        "numa": _choice(
            "numa",
            "how memory is spread over sockets",
            "ggml_numa_strategy",
            "GGML_NUMA_STRATEGY_",
            *("disabled", "distribute", "isolate", "numactl"),
        ),
        "n_gpu_layers": EngineArg(int, "n_gpu_layers", "layers kept on a GPU; -1 for all that fit", least=-1),
        "kv_unified": EngineArg(bool, "kv_unified", "one KV buffer shared by all slots"),
        "cont_batching": EngineArg(bool, "cont_batching", "mix prompts and generation in one batch"),
        "context_shift": EngineArg(bool, "ctx_shift", "drop the oldest tokens of an answer that grows too long"),
        "cache_prompt": EngineArg(bool, "cache_prompt", "reuse the KV cache of a common prefix"),
        "cache_reuse": EngineArg(int, "n_cache_reuse", "smallest chunk of tokens reused by shifting", least=0),
        "cache_ram": EngineArg(int, "cache_ram_mib", "MiB for prompts put aside; -1 for no limit", least=-1),
        "rope_scaling": _choice(
            "rope_scaling_type",
            "how positions beyond the trained context are scaled",
            "llama_rope_scaling_type",
            "LLAMA_ROPE_SCALING_TYPE_",
            *("none", "linear", "yarn", "longrope"),
        ),
        "rope_freq_base": EngineArg(float, "rope_freq_base", "base frequency of RoPE; 0 takes the model's", least=0),
        "rope_freq_scale": EngineArg(float, "rope_freq_scale", "RoPE frequency factor; 0 for the model's", least=0),
        "pooling": _choice(
            "pooling_type",
            "how token vectors become one embedding",
            "llama_pooling_type",
            "LLAMA_POOLING_TYPE_",
            *("none", "mean", "cls", "last", "rank"),
        ),
        "jinja": EngineArg(bool, "use_jinja", "render chat templates with the full Jinja engine"),
        "chat_template": EngineArg(str, "chat_template", "a chat template, or the name of a built-in one"),
        "seed": EngineArg(int, "sampling.seed", "seed of requests that bring none; random without it", least=0),
        "temp": EngineArg(float, "sampling.temp", "temperature of requests that bring none", least=0),
        "top_k": EngineArg(int, "sampling.top_k", "top-k of requests that bring none; 0 for off", least=0),
        "top_p": EngineArg(float, "sampling.top_p", "top-p of requests that bring none", least=0),
        "min_p": EngineArg(float, "sampling.min_p", "min-p of requests that bring none", least=0),
        "warmup": EngineArg(bool, "warmup", "run the model once, empty, before it is called loaded"),
        "timeout_read": EngineArg(int, "timeout_read", "seconds until a silent client is dropped", least=1),
        "timeout_write": EngineArg(
            int, "timeout_write", "seconds until a client that stops reading is dropped", least=1
        ),
        "verbosity": EngineArg(int, "verbosity", "how much llama.cpp logs: 0 little, 3 as usual, 5 all", least=0),
    }
)


def wrong_engine_arg(name: str, value: Value) -> str:
    """Return what is wrong with this argument, as a short phrase; empty when it is right."""
    known = ENGINE_ARGS.get(name)
    if known is None:
        return "not an argument of the embedded llama.cpp"
    whole_for_float = known.type is float and type(value) is int
    if type(value) is not known.type and not whole_for_float:
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        return f"must be {words[known.type]}"
    if known.choices and value not in known.choices:
        return f"must be one of {', '.join(known.choices)}"
    if type(value) is int and value > INT32_MAX:
        return f"must be at most {INT32_MAX}"
    if known.least is not None and not isinstance(value, str) and value < known.least:
        return f"must be at least {known.least:g}"
    return ""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """One server. `n_ctx` is in tokens and for all `n_parallel` slots together, so one request has at most
    `n_ctx // n_parallel`; 0 takes what the model was trained with. `alias`: the names that it answers to.
    """

    model: str
    port: int
    host: str = "127.0.0.1"
    n_ctx: int = 0
    n_parallel: int = 1
    alias: tuple[str, ...] = ()
    embedding: bool = False
    args: Mapping[str, Value] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> EngineConfig:
        """Raises ValueError, saying which field or argument is wrong."""
        values = json.loads(text)
        try:
            config = cls(**{**values, "alias": tuple(values.get("alias", ()))})
        except TypeError as error:
            raise ValueError(f"the engine's config: {error}") from error
        if not 0 <= config.n_ctx <= INT32_MAX:
            raise ValueError(f"n_ctx must be between 0 and {INT32_MAX} tokens, not {config.n_ctx}")
        for name, value in config.args.items():
            if wrong := wrong_engine_arg(name, value):
                raise ValueError(f"engine_args.{name}: {wrong}")
        return config
