"""Owns what is to be started, and why it does not: values that the gate (`startable`) takes and gives. Pure."""

from __future__ import annotations

from functools import partial

from infctl.catalog.gpus import Gpu
from infctl.diagnostics import Severity
from infctl.frozen import dataclass
from infctl.sizing.case import Case


@dataclass(frozen=True, slots=True)
class Combination:
    """What is to be started. `case` is the sizing question, whose `gpus` are () on a host without any.

    `checkpoint` is the format that the weights are kept in already ("" where they are in 16 bits, or nobody knows);
    `form` the format of the files ("gguf", "onnx", "coreml"; "" is safetensors, or nobody knows). `devices` are the
    GPUs of one host and `island` those of them that NVLink joins, None where that is not known; `sliced` is whether
    the device is a MIG slice or a share of a GPU. With `weight_only` it is good enough that a GPU keeps weights in a
    format without computing in it; without it, whoever asks for fp8 means W8A8.
    """

    case: Case
    task: str = "generate"
    checkpoint: str = ""
    form: str = ""
    devices: int | None = None
    island: int | None = None
    sliced: bool = False
    weight_only: bool = False

    @property
    def gpu(self) -> Gpu | None:
        return self.case.gpus[0] if self.case.gpus else None

    @property
    def where(self) -> str:
        return self.gpu.name if self.gpu else "a CPU"

    @property
    def engine(self) -> str:
        return f"{self.case.engine} {self.case.engine_version}".rstrip()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why it does not start, or with severity warning, what starts otherwise than one would think. `alternative` is
    what to do, "" where there is nothing.
    """

    code: str
    reason: str
    alternative: str = ""
    severity: Severity = Severity.ERROR


warned = partial(Refusal, severity=Severity.WARNING)


def compute_of(gpu: Gpu | None) -> str:
    """Return what a GPU can do, as its vendor numbers it."""
    if gpu is None:
        return "no GPU"
    return f"compute capability {gpu.compute}" if gpu.sm else gpu.compute
