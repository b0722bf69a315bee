"""Owns what the tests of a choice ask: one model, a load, offers. Constants are fixed here, whatever is fitted."""

from __future__ import annotations

from infctl.catalog.gpus import gpus
from infctl.catalog.models import models
from infctl.sizing.budget import budget
from infctl.sizing.calibration import Constants
from infctl.sizing.case import Case
from infctl.sizing.checkpoint import Checkpoint
from infctl.sizing.decision import Lengths, Objective, Offer, Slo, Workload
from infctl.sizing.precision import PRECISIONS
from infctl.sizing.server import Server
from infctl.sizing.speed import Machine

LLAMA = Checkpoint(models().rows["meta-llama/Meta-Llama-3.1-8B"], PRECISIONS["bf16"], source="catalogue")
CONSTANTS = Constants(0.9, 0.9, 0.6, 0.8, 5e-5, 1e-5, 1e-5, 0.6, 0.4, 5e-5, request=0.008, sequence=2e-6)
CHAT = Workload(Lengths(900, 3000, 1.5), Lengths(220, 600, 0.92), 6.0, 20.0)
SLO = Slo(
    (Objective("ttft", 95, 0.5), Objective("itl", 95, 0.04), Objective("e2e", 99, 30.0)),
    goodput=0.99,
    availability=0.999,
)


def workload(isl: tuple[float, float], osl: tuple[float, float], rate: float = 1.0, peak: float = 1.0) -> Workload:
    """Return a load of (mean, squared variation) lengths."""
    return Workload(Lengths(isl[0], squared_cv=isl[1]), Lengths(osl[0], squared_cv=osl[1]), rate, peak)


def server(gpu: str, load: Workload, tokens: int | None = None, seqs: int | None = None, tensor: int = 1) -> Server:
    """Return Llama 3.1 8B on a GPU, with the constants of these tests."""
    card = gpus().find(gpu)[0]
    case = Case(
        LLAMA.shape, (card,), LLAMA.precision, "vllm", "0.11.0", tensor, max_model_len=8192,
        max_num_seqs=seqs, max_num_batched_tokens=tokens,
    )  # fmt: skip
    return Server(Machine(LLAMA.shape, LLAMA.precision, card, CONSTANTS, tensor), budget(case), load)


def offer(gpu: str, devices: int = 8, hosts: int | None = 2, price: float | None = None, target: str = "rack") -> Offer:
    return Offer(target, gpus().find(gpu), devices, hosts, price=price)
