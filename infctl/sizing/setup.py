"""Owns one way to run a model, and what follows before any load: limits, memory, the server it makes. Pure.

A `Way` is one engine, format, kind of GPU and split; a `Setup` is a way with the limits that its engine starts with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, floor, log, sqrt
from typing import NamedTuple

from infctl.catalog.gpus import Gpu
from infctl.sizing.budget import Memory, budget, habits_of
from infctl.sizing.calibration import Constants, constants
from infctl.sizing.case import Case
from infctl.sizing.checkpoint import Checkpoint
from infctl.sizing.decision import Ask, Lengths, Offer, Slo, Workload
from infctl.sizing.precision import KV_BYTES, Precision
from infctl.sizing.predict import family_of
from infctl.sizing.server import Server, ceiling
from infctl.sizing.speed import Machine

_Z99 = 2.326
_SHORT = 1024  # tokens that a sequence must have room for where nobody says


class Way(NamedTuple):
    """One way to run a model. `gpu` is None on a host without GPUs; `loss` is the quality given up, a share."""

    offer: Offer
    engine: str
    version: str
    precision: Precision
    kv_dtype: str
    gpu: Gpu | None
    tensor: int
    pipeline: int
    loss: float | None = 0.0

    @property
    def gpus(self) -> int:
        return self.tensor * self.pipeline if self.gpu else 0

    @property
    def label(self) -> str:
        """How people would name it: fp8 on 2 x L40S."""
        many = f"{self.gpus} x " if self.gpus > 1 else ""
        kv = f", {self.kv_dtype} KV cache" if self.kv_dtype != "auto" else ""
        return f"{self.precision.name} on {many}{self.offer.product}{kv}"


@dataclass(frozen=True, slots=True)
class Need:
    """What is asked of every way: the model, the file's own words, the load and what is owed."""

    checkpoint: Checkpoint
    ask: Ask
    workload: Workload | None
    slo: Slo

    @property
    def longest(self) -> int:
        """Tokens that one sequence must have room for: as the file says, else those of 99 in 100 requests."""
        if self.ask.max_model_len:
            return self.ask.max_model_len
        if self.workload is None:
            return min(self.checkpoint.shape.context or _SHORT, _SHORT)
        needed = int(_p99(self.workload.isl) + _p99(self.workload.osl))
        return min(needed, self.checkpoint.shape.context or needed)


def _p99(lengths: Lengths) -> float:
    spread = sqrt(log(1 + lengths.squared_cv))
    return lengths.mean * exp(_Z99 * spread - spread * spread / 2)


@dataclass(frozen=True)  # without slots: what follows from it is kept
class Setup:
    """A way with its limits set: what lies in memory then, and the server that it makes."""

    need: Need
    way: Way
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None

    @cached_property
    def gpu(self) -> Gpu:
        """The GPU as this replica has it: the part of it that is asked for, or that is free."""
        found = self.way.gpu
        assert found is not None  # noqa: S101  # hosts without GPUs have no setup
        if (part := self.need.ask.fraction) < 1:
            found = replace(
                found, memory=found.memory * part, bandwidth=found.bandwidth * part, fp16=found.fp16 * part,
                fp8=found.fp8 * part, int8=found.int8 * part, fp4=found.fp4 * part, fp32=found.fp32 * part,
            )  # fmt: skip
        elif habits_of(self.way.engine, self.way.version).of_what_is_left and self.way.offer.free_gib:
            found = replace(found, memory=min(found.memory, self.way.offer.free_gib))
        return found

    @cached_property
    def utilization(self) -> float | None:
        """The part of a GPU's memory that the engine may take: its own default, or less where others use it."""
        said = self.need.ask.engine_args.get("gpu_memory_utilization")
        if isinstance(said, (int, float)):
            return float(said)
        habits, free = habits_of(self.way.engine, self.way.version), self.way.offer.free_gib
        if free is None or habits.of_what_is_left:
            return habits.utilization
        return min(habits.utilization, floor(100 * free / self.gpu.memory) / 100)

    @cached_property
    def case(self) -> Case:
        way, load, args = self.way, self.need.workload, self.need.ask.engine_args
        seqs, passed = (args.get(name) for name in ("max_num_seqs", "max_num_batched_tokens"))
        checkpoint = self.need.checkpoint
        own = way.precision == checkpoint.precision
        return Case(
            checkpoint.shape, (self.gpu, *way.offer.gpus[1:]), way.precision, way.engine, way.version,
            way.tensor, way.pipeline, way.kv_dtype,
            isl=load.isl.mean if load else 1.0, osl=load.osl.mean if load else 1.0,
            utilization=self.utilization, max_model_len=self.need.longest,
            max_num_seqs=seqs if isinstance(seqs, int) else self.max_num_seqs,
            max_num_batched_tokens=passed if isinstance(passed, int) else self.max_num_batched_tokens,
            kept=checkpoint.kept if own else 0.0,
            weight_bytes=checkpoint.bytes if own else None,
        )  # fmt: skip

    @cached_property
    def memory(self) -> Memory:
        return budget(self.case)

    @cached_property
    def family(self) -> str:
        return family_of(self.way.engine, self.way.version, self.gpu.vendor)

    @cached_property
    def constants(self) -> Constants | None:
        return constants(self.family)

    @cached_property
    def server(self) -> Server | None:
        """What the replica does, None where nothing was measured that speed could rest on, or no load is said."""
        load, case = self.need.workload, self.case
        if load is None or self.constants is None:
            return None
        machine = Machine(
            case.shape, case.precision, self.gpu, self.constants, case.tensor, case.pipeline,
            KV_BYTES[case.kv_dtype], case.kept,
        )  # fmt: skip
        separate = self.family.startswith(("vllm-v0", "tgi"))
        whole = self.family.startswith(("tgi", "tensorrt-llm"))
        return Server(machine, self.memory, load, chunked=not separate, whole=whole)


def bound(setup: Setup) -> float | None:
    """Return a rate that one replica cannot exceed, whatever the SLO; None where speed is not known, 0 without room."""
    if not setup.memory.fits:
        return 0.0
    return ceiling(setup.server) if setup.server else None
