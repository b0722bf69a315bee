"""Everything the language can say, against what code serves today: each unserved field is told once, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.diagnostics import InfctlError, Severity
from infctl.spec.assemble import load_stack
from infctl.spec.stack import Inputs
from tests.fakes.target_types import FakeTypes

NORTH_STAR = Path(__file__).parents[1] / "cases" / "north-star.yaml"
GOLDEN = Path(__file__).with_name("north_star.txt")


def test_every_unserved_field_is_told_with_its_line_and_nothing_else() -> None:
    with pytest.raises(InfctlError) as failed:
        load_stack(Inputs(NORTH_STAR.parent, (Path(NORTH_STAR.name),)), FakeTypes())
    found = failed.value.diagnostics
    assert {each.severity for each in found} == {Severity.ERROR}
    lines = [f"{each.code} {each.span.line}:{each.span.column} {each.path}" for each in found if each.span]
    assert lines == GOLDEN.read_text().splitlines()
    assert {each.code for each in found} == {"not-served"}


def test_a_field_is_told_with_the_targets_that_do_not_serve_it() -> None:
    with pytest.raises(InfctlError) as failed:
        load_stack(Inputs(NORTH_STAR.parent, (Path(NORTH_STAR.name),)), FakeTypes())
    scaling = next(each for each in failed.value.diagnostics if each.path == "models.chat.scaling")
    assert scaling.detail == "not served on rack (docker), prod (kubernetes) or burst (aws)"
    assert scaling.address == "model.chat"
