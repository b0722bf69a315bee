"""Owns which ways there are to run a model on what targets offer: engine, format, kind of GPU, split. Pure.

What does not start is left out, with its reason: that is `startable`'s to say. Formats that an engine makes by itself
from a checkpoint in 16 bits are ways under `auto`; those that need another checkpoint are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from infctl.catalog.gpus import Gpu
from infctl.catalog.quality import quality
from infctl.catalog.support import Way as Runs
from infctl.catalog.support import supports
from infctl.diagnostics import Severity
from infctl.sizing.case import Case
from infctl.sizing.combination import Combination
from infctl.sizing.decision import AUTO, Offer
from infctl.sizing.precision import KV_BYTES, PRECISIONS, Precision, find_precision
from infctl.sizing.setup import Need, Way
from infctl.sizing.startable import without_memory

LLAMA, ONNX = "llama.cpp", "onnxruntime"
WRITERS = ("vllm", "sglang", "tensorrt-llm")  # engines for text, the first where nothing tells them apart
SMALL = 1_000_000_000  # parameters of an encoder that ONNX Runtime is taken for: LLMs it serves at half of vLLM's rate
_SPLITS = (1, 2, 4, 8, 16)
_KV = "fp8"


class Refused(NamedTuple):
    """A way that does not start, and why."""

    way: Way
    why: str
    instead: str = ""


class Ways(NamedTuple):
    """All ways that start, and those that do not."""

    open: tuple[Way, ...]
    refused: tuple[Refused, ...]


def ways_of(need: Need, offers: Sequence[Offer], versions: Mapping[str, str], own: str = "") -> Ways:
    """Return the ways to run the model of `need` on `offers`; `versions` are those that each engine would run at."""
    found: list[Way] = []
    refused: list[Refused] = []
    alike: set[tuple[object, ...]] = set()  # what starts, as the gate sees it
    formats: dict[tuple[object, ...], tuple[Precision, ...]] = {}
    for offer in offers:
        if need.ask.product and need.ask.product not in {each.name for each in offer.gpus}:
            continue
        for engine in engines_of(need, offer):
            version = need.ask.engine_version or versions.get(engine, "")
            sort = (engine, *((offer.gpus[0].vendor, offer.gpus[0].compute) if offer.gpus else ()))
            if sort not in formats:
                formats[sort] = precisions_of(need, engine, version, offer, own)
            for precision in formats[sort]:
                for way in _splits(need, offer, (engine, version), precision, own):
                    if _seen(way) in alike or (why := _refusal(need, way, own)) is None:
                        alike.add(_seen(way))
                        found.append(way)
                    else:
                        refused.append(why)
    return Ways(tuple(found), tuple(refused))


def engines_of(need: Need, offer: Offer) -> tuple[str, ...]:
    """Return the engines that may run the model there: compatibility comes first."""
    checkpoint, ask = need.checkpoint, need.ask
    if ask.engine != AUTO:
        wanted: tuple[str, ...] = (ask.engine,)
    elif checkpoint.precision.whole:
        wanted = (LLAMA,)
    elif checkpoint.shape.encoder:
        wanted = (ONNX, "vllm") if is_small_encoder(need) else ("vllm", ONNX)
        wanted = wanted if offer.gpus else (ONNX,)
    else:
        wanted = WRITERS if offer.gpus else (LLAMA,)
    return tuple(each for each in wanted if not offer.engines or each in offer.engines)


def is_small_encoder(need: Need) -> bool:
    """Return whether a model turns text into vectors or scores, and is small."""
    checkpoint = need.checkpoint
    return checkpoint.shape.encoder and (checkpoint.parameters or checkpoint.shape.total) <= SMALL


def precisions_of(need: Need, engine: str, version: str, offer: Offer, own: str) -> tuple[Precision, ...]:
    """Return the formats that the weights may be in: as the file says; else as they are, and what the engine makes of
    16 bits while it loads them, where it computes in it and no more is lost than may be.
    """
    ask, kept = need.ask, need.checkpoint.precision
    if ask.quantization != AUTO:
        named = PRECISIONS["bf16"] if ask.quantization == "none" else find_precision(ask.quantization)
        return (kept if named is None or (ask.quantization == "none" and kept.bits == 16) else named,)  # noqa: PLR2004
    if kept.bits != 16 or engine in {LLAMA, ONNX} or not offer.gpus:  # noqa: PLR2004
        return (kept,)
    table = supports(own)
    made = [
        precision
        for precision in (PRECISIONS["fp8"], PRECISIONS["int8"])
        if (found := table.find(engine, version, precision.name, offer.gpus[0])).row is not None
        and not found.row.ready
        and found.way is Runs.NATIVE
        and not too_lossy(need, precision.name, own)
    ]
    return (kept, *made)


def loss_of(need: Need, name: str, own: str = "") -> float | None:
    """Return the share of quality that a format gives up, None where nobody measured it."""
    shape = need.checkpoint.shape
    found = quality(own).loss(name, shape.family, shape.total / 1e9)
    return found.percent / 100 if found else None


def too_lossy(need: Need, name: str, own: str = "") -> str:
    """Return why `auto` may not take a format, "" where it may."""
    shape, allowed = need.checkpoint.shape, need.ask.max_quality_loss
    return quality(own).refuse(name, None if allowed is None else 100 * allowed, shape.family, shape.total / 1e9)


def _splits(need: Need, offer: Offer, engine: tuple[str, str], precision: Precision, own: str) -> Iterator[Way]:
    ask = need.ask
    lost = 0.0 if precision == need.checkpoint.precision else loss_of(need, precision.name, own)
    if not offer.gpus:
        yield Way(offer, *engine, precision, ask.kv_dtype, None, 1, 1, lost)
        return
    gpu, pipeline = offer.gpus[0], ask.pipeline or 1
    for tensor in _tensors(need, offer, pipeline):
        for kv_dtype in _kv_dtypes(need, gpu, own):
            yield Way(offer, *engine, precision, kv_dtype, gpu, tensor, pipeline, lost)


def _tensors(need: Need, offer: Offer, pipeline: int) -> tuple[int, ...]:
    ask = need.ask
    if ask.tensor is not None:
        return (ask.tensor,)
    if ask.gpus is not None:
        return (max(1, ask.gpus // pipeline),)
    if ask.fraction < 1:
        return (1,)
    heads = need.checkpoint.shape.heads
    return tuple(each for each in _SPLITS if each * pipeline <= offer.devices and not heads % each) or (1,)


def _kv_dtypes(need: Need, gpu: Gpu, own: str) -> tuple[str, ...]:
    """Return the formats that the KV cache may have: 8 bits where something may be lost and the GPU has them."""
    ask = need.ask
    if ask.kv_dtype != AUTO:
        return (ask.kv_dtype,)
    allowed = ask.max_quality_loss is not None and gpu.fp8 and not too_lossy(need, f"kv-{_KV}", own)
    return (AUTO, _KV) if allowed and not need.checkpoint.shape.encoder else (AUTO,)


def _seen(way: Way) -> tuple[object, ...]:
    """Return what the gate looks at of a way: GPUs of one compute capability start the same."""
    gpu = (way.gpu.vendor, way.gpu.compute, way.gpus <= way.offer.devices) if way.gpu else ()
    return (way.engine, way.version, way.precision.name, way.kv_dtype, way.tensor, way.pipeline, *gpu)


def _refusal(need: Need, way: Way, own: str) -> Refused | None:
    """Return why a way does not start, None where nothing but its memory may speak against it."""
    checkpoint, ask = need.checkpoint, need.ask
    if way.kv_dtype not in KV_BYTES:
        return Refused(way, f"no KV cache in {way.kv_dtype}", "kv_cache_dtype: auto")
    load = need.workload
    case = Case(
        checkpoint.shape, way.offer.gpus, way.precision, way.engine, way.version, way.tensor, way.pipeline,
        way.kv_dtype, isl=load.isl.mean if load else 1.0, osl=load.osl.mean if load else 1.0,
        max_model_len=ask.max_model_len, kept=checkpoint.kept,
    )  # fmt: skip
    kept = "" if checkpoint.precision.bits == 16 else checkpoint.precision.name  # noqa: PLR2004
    form = "gguf" if checkpoint.precision.whole else ""
    asked = Combination(
        case, ask.task, kept, form, way.offer.devices if way.gpu else None, sliced=ask.fraction < 1,
        weight_only=ask.quantization != AUTO,
    )  # fmt: skip
    for each in without_memory(asked, own):
        if each.severity is Severity.ERROR:
            return Refused(way, each.reason, each.alternative)
    return None
