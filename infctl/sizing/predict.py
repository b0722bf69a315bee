"""Owns the answer to a sizing question: whether it fits, what it takes, how fast it is, and how sure that is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from infctl.sizing.budget import Memory, budget
from infctl.sizing.case import Case

_TIGHT = 0.97  # of the memory: what is left is what the driver and a second context take
_FEW = 64  # sequences at a time
_SMALL_PASS = 2048  # tokens of one pass


class Verdict(StrEnum):
    OK = "ok"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A predicted figure and the interval that holds 80 % of what is measured."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """`metrics` by the names of the columns that measurements have: milliseconds end in `_ms`, seconds in `_s`, tokens
    a second in `tok_s`. Without figures where the verdict is not ok. `basis` says what they rest on.
    """

    verdict: Verdict
    reason: str = ""
    memory: Memory | None = None
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    basis: str = ""


def predict(case: Case) -> Prediction:
    """Return what `case` would do."""
    if reason := impossible(case):
        return Prediction(Verdict.INFEASIBLE, reason)
    memory = budget(case)
    note = ""
    if not memory.fits:
        tight = squeezed(case)
        memory, refused = budget(tight), memory
        if not memory.fits:
            return Prediction(Verdict.INFEASIBLE, refused.reason, refused)
        note = f"fits only with gpu_memory_utilization {tight.utilization:g} and max_num_seqs {tight.max_num_seqs}"
        case = tight
    return Prediction(Verdict.OK, note, memory)


def squeezed(case: Case) -> Case:
    """Return the case with what it leaves to the engine set as tight as an operator would who needs the room."""
    return replace(
        case,
        utilization=case.utilization or _TIGHT,
        max_num_seqs=case.max_num_seqs or max(1, min(case.concurrency, _FEW)),
        max_num_batched_tokens=case.max_num_batched_tokens or _SMALL_PASS,
    )


def impossible(case: Case) -> str:
    """Return why no engine could even start this, "" where nothing speaks against it."""
    shape, ranks = case.shape, case.tensor
    if shape.heads % ranks:
        return f"{ranks} GPUs cannot share {shape.heads} attention heads: tensor parallel must divide them"
    grouped = case.precision.weight_only and case.precision.bits < 5 and not case.precision.whole  # noqa: PLR2004
    width = shape.padded_mlp or shape.mlp
    if grouped and not shape.experts and width % (ranks * 128):
        return f"{ranks} GPUs cannot share an MLP of {width} in groups of 128: tensor parallel must divide them"
    if case.precision.compute == "fp4" and case.gpu.vendor != "nvidia":
        return f"{case.precision.name} has no kernel on {case.gpu.name}"
    if case.precision.name in {"awq", "gptq", "nf4"} and 0 < case.gpu.sm < 75:  # noqa: PLR2004  # Turing
        return f"{case.precision.name} needs compute capability 7.5, {case.gpu.name} has {case.gpu.compute}"
    if shape.context and (case.max_model_len or 0) > shape.context:
        return f"the model reads {shape.context:,} tokens, max_model_len asks for {case.max_model_len:,}"
    return ""
