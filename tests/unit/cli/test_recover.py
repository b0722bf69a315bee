"""A lost state comes back from what runs; nothing else is done before, and nothing is left to do afterwards."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.shell import Shell


@pytest.fixture
def applied(shell: Shell) -> Shell:
    assert shell("apply", "-auto-approve").code == 0
    return shell


def lose(shell: Shell, *names: str) -> None:
    for name in names:
        path = shell.folder / ".infctl/default" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    "lost", [("state.json",), ("state.json", "state.json.backup", "history", "journal.jsonl", "fence")]
)
def test_a_state_that_is_gone_is_named_and_comes_back(applied: Shell, lost: tuple[str, ...]) -> None:
    outputs = applied("output").out
    lose(applied, *lost)
    for refused in (applied("plan"), applied("apply", "-auto-approve"), applied("destroy", "-auto-approve")):
        assert refused.code == 1
        assert "error[state-lost]" in refused.err
        assert "infctl state recover" in refused.err
    done = applied("state", "recover", "-auto-approve")
    assert done.code == 0
    assert 'fake_process.chat["here/1"] acme-chat-r1-1 r1' in " ".join(done.out.split())
    assert "chat: what r1 was made of is not known, so no rollback goes to it" in done.out
    assert "with 6 objects and 2 models: chat r1, embed r1." in done.out
    assert applied("plan", "-detailed-exitcode").last == "No changes. What runs is what the file asks for."
    assert applied("output").out == outputs
    assert "6 destroyed" in applied("destroy", "-auto-approve").out
    assert applied("state", "list").out == ""


@pytest.mark.parametrize("keep", [0, 40, -1])
def test_a_torn_state_comes_back(applied: Shell, keep: int) -> None:
    path = applied.folder / ".infctl/default/state.json"
    path.write_bytes(path.read_bytes()[:keep])
    assert "error[state-damaged]" in applied("plan").err
    done = applied("state", "recover", "-auto-approve")
    assert "state.json is damaged" in done.out
    assert applied("plan", "-detailed-exitcode").code == 0


def test_without_a_yes_nothing_is_stored(applied: Shell) -> None:
    lose(applied, "state.json")
    refused = applied("state", "recover")
    assert refused.code == 1
    assert "error[not-approved]" in refused.err
    assert not (applied.folder / ".infctl/default/state.json").exists()


def test_a_whole_state_has_nothing_to_recover(applied: Shell) -> None:
    before = applied("state", "pull").out
    done = applied("state", "recover", "-auto-approve")
    assert (done.code, done.out) == (0, "Nothing to recover: state has everything that runs.\n")
    assert applied("state", "pull").out == before


def test_where_nothing_ever_ran_there_is_nothing_to_recover(shell: Shell) -> None:
    done = shell("state", "recover", "-auto-approve")
    assert done.code == 1
    assert "error[nothing-to-recover]" in done.err


def test_a_backup_is_enough_where_the_file_is_gone(applied: Shell) -> None:
    assert applied("restart", "chat", "-auto-approve").code == 0  # so that the backup knows what runs
    lose(applied, "state.json")
    (applied.folder / "inference.yaml").unlink()
    assert applied("state", "recover", "-auto-approve").code == 0
    assert "6 destroyed" in applied("destroy", "-auto-approve").out


def test_objects_of_two_lineages_have_to_be_told_apart(applied: Shell) -> None:
    first = json.loads(applied("state", "pull").out)["lineage"]
    world = applied.folder / ".infctl/default/targets/here/world-here.jsonl"
    text = world.read_text()
    other = json.loads(text.splitlines()[-1])
    other["put"]["id"] = other["put"]["labels"]["id"] = "other"
    other["put"]["labels"]["lineage"] = "another-lineage"
    world.write_text(f"{text}{json.dumps(other)}\n")
    lose(applied, "state.json", "state.json.backup", "history", "journal.jsonl")
    refused = applied("state", "recover", "-auto-approve")
    assert "error[ambiguous-lineage]" in refused.err
    assert applied("state", "recover", "-auto-approve", f"-lineage={first}").code == 0
    assert applied("plan", "-detailed-exitcode").code == 0
