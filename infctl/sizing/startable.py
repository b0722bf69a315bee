"""Owns the gate: will it start? What speaks against a model on an engine and a kind of GPU, and what to do instead.

Pure: what engines take is looked up in `catalog.support`, what lies in memory in `budget`. Says nothing of speed.
A `Combination` is a sizing case and what else a start depends on; the reasons come in the order in which one would mend
them: the file, the engine, the model's class, the format of its weights, how GPUs share it, its context, its memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from infctl.catalog.support import Engine, Supports, fits, holds, order, supports
from infctl.diagnostics import Severity
from infctl.sizing.budget import GIB, budget
from infctl.sizing.case import Case
from infctl.sizing.combination import Combination, Refusal, compute_of, warned
from infctl.sizing.formats import check_cache, check_weights, other_engine, places_in_words
from infctl.sizing.weights import weight_bytes_per_gpu

TIGHT: Final = 0.97  # of the memory: what is left is what the driver and a second context take
_FEW: Final = 64  # sequences at a time
_SMALL_PASS: Final = 2048  # tokens of one pass
_GROUP: Final = 128  # weights that share a scale in int4 checkpoints, and the side of a block in FP8 ones
_SHARDS: Final = (64, 32, 16, 8, 4, 2, 1)  # numbers of GPUs that people share layers among
_HOST: Final = 8  # GPUs that a host may have, where nobody says how many


def refusals(combination: Combination, own: str = "") -> tuple[Refusal, ...]:
    """Return all that speaks against a start; nothing where nothing does. `own` is a user's catalogue file."""
    found = tuple(without_memory(combination, own))
    if any(each.severity is Severity.ERROR for each in found) or not combination.case.gpus:
        return found
    return (*found, *_check_memory(combination))


def notes(case: Case, own: str = "") -> tuple[Refusal, ...]:
    """Return what is to be known of a sizing question beside its answer: what runs otherwise than one would think, and
    why it does not start with what to do instead.
    """
    asked = Combination(case, task="custom", weight_only=True)
    return tuple(each for each in refusals(asked, own) if each.code not in {"unknown-architecture", "fits-tightly"})


def impossible(case: Case, own: str = "") -> str:
    """Return why no engine could even start this, "" where nothing but its memory may speak against it."""
    asked = Combination(case, task="custom", weight_only=True)
    return next((each.reason for each in without_memory(asked, own) if each.severity is Severity.ERROR), "")


def without_memory(combination: Combination, own: str = "") -> Iterator[Refusal]:
    """Yield what speaks against a start before any memory is counted."""
    table = supports(own)
    engine = table.engines.get(combination.case.engine)
    yield from _check_form(combination, table)
    if engine is not None:
        yield from _check_engine(combination, engine, table)
        yield from _check_class(combination, engine)
        if engine.methods and (combination.gpu or any(row.cpu for row in engine.runs_on)):
            yield from check_weights(combination, table)
            yield from check_cache(combination, table)
    yield from _check_task(combination, engine)
    if combination.case.engine != "llama.cpp":  # it gives each GPU whole layers
        yield from _check_split(combination)
    yield from _check_hosts(combination)
    yield from _check_context(combination)


# ---------------------------------------------------------------- the file and the engine


def _check_form(asked: Combination, table: Supports) -> Iterator[Refusal]:
    form = table.forms.get(asked.form)
    if form is None:
        return
    if form.edge:
        yield Refusal("edge-format", f"a {form.edge} file is an edge format, not servable here", form.instead)
    elif asked.case.engine not in form.engines:
        yield Refusal("wrong-format", f"{asked.case.engine} does not serve {form.name} files", form.instead)


