"""Owns the answer to a sizing question: whether it fits, what it takes, how fast it is, and how sure that is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from enum import StrEnum
from math import exp

from infctl.frozen import dataclass
from infctl.sizing.budget import Memory, budget, longest_asked
from infctl.sizing.calibration import Constants, constants
from infctl.sizing.case import Case, Load
from infctl.sizing.measured import UNKNOWN, Factors, applied
from infctl.sizing.precision import KV_BYTES
from infctl.sizing.serving import figures, overload
from infctl.sizing.speed import Machine
from infctl.sizing.startable import impossible, squeezed
from infctl.sizing.versions import before, native

_80_PERCENT = 1.2816  # standard deviations on either side of the middle that hold 80 % of a normal distribution
# How much wider a range is where the GPU's name leaves its variant open, a shape is assumed, or a mixture is packed as
# AWQ does, of which one server was measured.
_VAGUE = 1.5
# How much wider a range is for first tokens, for whatever queued, for first tokens that queued, and for the last
# percent; rounded so that 8 in 10 published measurements lie inside (benchmarks/sizing.py).
_FIRST, _QUEUED, _QUEUED_FIRST, _TAIL = 2.0, 1.75, 2.5, 1.25
_SUMS = frozenset({"out_tok_s", "total_tok_s", "req_s"})  # figures that copies of a model add up
_GIVEN = 0.25  # a rate that can be served comes out as it came in

_BUILDS = {"amd": "rocm", UNKNOWN: "cpu"}  # by vendor: a device that only measurements describe is a processor
# Ages of vLLM that have constants of their own, and the version that each ended with.
_AGES = (("vllm-v0", (0, 8)), ("vllm-v1", (0, 11)))


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


def predict(case: Case, factors: Factors | None = None) -> Prediction:
    """Return what `case` would do, with `factors` as measurements of the same engine on the same device say."""
    if case.replicas > 1:
        return _together(predict(_one_of(case), factors), case.replicas)
    if case.gpu.vendor != UNKNOWN and (reason := impossible(case)):
        return Prediction(Verdict.INFEASIBLE, reason)
    memory = budget(case)
    note, asked = "", case
    if not memory.fits:
        tight = squeezed(case)
        memory, refused = budget(tight), memory
        if not memory.fits:
            return Prediction(Verdict.INFEASIBLE, refused.reason, refused)
        note = f"fits only with gpu_memory_utilization {tight.utilization:g} and max_num_seqs {tight.max_num_seqs}"
        case = tight
    family = family_of(case.engine, case.engine_version, case.gpu.vendor)
    measured = constants(family)
    shown = budget(longest_asked(asked))  # as the engine starts with what it was told
    note = note or (f"fits only with a shorter max_model_len: {shown.reason}" if shown.reason else "")
    if measured is None:
        return Prediction(Verdict.OK, note, shown, basis="memory only: nothing was measured that speed could rest on")
    machine = _machine(case, measured, factors or Factors())
    if reason := overload(machine, case, memory, family):
        return Prediction(Verdict.INFEASIBLE, reason, memory)
    own = factors is not None and factors.rows > 0
    seldom = bool(case.shape.experts) and case.precision.name == "awq"
    vague = _VAGUE if len(case.gpus) > 1 or case.shape.assumed or seldom else 1.0
    spread = factors.spread if factors and own else measured.spread * vague
    first = 0.0 if own else measured.first * vague
    found = {
        name: estimate(value, max(spread * widening(name, case.load), first if name.startswith("ttft") else 0.0))
        for name, value in figures(machine, case, memory, family).items()
        if value > 0  # an answer without tokens has no time between them
    }
    basis = f"model of {family}, fitted to {factors.rows} of your own rows" if factors and own else f"model of {family}"
    return Prediction(Verdict.OK, note, shown, found, f"{basis}, ±{100 * spread:.0f} %")


def expected(case: Case, factors: Factors) -> Mapping[str, float]:
    """Return the figures alone, none where there is nothing to say: what a fit of `factors` compares with."""
    memory, family = budget(case), family_of(case.engine, case.engine_version, case.gpu.vendor)
    measured = constants(family)
    if measured is None or not memory.fits:
        return {}
    machine = _machine(case, measured, factors)
    return {} if overload(machine, case, memory, family) else figures(machine, case, memory, family)


def _machine(case: Case, measured: Constants, factors: Factors) -> Machine:
    if case.load in {Load.OFFLINE_MAX, Load.STATIC_BATCH}:  # nobody waits for single tokens
        measured = replace(measured, sending=0.0)
    gpu, measured = applied(case.gpu, measured, factors)
    kv = KV_BYTES[case.kv_dtype]
    return Machine(case.shape, case.precision, gpu, measured, case.tensor, case.pipeline, kv, case.kept)


def _one_of(case: Case) -> Case:
    """Return what one of several copies has to do."""
    many = case.replicas
    return replace(
        case, replicas=1, concurrency=max(1, round(case.concurrency / many)), rate=case.rate / many,
        prompts=-(-case.prompts // many),
    )  # fmt: skip


def _together(one: Prediction, copies: int) -> Prediction:
    """Return what copies do together: as fast as one, and as much as all."""
    whole = {
        name: Estimate(*(copies * each for each in (found.value, found.low, found.high))) if name in _SUMS else found
        for name, found in one.metrics.items()
    }
    return replace(one, metrics=whole, reason="; ".join(filter(None, (one.reason, f"{copies} copies side by side"))))


def widening(name: str, load: Load) -> float:
    """Return how much less sure a figure is than the time of a token in a closed loop: what waits in a queue adds up
    the errors of all before it, and a tail depends on what is not said of lengths and arrivals.
    """
    if load is Load.RATE_POISSON and name in {"req_s", "out_tok_s", "out_tok_s_per_gpu", "total_tok_s"}:
        return _GIVEN
    queued = load in {Load.BURST_ALL, Load.OFFLINE_MAX, Load.RATE_POISSON}
    wide = (_QUEUED_FIRST if queued else _FIRST) if name.startswith("ttft") else _QUEUED if queued else 1.0
    return wide * (_TAIL if "_p99" in name else 1.0)


def estimate(value: float, spread: float) -> Estimate:
    """Return `value` with the range that holds 80 % where ln(measured / predicted) has this standard deviation."""
    return Estimate(value, value * exp(-_80_PERCENT * spread), value * exp(_80_PERCENT * spread))


def family_of(engine: str, version: str, vendor: str = "nvidia") -> str:
    """Return the engine family whose constants hold: vLLM before its V1 engine (0.8) and V1 before its newer front end
    (0.11) are of their own, as is TensorRT-LLM's C++ runtime, and each engine's build for AMD, where there is something
    measured of it.
    """
    family = engine
    if engine == "vllm":
        family = next((name for name, since in _AGES if before(engine, version, since)), engine)
    elif native(engine, version):
        family = f"{engine}-native"
    build = f"{family}-{_BUILDS[vendor]}" if vendor in _BUILDS else family
    return build if constants(build) else family
