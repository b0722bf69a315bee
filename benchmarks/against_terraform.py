"""Prints how infctl's own work compares with Terraform's, as ratios measured in the same run.

    python3 benchmarks/against_terraform.py [-runs N] [-large]

Needs `terraform` on PATH and infctl installed beside this Python; `-large` adds 10,000 resources (some minutes, most
of them Terraform's). Terraform plans `terraform_data`, infctl a provider that costs no time. Ratios are medians over
paired runs, infctl/Terraform: below 1 infctl is quicker, or smaller.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
INFCTL = str(Path(sys.executable).with_name("infctl"))
ENV = {**os.environ, "PYTHONPATH": str(HERE), "TF_CLI_CONFIG_FILE": "/dev/null", "CHECKPOINT_DISABLE": "1"}
ENV.pop("CI", None)


@dataclass(frozen=True)
class Cost:
    seconds: float
    mebibytes: float


def cost(argv: list[str], folder: Path) -> Cost:
    """Run a command and return its wall time and its largest resident set. Raises RuntimeError when it fails."""
    with (folder / "out.txt").open("wb") as out:
        started = time.perf_counter()
        child = subprocess.Popen(argv, cwd=folder, env=ENV, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(argv)} failed in {folder}:\n{(folder / 'out.txt').read_text()[-2000:]}")
    return Cost(seconds, usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2))


def row(name: str, ours: list[Cost], theirs: list[Cost]) -> None:
    def middle(costs: list[Cost], what: Callable[[Cost], float]) -> float:
        return statistics.median(what(each) for each in costs)

    time_ratio = statistics.median(a.seconds / b.seconds for a, b in zip(ours, theirs, strict=True))
    size_ratio = statistics.median(a.mebibytes / b.mebibytes for a, b in zip(ours, theirs, strict=True))
    print(
        f"{name:<44} {middle(ours, lambda c: c.seconds):8.3f} s {middle(theirs, lambda c: c.seconds):8.3f} s "
        f"{time_ratio:7.3f}x   {middle(ours, lambda c: c.mebibytes):6.0f} MiB "
        f"{middle(theirs, lambda c: c.mebibytes):6.0f} MiB {size_ratio:6.2f}x",
        flush=True,
    )


def paired(name: str, runs: int, ours: tuple[list[str], Path], theirs: tuple[list[str], Path]) -> None:
    pairs = [(cost(*ours), cost(*theirs)) for _ in range(runs + 1)][1:]  # the first warms the disk
    row(name, [a for a, _ in pairs], [b for _, b in pairs])


def stack(folder: Path, models: int, replicas: int) -> None:
    folder.mkdir()
    shutil.copy(HERE.parent / "stacks" / "hello" / "models" / "hello.gguf", folder / "m.gguf")
    lines = ["apiVersion: infctl/v1", "name: bench", "targets: {here: {type: zero}}", "models:"]
    lines += (f"  m{i}: {{uri: file:m.gguf, replicas: {replicas}}}" for i in range(models))
    (folder / "inference.yaml").write_text("\n".join(lines) + "\n")


def terraform(folder: Path, count: int) -> None:
    folder.mkdir()
    body = 'input = { model = "m${count.index}", uri = "file:m.gguf", args = { n_ctx = 2048 } }'
    (folder / "main.tf").write_text(f'resource "terraform_data" "m" {{\n  count = {count}\n  {body}\n}}\n')
    cost(["terraform", "init", "-no-color"], folder)


def compare_size(root: Path, models: int, replicas: int, runs: int) -> None:
    count = models * replicas
    name = f"{count} resources ({models} models x {replicas})"
    ours, theirs = root / f"ours-{models}-{replicas}", root / f"theirs-{models}-{replicas}"
    stack(ours, models, replicas)
    terraform(theirs, count)
    applied = cost([INFCTL, "apply", "-auto-approve"], ours)
    row(f"apply, {name}", [applied], [cost(["terraform", "apply", "-auto-approve", "-no-color"], theirs)])
    paired(
        f"plan without changes, {name}", runs, ([INFCTL, "plan"], ours), (["terraform", "plan", "-no-color"], theirs)
    )


def main() -> int:
    if not shutil.which("terraform"):
        print("terraform is not on PATH: there is nothing to compare with")
        return 1
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    runs = int(sys.argv[sys.argv.index("-runs") + 1]) if "-runs" in sys.argv else 5
    print(f"{'':<44} {'infctl':>10} {'terraform':>10} {'time':>8}   {'infctl':>10} {'terraform':>10} {'memory':>7}")
    with tempfile.TemporaryDirectory(prefix="infctl-bench-") as folder:
        root = Path(folder)
        for question in ("version", "-help"):
            paired(question, 4 * runs, ([INFCTL, question], root), (["terraform", question], root))
        compare_size(root, 1_000, 1, runs)
        if "-large" in sys.argv:
            compare_size(root, 10_000, 1, min(runs, 3))
            compare_size(root, 500, 20, min(runs, 3))
    return 0


if __name__ == "__main__":
    sys.exit(main())