def _check_engine(asked: Combination, engine: Engine, table: Supports) -> Iterator[Refusal]:
    if engine.state:
        made = Refusal if engine.state == "dead" else warned
        yield made(
            f"engine-{engine.state}", f"{engine.name} is {engine.state}: {engine.why}", f"engine: {engine.successor}"
        )
    built = table.runs(engine.name, asked.case.engine_version)
    if not built or any(fits(row.where, asked.gpu) or (asked.gpu is None and row.cpu) for row in built):
        return
    if asked.gpu is None:
        yield Refusal("needs-gpu", f"{asked.engine} needs a GPU", "engine: llama.cpp runs on CPUs, with a GGUF file")
        return
    needs = f"{asked.engine} is built for {places_in_words(tuple(each for row in built for each in row.where))}"
    older = [row for row in engine.runs_on if row.until and fits(row.where, asked.gpu)]
    way = f"{engine.name} {older[-1].until} was the last for {asked.gpu.name}" if older else other_engine(asked, table)
    yield Refusal("gpu-not-supported", f"{needs}, {asked.gpu.name} is {compute_of(asked.gpu)}", way)


def _check_task(asked: Combination, engine: Engine | None) -> Iterator[Refusal]:
    shape = asked.case.shape
    answers = asked.task in {"generate", "vision"}
    if shape.encoder and answers:
        yield Refusal("wrong-task", f"{shape.name} is an encoder: it writes no text", "task: embed, rerank or classify")
    if engine is not None and engine.tasks and asked.task not in {*engine.tasks, "custom"}:
        others = {"embed": "vllm", "rerank": "vllm", "classify": "vllm"}.get(asked.task, "vllm")
        what = "text models" if answers else asked.task
        yield Refusal("wrong-task", f"{asked.engine} does not serve {what}", f"engine: {others}")
    elif not shape.encoder and asked.task in {"rerank", "classify"} and shape.family.endswith("ForCausalLM"):
        yield warned(
            "wrong-task", f"{shape.family} writes text: it has no head to {asked.task} with",
            f"a checkpoint made for {asked.task}",
        )  # fmt: skip


def _check_class(asked: Combination, engine: Engine) -> Iterator[Refusal]:
    """Yield that the engine does not know the model's class, at this version or at all."""
    family, version = asked.case.shape.family, asked.case.engine_version
    if not family or engine.classes is None:
        return
    since = engine.classes.get(family)
    if since and not holds(since, "", version):
        way = f"{engine.name} {since} or newer"
        yield Refusal("unknown-architecture", f"{asked.engine} does not know {family}: it came with {since}", way)
    elif family in engine.unknown_here and holds(engine.since, "", version) and (order(version) or not version):
        yield Refusal("unknown-architecture", f"{asked.engine} does not know {family}", "engine: vllm")
    elif since is None and engine.unknown_classes:
        yield warned("unknown-architecture", f"{engine.name} may not know {family}: {engine.unknown_classes}")
    elif since is None:
        yield warned("unknown-architecture", f"nobody knows whether {engine.name} knows {family}", "try it first")


# ---------------------------------------------------------------- how GPUs share it


def _check_split(asked: Combination) -> Iterator[Refusal]:
    case = asked.case
    shape, ranks = case.shape, case.tensor
    if shape.heads % ranks:
        reason = f"{ranks} GPUs cannot share {shape.heads} attention heads: tensor parallel must divide them"
        yield Refusal("tensor-parallel", reason, f"tensor: {_divisor(case, shape.heads, 1)}")
    width, unit = _shared_width(case)
    if width % (ranks * unit) and not shape.heads % ranks:
        groups = f" in groups of {unit}" if unit > 1 else ""
        reason = f"{ranks} GPUs cannot share an MLP of {width}{groups}: tensor parallel must divide them"
        yield Refusal("tensor-parallel", reason, f"tensor: {_divisor(case, width, unit)}")


