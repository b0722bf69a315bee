"""The first minute: a folder becomes a stack that runs, and a stack that is there is looked over, not touched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.shell import Shell

WRITTEN = """\
Wrote the stack hello.
  The smallest useful stack: one model, served on this machine by llama.cpp.

  inference.yaml
  models/hello.gguf
  .gitignore
  inference.lock.yaml

Next:
    infctl plan     shows what would be started
    infctl apply    starts it, and prints a line that asks the model something
"""


@pytest.fixture
def empty(tmp_path: Path) -> Shell:
    (tmp_path / "README.md").write_text("mine")  # as a new repository has
    return Shell(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_empty_folder_becomes_a_stack_that_can_be_planned_in_ci(empty: Shell) -> None:
    done = empty("init")
    assert (done.code, done.out, done.err) == (0, WRITTEN, "")
    assert (empty.folder / "README.md").read_text() == "mine"
    assert ".infctl/" in (empty.folder / ".gitignore").read_text()
    empty.env["CI"] = "true"
    assert "Plan: 3 to add" in empty("plan").out


def test_a_stack_that_is_there_is_looked_over_and_not_changed(empty: Shell) -> None:
    empty("init")
    before = contents(empty.folder)
    done = empty("init")
    assert done.code == 0
    assert done.out.startswith("stack         inference.yaml          ok      model hello on local\n")
    assert done.last == "This folder is ready: type infctl plan."
    assert contents(empty.folder) == before


def test_what_is_wrong_with_the_stack_is_said(empty: Shell) -> None:
    (empty.folder / "inference.yaml").write_text("name: acme\nmodels: {chat: {replica: 3}}\n")
    done = empty("init")
    assert done.code == 1
    assert "inference.yaml" in done.out
    assert "not ok" in done.out
    assert "hint: infctl validate shows them all" in done.out


def test_a_gitignore_is_left_as_it_is_and_that_is_said(empty: Shell) -> None:
    (empty.folder / ".gitignore").write_text("*.pyc\n")
    assert "add the line .infctl/ to it" in empty("init").out
    assert (empty.folder / ".gitignore").read_text() == "*.pyc\n"


def test_nothing_is_overwritten(empty: Shell) -> None:
    (empty.folder / "models").mkdir()
    (empty.folder / "models/hello.gguf").write_text("mine")
    before = contents(empty.folder)
    done = empty("init")
    assert done.code == 1
    assert "error[file-in-the-way]: models/hello.gguf would be overwritten" in done.err
    assert contents(empty.folder) == before
    (empty.folder / "inference.yaml").write_text("mine")
    assert "error[file-in-the-way]" in empty("init", "-stack=hello").err


def test_a_slip_in_a_stacks_name_is_helped(empty: Shell) -> None:
    done = empty("init", "-stack=helo")
    assert done.code == 1
    assert 'did you mean "hello"?' in done.err
    assert re.search(r"hello +The smallest useful stack", empty("init", "-help").out)
