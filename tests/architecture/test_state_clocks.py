"""No wall clock decides anything in the state's code, so that one that jumps changes nothing.

The only reading of it is the `since` of a lock, a text that is shown; the rest are clocks that never go back.
"""

from __future__ import annotations

import ast
from pathlib import Path

STATE = Path(__file__).resolve().parents[2] / "infctl" / "state"
WALL = {"time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime", "time.strftime"}
WALL |= {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
STEADY = {"time.monotonic", "time.clock_gettime", "time.sleep", "time.CLOCK_BOOTTIME"}


def uses(path: Path) -> set[str]:
    return {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}


def test_the_wall_clock_is_read_once_and_only_to_be_shown() -> None:
    sources = sorted(STATE.rglob("*.py"))
    found = {(path.name, name) for path in sources for name in uses(path) & WALL}
    assert found == {("lease.py", "datetime.now")}
    others = {name for path in sources for name in uses(path) if name.startswith("time.")} - WALL
    assert others <= STEADY


def test_what_a_lock_says_of_time_is_in_no_comparison_and_no_sum() -> None:
    for path in STATE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare | ast.BinOp):
                assert "since" not in {getattr(part, "attr", getattr(part, "id", "")) for part in ast.walk(node)}, path


def test_nothing_imports_a_clock_by_another_name() -> None:
    for path in STATE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.module != "time", path
            if isinstance(node, ast.Import):
                assert all(alias.asname is None or alias.name != "time" for alias in node.names), path
