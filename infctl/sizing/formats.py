"""Owns the gate's part about formats: of weights and of the KV cache, on an engine, a version and a GPU. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from infctl.catalog.support import Row, Support, Supports, Way, fits, holds
from infctl.sizing.combination import Combination, Refusal, compute_of, warned

_BF16_SINCE: Final = 80  # compute capability
_INSTEAD: Final = ("fp8", "int8", "awq", "gptq", "bf16")  # what to take instead of a format, best first
_NEWEST: Final = "999999"  # a version after all that there are
_SPOKEN: Final = {"fp8": "fp8 (W8A8)", "int8": "int8 (W8A8)", "bf16": "16 bits"}


def check_weights(asked: Combination, table: Supports) -> Iterator[Refusal]:
    """Yield what speaks against the format of the weights."""
    case, gpu, name = asked.case, asked.gpu, asked.case.precision.name
    found = table.find(case.engine, case.engine_version, name, gpu)
    if found.way is Way.NO:
        yield _refuse(asked, found, table)
        return
    if found.row and asked.checkpoint and name != "bf16" and not _kin(asked.checkpoint, name):
        reason = f"the checkpoint is in {asked.checkpoint} already, {name} is asked for"
        yield Refusal("wrong-checkpoint", reason, f"quantization: auto, or a checkpoint in 16 bits or {name}")
    if found.way is Way.WEIGHT_ONLY and case.precision.compute != "fp16":
        yield _computed_in_16_bits(asked, table)
    if name == "bf16" and gpu is not None and 0 < gpu.sm < _BF16_SINCE:
        yield warned("no-bf16", f"{gpu.name} has no bf16: the engine computes in fp16", "engine_args: {dtype: half}")


def check_cache(asked: Combination, table: Supports) -> Iterator[Refusal]:
    """Yield what speaks against the format of the KV cache."""
    case, name = asked.case, asked.case.kv_dtype
    if name == "auto" or asked.gpu is None:
        return
    found = table.find_kv(case.engine, case.engine_version, name, asked.gpu)
    if found.way is not Way.NO:
        return
    other = table.find_kv(case.engine, case.engine_version, "fp8_e5m2", asked.gpu)
    way = "kv_cache_dtype: fp8_e5m2" if other.row and other.way is Way.NATIVE else "kv_cache_dtype: auto"
    if found.row is None:
        reason = f"{asked.engine} has no KV cache in {name}: it came with {found.rows[0].since}"
    else:
        needs = _needs(found.rows, case.engine_version)
        reason = f"a KV cache in {name} needs {needs}, {asked.where} has {compute_of(asked.gpu)}"
    yield Refusal("kv-not-supported", reason, way)


def other_engine(asked: Combination, table: Supports) -> str:
    """Return an engine that is built for the GPU and serves the task."""
    for name in ("vllm", "sglang", "llama.cpp"):
        engine = table.engines.get(name)
        if engine is None or asked.task not in {*engine.tasks, "custom"}:
            continue
        if any(fits(row.where, asked.gpu) for row in table.runs(name, _NEWEST)):
            return f"engine: {name}{', with a GGUF file' if name == 'llama.cpp' else ''}"
    return "another kind of GPU"


def places_in_words(places: tuple[str, ...]) -> str:
    """Return places as the table writes them in words: compute capabilities first, then AMD's targets."""
    cuda = [each for each in places if each[0].isdigit()]
    amd = [each for each in places if each.startswith("gfx")]
    cuda.sort(key=lambda each: float(each.partition("-")[0].rstrip("+")))
    spans = ", ".join(f"{each[:-1]} and above" if each.endswith("+") else each.replace("-", " to ") for each in cuda)
    said = (f"compute capability {spans}" if cuda else "", f"AMD's {', '.join(amd)}" if amd else "")
    return " or ".join(filter(None, said))


def _kin(checkpoint: str, asked: str) -> bool:
    """Return whether a checkpoint in one format is what another asks for: block-wise FP8 is FP8, each GGUF a GGUF."""
    return checkpoint.partition("-")[0].partition(":")[0] == asked.partition("-")[0].partition(":")[0]


def _computed_in_16_bits(asked: Combination, table: Supports) -> Refusal:
    """Return that the GPU does not multiply in the format: no matter where the checkpoint is so already."""
    name = asked.case.precision.name
    gives = "weights are kept in it and computed in 16 bits, which saves memory but no time under load"
    if asked.weight_only or (asked.checkpoint and _kin(asked.checkpoint, name)):
        reason = f"{name} runs weight-only on {asked.where} ({compute_of(asked.gpu)}): {gives}"
        return warned("weight-only", reason, _instead(asked, table))
    reason = (
        f"{asked.where} ({compute_of(asked.gpu)}) cannot compute in {_spoken(name)}; it would run weight-only: {gives}"
    )
    return Refusal("weight-only", reason, f"{_instead(asked, table)}; or a checkpoint in {name}, kept so weight-only")


def _refuse(asked: Combination, found: Support, table: Supports) -> Refusal:
    """Return the refusal of a format that the engine, its version or the GPU does not take."""
    case, name = asked.case, _spoken(asked.case.precision.name)
    gguf = name.startswith("gguf")
    instead = "engine: llama.cpp serves it" if gguf else _instead(asked, table)
    if not found.rows:
        return Refusal("method-not-supported", f"{case.engine} does not take {name}", instead)
    last = found.rows[-1]
    if found.row is None and last.until and holds(last.until, "", case.engine_version):
        gone = f" ({last.gone})" if last.gone else ""
        reason = f"{asked.engine} takes no {name} any more, {last.until} was the last{gone}"
        return Refusal("method-dropped", reason, f"{instead}, or {case.engine} {last.until}")
    if found.row is None:
        since = found.rows[0].since
        reason = f"{asked.engine} does not take {name}: it came with {since}"
        return Refusal("method-not-yet", reason, f"{case.engine} {since} or newer")
    needs = f"{name} on {case.engine} needs {_needs(found.rows, case.engine_version)}"
    return Refusal("method-not-here", f"{needs}, {asked.where} has {compute_of(asked.gpu)}", instead)


def _needs(rows: tuple[Row, ...], version: str) -> str:
    held = [row for row in rows if holds(row.since, row.until, version)]
    return places_in_words(tuple(dict.fromkeys(each for row in held for each in (*row.weight_only, *row.native))))


def _instead(asked: Combination, table: Supports) -> str:
    """Return what to take instead of a format: the first that the engine runs there as it is meant."""
    case = asked.case
    if not any(fits(row.where, asked.gpu) for row in table.runs(case.engine, case.engine_version)):
        return other_engine(asked, table)
    for name in _INSTEAD:
        found = table.find(case.engine, case.engine_version, name, asked.gpu)
        meant = found.way is Way.NATIVE or (found.way is Way.WEIGHT_ONLY and name in {"awq", "gptq"})
        if meant and not _kin(case.precision.name, name):
            ready = ", with a checkpoint that is kept in it" if found.row and found.row.ready else ""
            return f"use {_spoken(name)}{ready}"
    return other_engine(asked, table)


def _spoken(name: str) -> str:
    return _SPOKEN.get(name, name)
