"""The planner is a pure function: the same question gives the same bytes, and the question is as it was."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given

from infctl.plan.file import read_plan, write_plan
from infctl.plan.model import Plan
from infctl.plan.planner import make_plan
from tests.fakes.failing import FailingTarget
from tests.property.stacks import Death, Stack, Wish, Wishes
from tests.property.test_apply import FAULTS, WISHES, few

ROOT = Path(__file__).parents[2]
CHAT = Wish(3, variant=1, memory=20, tag="x", secret=True)


def written(plan: Plan, folder: Path) -> bytes:
    write_plan(plan, folder / "plan")
    return (folder / "plan").read_bytes()


@few
@given(WISHES, FAULTS, WISHES)
def test_the_planner_changes_nothing_and_repeats_itself(first: Wishes, faults: FailingTarget, second: Wishes) -> None:
    stack = Stack()
    stack.apply(stack.plan(first), faults=faults)
    question, models = stack.question(second)
    before = copy.deepcopy((question, models))
    plans = [make_plan(question, models), make_plan(question, models), make_plan(*before)]
    assert plans[0] == plans[1] == plans[2]
    assert (question, models) == before


def bytes_of_a_plan(folder: Path) -> bytes:
    stack = Stack(room=70)
    stack.apply(stack.plan({"chat": Wish(2), "embed": Wish(1)}), death=Death(9))
    return written(stack.plan({"chat": CHAT, "tool": Wish(1)}), folder)


def test_a_plan_is_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    here = bytes_of_a_plan(tmp_path)
    code = f"from pathlib import Path; from {__name__} import bytes_of_a_plan as b; b(Path({str(tmp_path)!r}))"
    for seed in ("1", "2"):
        (tmp_path / "plan").unlink()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
        assert (tmp_path / "plan").read_bytes() == here


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    stack = Stack()
    stack.apply(stack.plan({"chat": Wish(2)}))
    plan = stack.plan({"chat": CHAT, "embed": Wish(1)})
    write_plan(plan, tmp_path / "plan")
    assert read_plan(tmp_path / "plan") == plan
