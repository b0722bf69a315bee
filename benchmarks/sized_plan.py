"""Prints what deciding costs: a plan of models that say only what they owe, beside the same with all fixed.

    python3 benchmarks/sized_plan.py [-models N] [-hosts N] [-runs N]

Named baseline: the same models on the same hosts with engine, format, devices and replicas written in the file, so that
nothing is sized. The hosts cost no time to ask (`zero_rack`), the models are folders with a config.json each. The first
plan decides and pins; the second finds everything pinned.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
INFCTL = str(Path(sys.executable).with_name("infctl"))
SHAPES = {  # hidden, MLP, layers, heads, KV heads
    "8b": (4096, 14336, 32, 32, 8),
    "14b": (5120, 13824, 48, 40, 8),
    "32b": (5120, 27648, 64, 40, 8),
    "70b": (8192, 28672, 80, 64, 8),
}
SLO = {"ttft": {"p95": "800ms"}, "itl": {"p95": "60ms"}, "availability": "99.9%"}
GPUS = {"8b": 1, "14b": 1, "32b": 2, "70b": 4}


def config_of(shape: str) -> dict[str, Any]:
    hidden, mlp, layers, heads, kv_heads = SHAPES[shape]
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden, "intermediate_size": mlp,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "vocab_size": 128256, "max_position_embeddings": 32768, "torch_dtype": "bfloat16",
    }  # fmt: skip


def write(folder: Path, models: int, hosts: int, *, sized: bool) -> None:
    """Write the stack and its models' folders."""
    wanted: dict[str, Any] = {}
    for number in range(models):
        shape = list(SHAPES)[number % len(SHAPES)]
        home = folder / f"m{number}"
        home.mkdir(parents=True)
        (home / "config.json").write_text(json.dumps({**config_of(shape), "_number": number}))
        fixed = {"engine": "vllm", "gpu": {"count": GPUS[shape]}, "replicas": 2, "max_model_len": 8192}
        load = {"isl": {"mean": 900 + number}, "osl": {"mean": 220}, "rate": "6/s", "peak": f"{15 + number % 10}/s"}
        wanted[f"m{number}"] = {"uri": f"file:m{number}", **({"workload": load, "slo": SLO} if sized else fixed)}
    rack = {"type": "zero_rack", "hosts": hosts}
    stack = {"apiVersion": "infctl/v1", "name": "bench", "targets": {"rack": rack}, "models": wanted}
    (folder / "inference.yaml").write_text(json.dumps(stack))


def seconds(folder: Path) -> float:
    """Return the wall time of a plan. Raises RuntimeError when it fails."""
    env = {**os.environ, "PYTHONPATH": str(HERE), "NO_COLOR": "1"}
    env.pop("CI", None)
    began = time.perf_counter()
    done = subprocess.run([INFCTL, "plan"], cwd=folder, env=env, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-models", "--models", type=int, default=50)
    parser.add_argument("-hosts", "--hosts", type=int, default=100)
    parser.add_argument("-runs", "--runs", type=int, default=3)
    asked = parser.parse_args()
    took: dict[str, list[float]] = {"fixed": [], "deciding": [], "decided": []}
    for _ in range(asked.runs):
        with tempfile.TemporaryDirectory(prefix="infctl-bench-") as name:
            fixed, sized = Path(name) / "fixed", Path(name) / "sized"
            write(fixed, asked.models, asked.hosts, sized=False)
            write(sized, asked.models, asked.hosts, sized=True)
            seconds(fixed)  # checksums of the models are remembered from then on
            took["fixed"].append(seconds(fixed))
            took["deciding"].append(seconds(sized))
            took["decided"].append(seconds(sized))
    base = statistics.median(took["fixed"])
    print(f"plan of {asked.models} models on {asked.hosts} hosts of 8 GPUs, median of {asked.runs}:")
    for what, words in (("fixed", "all fixed"), ("deciding", "deciding all"), ("decided", "all decided before")):
        middle = statistics.median(took[what])
        print(f"  {words:<20} {middle:6.2f} s  {middle / base:5.2f}x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
