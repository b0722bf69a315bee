"""A large state is kept in a form that is read sooner; whatever else stands in its place changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infctl.diagnostics import InfctlError
from infctl.state import kept, snapshot
from infctl.state.files import StateFiles
from infctl.state.local import LocalStore
from infctl.state.model import State
from infctl.state.testkit import sample


def large() -> State:
    state = sample()
    thing = next(iter(state.resources.values()))
    names = [f"{number:012x}" for number in range(kept.LEAST // 500)]
    return replace(state, resources={name: replace(thing, id=name) for name in names})


@pytest.fixture
def files(tmp_path: Path) -> StateFiles:
    with LocalStore(tmp_path).lock("ops", "apply") as lease:
        lease.commit(large())
    return StateFiles(tmp_path / ".infctl" / "default")


def test_a_large_state_is_kept_by_who_writes_it_and_taken_by_who_reads_it(files: StateFiles) -> None:
    text = files.state.read_bytes()
    assert len(text) >= kept.LEAST
    assert files.kept.stat().st_mode & 0o777 == 0o600
    found = kept.decode(files.kept.read_bytes(), text)
    assert found == snapshot.decode(text, "state.json")
    files.kept.write_bytes(kept.encode(sample(), 7, text))
    assert files.load().state == sample()


def test_a_small_one_is_not(tmp_path: Path) -> None:
    with LocalStore(tmp_path).lock("ops", "apply") as lease:
        lease.commit(sample())
    assert not StateFiles(tmp_path / ".infctl" / "default").kept.exists()


@pytest.mark.parametrize("damage", ["gone", "cut", "another infctl's", "of another snapshot", "a folder"])
def test_anything_else_in_its_place_is_no_kept_state(files: StateFiles, damage: str) -> None:
    text = files.state.read_bytes()
    kept_text = files.kept.read_bytes()
    files.kept.unlink()
    if damage == "cut":
        files.kept.write_bytes(kept_text[:-9])
    elif damage == "another infctl's":
        files.kept.write_bytes(kept_text.replace(b'"of": [1, ', b'"of": [0, '))
    elif damage == "of another snapshot":
        files.kept.write_bytes(kept.encode(sample(), 1, text + b" "))
    elif damage == "a folder":
        files.kept.mkdir()
    assert files.load().state == snapshot.decode(text, "state.json").state


def test_a_state_that_is_changed_by_hand_is_refused_as_ever(files: StateFiles) -> None:
    files.state.write_bytes(files.state.read_bytes().replace(b"fake_process", b"fake_proxess", 1))
    with pytest.raises(InfctlError, match="state-damaged"):
        files.load()
