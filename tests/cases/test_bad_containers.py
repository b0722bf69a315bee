"""Every model of `desired/bad_containers.yaml` that no engine can follow in a container, with the exact words.

`python -m tests.cases.test_bad_containers` writes what is said now, to be read before it is believed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from infctl.desired.check import model_checker
from infctl.diagnostics import Diagnostic, InfctlError
from infctl.spec.assemble import load_stack
from infctl.spec.stack import Inputs
from tests.fakes.target_types import RackTypes

FILE = Path(__file__).parent / "desired" / "bad_containers.yaml"
TARGETS = {"rack": {"type": "rack"}, "here": {"type": "local"}}  # a model that names none lives on the rack
CASES: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())


def told(model: dict[str, Any], folder: Path) -> tuple[Diagnostic, ...]:
    stack = {"apiVersion": "infctl/v1", "name": "t", "targets": TARGETS, "models": {"chat": model}}
    (folder / "inference.yaml").write_text(yaml.safe_dump(stack, sort_keys=False))
    try:
        return load_stack(Inputs(folder), RackTypes(), model_checker(folder)).warnings
    except InfctlError as failure:
        return failure.diagnostics


def line(each: Diagnostic) -> str:
    return f"{each.severity.value} {each.path.removeprefix('models.chat.')} | {each.detail} | {each.hint}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["model"])[:70])
def test_a_model_that_cannot_be_served_says_where_and_why(case: dict[str, Any], tmp_path: Path) -> None:
    found = told(case["model"], tmp_path)
    assert [line(each) for each in found] == case["says"]
    assert all(each.span is not None for each in found)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _rewrite() -> None:
    text = "".join(each for each in FILE.read_text().splitlines(keepends=True) if each.startswith("#"))
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            says = [line(each) for each in told(case["model"], Path(folder))]
        written = yaml.safe_dump(case["model"], default_flow_style=True, sort_keys=False, width=1000).strip()
        text += f"- model: {written}\n  says:\n" + "".join(f"  - {quoted(each)}\n" for each in says)
    FILE.write_text(text)


if __name__ == "__main__":
    _rewrite()
