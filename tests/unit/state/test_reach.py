"""State knows how places were reached by the last apply, also where nothing else has changed since."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infctl.address import Address
from infctl.state.local import LocalStore
from infctl.state.model import Resource, State
from infctl.state.reach import renew_reach
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
    serial = LocalStore(shell.folder).load().state
    shell("apply", "-auto-approve", "-var", "room=2000000000")
    assert LocalStore(shell.folder).load().state == serial  # nothing new: nothing written
    assert reached(shell.folder) != first
    assert len(reached(shell.folder)) == 1


def test_an_apply_that_changes_one_thing_renews_the_way_to_all(shell: Shell) -> None:
    shell("apply", "-auto-approve")
    shell.write("chat: {uri: 'file:m.gguf'}\nembed: {uri: 'file:m.gguf', task: embed}", HEAD)
    shell("apply", "-auto-approve", "-var", "room=2000000000")
    assert reached(shell.folder) == {"2000000000"}


def test_what_was_not_seen_keeps_the_way_it_had() -> None:
    here = Resource(Address("fake_process", "chat", "here/0"), "a", "a", "here", reach={"type": "memory", "config": {}})
    gone = replace(here, id="b", name="b")
    state = State("lineage", "acme", "default", resources={"a": here, "b": gone})
    new = {"here": {"type": "memory", "config": {"memory": 1}}}
    renewed = renew_reach(state, new, {"a"})
    assert renewed.resources["a"].reach == new["here"]
    assert renewed.resources["b"].reach == gone.reach
    assert renew_reach(state, {"there": new["here"]}, {"a", "b"}) is state
