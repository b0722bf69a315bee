"""The starter stack loses its state beside running processes, and forgets one: both come back, nothing is restarted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.shell import Shell

NOTHING = "No changes. What runs is what the file asks for."


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    assert shell("init").code == 0
    done = shell("apply", "-auto-approve")
    try:
        assert done.code == 0, done.out + done.err
        yield shell
    finally:
        shell("state", "recover", "-auto-approve")
        assert shell("destroy", "-auto-approve").code == 0
        assert not list((tmp_path / ".infctl").glob("*/targets/*/run/*"))


def objects(shell: Shell) -> dict[str, Any]:
    return {each["address"]: each for each in json.loads(shell("state", "show", "-json").out)}


@pytest.mark.parametrize("lost", ["state.json", "*.json*"])
def test_a_state_that_is_gone_comes_back_from_what_runs(running: Shell, lost: str) -> None:
    before = objects(running)
    for path in (running.folder / ".infctl/default").glob(lost):
        path.unlink()
    for path in (running.folder / ".infctl/default/history").glob(lost):
        path.unlink()
    refused = running("plan")
    assert refused.code == 1
    assert "error[state-lost]" in refused.err
    assert "infctl state recover" in refused.err
    assert running("state", "recover", "-auto-approve").code == 0
    assert running("plan", "-detailed-exitcode").last == NOTHING
    after = objects(running)
    assert {address: each["infctl"]["id"] for address, each in after.items()} == {
        address: each["infctl"]["id"] for address, each in before.items()
    }
    assert running("output", "-raw", "hello.url").out.startswith("http://127.0.0.1:")


def test_what_was_forgotten_is_taken_back_as_it_runs(running: Shell) -> None:
    before = objects(running)
    assert running("state", "rm", *before).code == 0
    assert running("state", "list").out == ""
    for address, each in before.items():
        assert running("import", address, each["infctl"]["id"]).code == 0
    assert running("plan", "-detailed-exitcode").last == NOTHING
