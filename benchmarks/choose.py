"""How long choosing takes: one model over every GPU of the catalogue in closed form, the run that confirms, a clash.

`python benchmarks/choose.py`: CPU time in milliseconds, the median of several; the aim is 50 ms in closed form.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from infctl.catalog.gpus import gpus
from infctl.catalog.models import models
from infctl.sizing.checkpoint import Checkpoint
from infctl.sizing.choose import choose
from infctl.sizing.decision import Ask, Lengths, Objective, Offer, Slo, Workload
from infctl.sizing.precision import PRECISIONS

MODELS = ("meta-llama/Meta-Llama-3.1-8B", "meta-llama/Meta-Llama-3.1-70B", "Qwen/Qwen3-30B-A3B")
LOAD = Workload(Lengths(900, 3000, 1.5), Lengths(220, 600, 0.92), 6.0, 20.0)
SLO = Slo((Objective("ttft", 95, 0.5), Objective("itl", 95, 0.04), Objective("e2e", 99, 30.0)), 0.99, 0.999)


def milliseconds(work: Callable[[], object], times: int = 7) -> float:
    work()
    found = []
    for _ in range(times):
        begun = time.process_time()
        work()
        found.append(1000 * (time.process_time() - begun))
    return median(found)


def main() -> None:
    every = [Offer("any", (card,), 8, None) for card in gpus().rows.values()]
    few = [Offer("rack", gpus().find("L40S"), 1, 1, price=0.85)]
    print(f"{len(every)} kinds of GPU, up to 8 of each; CPU time")
    for name in MODELS:
        checkpoint = Checkpoint(models().rows[name], PRECISIONS["bf16"])
        for engine in ("vllm", "auto"):
            ask = Ask(engine=engine, max_model_len=8192)
            closed = milliseconds(lambda c=checkpoint, a=ask: choose(c, a, LOAD, SLO, every, requests=0))
            run = milliseconds(lambda c=checkpoint, a=ask: choose(c, a, LOAD, SLO, every), 3)
            print(f"{name:32} {engine:5} closed form {closed:6.0f} ms, with the run that confirms {run:6.0f} ms")
        clash = milliseconds(lambda c=checkpoint: choose(c, Ask(max_model_len=8192), LOAD, SLO, few), 3)
        print(f"{name:32} what clashes on one L40S {clash:6.0f} ms")


if __name__ == "__main__":
    main()
