"""Prints how infctl's own work compares with Terraform's, as ratios measured in the same run.

    python3 benchmarks/against_terraform.py [-runs N] [-large] [-patient]

Needs `terraform` on PATH and infctl installed beside this Python. Terraform plans `terraform_data`, infctl a provider
that costs no time. A model is one resource block, its replicas are that block's `count`: of the ways to write it, the
one that Terraform is quickest at. Ratios are medians over paired runs, infctl/Terraform: below 1 infctl is quicker, or
smaller.

`-large` adds 10,000 resources, both as 10,000 models and as 500 models of 20 replicas: some 5 minutes. Terraform's own
apply of 10,000 takes a quarter of an hour and more, so its plan is of a state that is written here; that it finds no
changes in it is checked at every run. `-patient` measures that apply too.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
INFCTL = str(Path(sys.executable).with_name("infctl"))
ENV = {**os.environ, "PYTHONPATH": str(HERE), "TF_CLI_CONFIG_FILE": "/dev/null", "CHECKPOINT_DISABLE": "1"}
ENV.pop("CI", None)
ENV.pop("PYTHONDONTWRITEBYTECODE", None)  # pip compiles what it installs; a checkout is compiled by the first run


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
        f"{name:<36} {middle(ours, lambda c: c.seconds):8.3f} s {middle(theirs, lambda c: c.seconds):8.3f} s "
        f"{time_ratio:7.3f}x   {middle(ours, lambda c: c.mebibytes):6.0f} MiB "
        f"{middle(theirs, lambda c: c.mebibytes):6.0f} MiB {size_ratio:6.2f}x",
        flush=True,
    )


def paired(name: str, runs: int, ours: tuple[list[str], Path], theirs: tuple[list[str], Path]) -> Cost:
    """Print the row of two commands, run in turns; returns our median."""
    pairs = [(cost(*ours), cost(*theirs)) for _ in range(runs + 1)][1:]  # the first warms the disk
    row(name, [a for a, _ in pairs], [b for _, b in pairs])
    return sorted((a for a, _ in pairs), key=lambda each: each.seconds)[len(pairs) // 2]


def stack(folder: Path, models: int, replicas: int) -> None:
    folder.mkdir()
    shutil.copy(HERE.parent / "stacks" / "hello" / "models" / "hello.gguf", folder / "m.gguf")
    lines = ["apiVersion: infctl/v1", "name: bench", "targets: {here: {type: zero}}", "models:"]
    lines += (f"  m{i}: {{uri: file:m.gguf, replicas: {replicas}}}" for i in range(models))
    (folder / "inference.yaml").write_text("\n".join(lines) + "\n")


def terraform(folder: Path, models: int, replicas: int) -> None:
    folder.mkdir()
    count = f"  count = {replicas}\n" if replicas > 1 else ""
    blocks = (
        f'resource "terraform_data" "m{i}" {{\n{count}'
        f'  input = {{ model = "m{i}", uri = "file:m.gguf", args = {{ n_ctx = 2048 }} }}\n}}\n'
        for i in range(models)
    )
    (folder / "main.tf").write_text("".join(blocks))
    cost(["terraform", "init", "-no-color"], folder)


def terraform_state(folder: Path, models: int, replicas: int) -> None:
    """Write what `terraform apply` would leave behind."""
    kind = ["object", {"args": ["object", {"n_ctx": "number"}], "model": "string", "uri": "string"}]

    def instance(model: int, slot: int) -> dict[str, object]:
        value = {"args": {"n_ctx": 2048}, "model": f"m{model}", "uri": "file:m.gguf"}
        given = {"value": value, "type": kind}
        attributes = {"id": str(uuid.uuid4()), "input": given, "output": given, "triggers_replace": None}
        index = {"index_key": slot} if replicas > 1 else {}
        return {**index, "schema_version": 0, "attributes": attributes, "sensitive_attributes": []}

    resources = [
        {
            "mode": "managed",
            "type": "terraform_data",
            "name": f"m{model}",
            "provider": 'provider["terraform.io/builtin/terraform"]',
            "instances": [instance(model, slot) for slot in range(replicas)],
        }
        for model in range(models)
    ]
    head = {"version": 4, "terraform_version": "1.11.0", "serial": 1, "lineage": str(uuid.uuid4()), "outputs": {}}
    (folder / "terraform.tfstate").write_text(json.dumps({**head, "resources": resources, "check_results": None}))


def compare_apply(root: Path, models: int, replicas: int, runs: int, *, theirs: bool) -> Cost:
    """Print the cost of making everything, each time in a new folder; returns our median."""
    name = f"apply, {models} x {replicas}"
    ours, others = [], []
    for run in range(runs):
        folder = root / f"apply-{models}-{replicas}-{run}"
        stack(folder, models, replicas)
        ours.append(cost([INFCTL, "apply", "-auto-approve"], folder))
        if theirs:
            folder = folder.with_name(f"{folder.name}-terraform")
            terraform(folder, models, replicas)
            others.append(cost(["terraform", "apply", "-auto-approve", "-no-color"], folder))
    middle = sorted(ours, key=lambda each: each.seconds)[len(ours) // 2]
    if theirs:
        row(name, ours, others)
    else:
        print(f"{name:<36} {middle.seconds:8.3f} s {'-':>10} {'-':>8}   {middle.mebibytes:6.0f} MiB", flush=True)
    return middle


def compare_plan(root: Path, models: int, replicas: int, runs: int) -> Cost:
    """Print the cost of finding that nothing is to be done; returns our median. Exit code 0 says that nothing is."""
    ours, theirs = root / f"apply-{models}-{replicas}-0", root / f"plan-{models}-{replicas}"
    terraform(theirs, models, replicas)
    terraform_state(theirs, models, replicas)
    plan = ["plan", "-detailed-exitcode"]
    name = f"plan without changes, {models} x {replicas}"
    return paired(name, runs, ([INFCTL, *plan], ours), (["terraform", *plan, "-no-color"], theirs))


def grown(what: str, small: Cost, large: Cost) -> None:
    times = large.seconds / small.seconds
    print(f"{what}: 10 times the resources take {times:.1f} times the time, {large.mebibytes:.0f} MiB", flush=True)


def main() -> int:
    if not shutil.which("terraform"):
        print("terraform is not on PATH: there is nothing to compare with")
        return 1
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    runs = int(sys.argv[sys.argv.index("-runs") + 1]) if "-runs" in sys.argv else 5
    few, patient = min(runs, 3), "-patient" in sys.argv
    print(f"{'':<36} {'infctl':>10} {'terraform':>10} {'time':>8}   {'infctl':>10} {'terraform':>10} {'memory':>7}")
    with tempfile.TemporaryDirectory(prefix="infctl-bench-") as folder:
        root = Path(folder)
        for question in ("version", "-help"):
            paired(question, 4 * runs, ([INFCTL, question], root), (["terraform", question], root))
        applied = compare_apply(root, 1_000, 1, few, theirs=True)
        planned = compare_plan(root, 1_000, 1, 2 * runs)
        for models, replicas in ((10_000, 1), (500, 20)) if "-large" in sys.argv else ():
            name = f"{models} x {replicas}"
            grown(f"apply, {name}", applied, compare_apply(root, models, replicas, 1, theirs=patient))
            grown(f"plan, {name}", planned, compare_plan(root, models, replicas, few))
    return 0


if __name__ == "__main__":
    sys.exit(main())
