"""The page of docs/reference/ about engines in containers, from the code. `reference.py` writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from infctl.engines.resolve import SERVED, serving_of
from infctl.engines.serving import Serving

INTRODUCTION = """# Engines in containers

What a target runs whose replicas are containers of images (`docker`). The image is the default of `image:`; its digest
and the engine's version are pinned in `inference.lock.yaml`, and `engine_args` are judged by that version. On targets
that bring their engine see [`engine_args` of llama.cpp](inference-yaml.md#engine_args-of-llamacpp).

An `image:` of your own takes the engine's command line as the official one does: through its entrypoint for vLLM, TGI,
ONNX Runtime and llama.cpp, as a whole command for the others. Its tag tells the version; where it tells none, flags are
judged by the newest that infctl knows.

A name in `engine_args` is the engine's own flag with underscores. `true` and `false` turn a flag on and off, a list is
several values, a mapping is JSON. `engine_args_unchecked: true` makes what infctl does not know a warning.
"""
Table = Callable[[list[str], list[list[str]]], str]


def engine_page(table: Table) -> str:
    engines = [serving for name in SERVED if (serving := serving_of(name))]
    rows = [[f"`{one.name}`", images(one), ", ".join(one.tasks), gpus(one), f"`{one.metrics_path}`"] for one in engines]
    text = INTRODUCTION + "\n" + table(["engine", "image", "tasks", "GPUs", "metrics"], rows)
    for one in engines:
        text += f"\n## {one.name}\n\n{flags(one)}\n\n" + table(["field or flag", "what it becomes"], list(said(one)))
    return text


def images(one: Serving) -> str:
    own = f"`{one.image.format(version=one.version)}`"
    return own + (f", with GPUs `{one.gpu_image.format(version=one.version)}`" if one.gpu_image else "")


def gpus(one: Serving) -> str:
    words = f"{one.gpus} where `gpu` says nothing" if one.gpus else "none where `gpu` says nothing"
    return words if one.share or one.thrifty else f"{words}, whole ones only"


def flags(one: Serving) -> str:
    found = one.table
    span = found.versions[0] if len(found.versions) == 1 else f"{found.versions[0]} to {found.versions[-1]}"
    return f"{len(found.flags)} flags of {span}, read from <{found.source}>."


def said(one: Serving) -> Iterator[list[str]]:
    """Yield which flag each field becomes, and what to do instead of the flags that infctl decides."""
    fields = (
        ("uri", one.model), ("max_model_len", one.context), ("kv_cache_dtype", one.kv_cache),
        ("quantization", one.method), ("gpu.count", one.devices), ("gpu.memory, gpu.fraction", one.share),
    )  # fmt: skip
    for field, flag in fields:
        if flag:
            words = f" ({', '.join(f'{asked}: `{word}`' for asked, word in one.methods.items())})"
            yield [f"`{field}`", f"`{flag}`{words if field == 'quantization' else ''}"]
        elif field in one.follows:
            yield [f"`{field}`", "flags of its own"]
    for flag, way in one.elsewhere.items():
        if any(one.table.row(flag, version) for version in one.table.versions):
            yield [f"`{flag}`", way]
