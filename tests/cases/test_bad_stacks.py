"""Every bad configuration of `spec/bad`, with exactly what is said of it in `NAME.expected` beside it.

A case is one file, or a folder of files. `python -m tests.cases.test_bad_stacks` writes what is said now, to be
read before it is believed.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from infctl.desired.check import model_checker
from infctl.diagnostics import Diagnostic, InfctlError
from infctl.spec.assemble import load_stack
from infctl.spec.stack import Inputs
from tests.fakes.target_types import FakeTypes

BAD = Path(__file__).parent / "spec" / "bad"
CASES = sorted(path for path in BAD.iterdir() if path.is_dir() or path.suffix == ".yaml")
LEAST = 60  # cases that the project owes


def told(case: Path, folder: Path) -> str:
    """Return what is said of a case, as it is kept."""
    if case.is_dir():
        shutil.copytree(case, folder, dirs_exist_ok=True)
        inputs = Inputs(folder, (Path(),))
    else:
        shutil.copy(case, folder / "inference.yaml")
        inputs = Inputs(folder)
    with pytest.raises(InfctlError) as failed:
        load_stack(inputs, FakeTypes(), model_checker(folder))
    return "".join(map(show, failed.value.diagnostics))


def show(diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    head = f"{diagnostic.severity.value}[{diagnostic.code}]: {diagnostic.summary}\n"
    if span is None:
        return head + "".join(f"  {line}\n" for line in (diagnostic.detail, f"hint: {diagnostic.hint}"))
    marked = span.text[span.column - 1 : span.column - 1 + span.length]
    return (
        f"{head}  {span}  {diagnostic.path}\n  {marked}  <- {diagnostic.detail}\n"
        f"{f'  hint: {diagnostic.hint}' if diagnostic.hint else '  no hint'}\n"
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_bad_stack_is_told_exactly(case: Path, tmp_path: Path) -> None:
    assert told(case, tmp_path) == case.with_suffix(".expected").read_text()


def test_the_corpus_is_large_enough_and_every_expectation_has_a_case() -> None:
    assert len(CASES) >= LEAST
    assert {path.stem for path in BAD.glob("*.expected")} == {case.stem for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_no_message_speaks_of_our_insides(case: Path) -> None:
    words = case.with_suffix(".expected").read_text().lower()
    for word in ("pydantic", "traceback", "https://errors", "input should", "yaml.", "nonetype", "libyaml", "dict"):
        assert word not in words


def _rewrite() -> None:
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            case.with_suffix(".expected").write_text(told(case, Path(folder)))


if __name__ == "__main__":
    _rewrite()
