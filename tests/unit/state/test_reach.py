"""State knows how places were reached by the last apply, also where nothing else has changed since."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.state.local import LocalStore
from tests.shell import Shell
from tests.tiny_gguf import write_tiny_gguf

HEAD = """apiVersion: infctl/v1
name: acme
variables: {room: {type: integer, default: 1000000000}}
targets: {here: {type: memory, memory: "${var.room}"}}
models:
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    write_tiny_gguf(tmp_path / "m.gguf")
    made = Shell(tmp_path)
    made.write("chat: {uri: 'file:m.gguf'}", HEAD)
    return made


def reached(folder: Path) -> set[str]:
    state = LocalStore(folder).load().current
    assert state is not None
    return {str(thing.reach["config"]["memory"]) for thing in state.resources.values()}


def test_an_apply_without_changes_keeps_the_new_way_to_a_place(shell: Shell) -> None:
    shell("apply", "-auto-approve")
    first = reached(shell.folder)
    done = shell("apply", "-auto-approve", "-var", "room=2000000000")
    assert "No changes" in done.out
    assert reached(shell.folder) != first
    assert len(reached(shell.folder)) == 1


def test_an_apply_that_changes_one_thing_renews_the_way_to_all(shell: Shell) -> None:
    shell("apply", "-auto-approve")
    shell.write("chat: {uri: 'file:m.gguf'}\nembed: {uri: 'file:m.gguf', task: embed}", HEAD)
    shell("apply", "-auto-approve", "-var", "room=2000000000")
    assert reached(shell.folder) == {"2000000000"}
