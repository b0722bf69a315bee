"""Every model of `desired/bad_models.yaml` that no engine can follow, with the exact words and the line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from infctl.diagnostics import InfctlError
from tests.unit.desired.stacks import decided, stack_of

CASES = [
    pytest.param(case, id=case["name"])
    for case in yaml.safe_load((Path(__file__).parent / "desired" / "bad_models.yaml").read_text())
]


@pytest.mark.parametrize("case", CASES)
def test_a_model_that_cannot_be_served_says_where_and_why(case: Mapping[str, Any], tmp_path: Path) -> None:
    for name, text in case.get("files", {}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    stack = stack_of(tmp_path, case["models"])
    with pytest.raises(InfctlError) as caught:
        decided(stack)
    found = caught.value.diagnostics
    assert [f"{each.path} | {each.detail} | {each.hint}".replace(f"{tmp_path}/", "") for each in found] == case["says"]
    for each in found:
        assert each.span is not None
        assert each.address == ".".join(["model", each.path.split(".")[1]])
        assert each.path.split(".")[-1] in each.span.text