def _check_hosts(asked: Combination) -> Iterator[Refusal]:
    case, ranks = asked.case, asked.case.tensor
    if asked.sliced and case.count > 1:
        yield Refusal(
            "slice-not-joined", f"{case.count} slices cannot serve one replica: a MIG slice reaches no other",
            "tensor: 1, or whole GPUs",
        )  # fmt: skip
    if asked.devices is not None and case.count > asked.devices:
        reason = f"a replica of {case.count} GPUs does not fit on a host of {asked.devices}"
        yield Refusal("host-too-small", reason, f"{asked.devices} GPUs, or hosts with {case.count}")
    elif asked.island is not None and ranks > asked.island > 1:
        reason = f"tensor parallel of {ranks} would cross NVLink, which joins {asked.island} GPUs there"
        yield Refusal("across-islands", reason, f"tensor: {asked.island}, pipeline: {-(-ranks // asked.island)}")


def _shared_width(case: Case) -> tuple[int, int]:
    """Return the width of MLP that GPUs share, and what each part of it must be a multiple of."""
    shape, precision = case.shape, case.precision
    grouped = precision.weight_only and precision.bits < 5 and not precision.whole  # noqa: PLR2004
    if precision.name == "fp8-block":
        return (shape.expert_mlp if shape.experts else shape.mlp), _GROUP
    if precision.whole or shape.experts:
        return 0, 1
    return shape.padded_mlp or shape.mlp, _GROUP if grouped else 1


def _divisor(case: Case, width: int, unit: int) -> int:
    """Return the largest usual number of GPUs below the asked one that divides heads and width."""
    each = (n for n in _SHARDS if n < case.tensor and not width % (n * unit) and not case.shape.heads % n)
    return next(each, 1)


# ---------------------------------------------------------------- context and memory


def _check_context(asked: Combination) -> Iterator[Refusal]:
    asks, reads = asked.case.max_model_len or 0, asked.case.shape.context
    if reads and asks > reads:
        reason = f"the model reads {reads:,} tokens, max_model_len asks for {asks:,}"
        yield Refusal("context-too-long", reason, f"max_model_len: {reads}, or rope scaling in engine_args")


def _check_memory(asked: Combination) -> Iterator[Refusal]:
    """Yield that it does not fit; that it fits when set as tight as can be is a warning."""
    case = asked.case
    found = budget(case)
    if found.fits:
        return
    tight = squeezed(case)
    least = budget(tight)
    if least.fits:
        said = f"gpu_memory_utilization: {tight.utilization:g}, max_num_seqs: {tight.max_num_seqs}"
        yield warned("fits-tightly", f"with the engine's defaults it does not start: {found.reason}", said)
        return
    assert asked.gpu is not None  # noqa: S101  -- `refusals` asks only where there is one
    host = asked.devices or case.count
    whole = (case.weight_bytes or weight_bytes_per_gpu(case.shape, case.precision, 1, kept=case.kept)) / GIB
    holds_most = host * asked.gpu.memory
    if whole > holds_most:
        reason = f"the weights take {whole:,.0f} GiB, {host} x {asked.gpu.name} hold {holds_most:,.0f}"
        yield Refusal("larger-than-host", reason, _room(asked))
    elif 0 < least.kv_tokens < (case.max_model_len or 0):
        yield Refusal("context-too-long", least.reason, f"max_model_len: {least.kv_tokens} at most, or {_room(asked)}")
    else:
        yield Refusal("does-not-fit", least.reason, _room(asked))


def _room(asked: Combination) -> str:
    """Return what makes it fit: more GPUs of the host, else fewer bits, else other GPUs."""
    case = asked.case
    for ranks in reversed(_SHARDS):
        more = replace(case, tensor=ranks)
        allowed = case.tensor < ranks <= (asked.devices or _HOST) and not any(_check_split(replace(asked, case=more)))
        if allowed and budget(squeezed(more)).fits:
            return f"tensor: {ranks}"
    return "a format of fewer bits, or GPUs with more memory"


def squeezed(case: Case) -> Case:
    """Return the case with what it leaves to the engine set as tight as an operator would who needs the room."""
    return replace(
        case,
        utilization=case.utilization or TIGHT,
        max_num_seqs=case.max_num_seqs or max(1, min(case.concurrency, _FEW)),
        max_num_batched_tokens=case.max_num_batched_tokens or _SMALL_PASS,
    )
