"""`lock`: what runs is pinned, why it changed is said, and nothing else is touched."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from tests.shell import Shell
from tests.tiny_gguf import write_tiny_gguf

ENGINE = version("xllamacpp")


@pytest.fixture
def locked(shell: Shell) -> Shell:
    assert shell("lock").code == 0
    return shell


def text(shell: Shell) -> str:
    return (shell.folder / "inference.lock.yaml").read_text()


def test_a_first_lock_pins_every_model(shell: Shell) -> None:
    done = shell("lock")
    assert done.code == 0
    chat, embed, _, last = done.out.splitlines()
    assert chat.startswith(f"+ chat on here  llama.cpp {ENGINE} · file:m.gguf @ ")
    assert embed.startswith(f"+ embed on here llama.cpp {ENGINE} · file:m.gguf @ ")
    assert last == "Wrote inference.lock.yaml: it pins 2 models. Commit it."
    shell.env["CI"] = "true"
    assert shell("plan").code == 0


def test_a_second_lock_changes_nothing(locked: Shell) -> None:
    before = text(locked)
    assert locked("lock").out == "inference.lock.yaml is up to date: it pins 2 models.\n"
    assert text(locked) == before


def test_a_change_is_said_with_its_reason_and_only_where_it_was_asked_for(locked: Shell) -> None:
    write_tiny_gguf(locked.folder / "other.gguf", seed=5)
    locked.write(
        "chat: {uri: 'file:other.gguf'}\nembed: {uri: 'file:other.gguf', task: embed}\nnew: {uri: 'file:m.gguf'}"
    )
    done = locked("lock", "model.chat")
    assert "~ chat on here uri file:m.gguf → file:other.gguf\n" in done.out
    assert "embed" not in done.out
    assert text(locked).count("file:other.gguf") == 1
    assert "embed on here" in locked("lock").out


def test_what_left_the_stack_leaves_the_file(locked: Shell) -> None:
    locked.write("chat: {uri: 'file:m.gguf'}")
    done = locked("lock")
    assert "- embed on here left the stack\n" in done.out
    assert "embed" not in text(locked)


def test_a_newer_engine_is_taken_only_on_request(locked: Shell) -> None:
    path = locked.folder / "inference.lock.yaml"
    path.write_text(text(locked).replace(ENGINE, "2020.1.1"))
    done = locked("lock")
    assert f"llama.cpp {ENGINE} is installed and was not taken for chat, embed. To take it:\n" in done.out
    assert done.last == "    infctl lock chat embed -upgrade"
    assert "2020.1.1" in text(locked)
    assert f"not ok  {ENGINE} is installed, 2020.1.1 is pinned" in locked("doctor").out
    taken = locked("lock", "-upgrade", "chat")
    assert f"llama.cpp 2020.1.1 → {ENGINE}" in taken.out
    assert text(locked).count("2020.1.1") == 1


def test_an_unknown_model_is_refused_before_anything_is_written(shell: Shell) -> None:
    done = shell("lock", "chta")
    assert done.code == 1
    assert "error[unknown-model]: There is no model chta" in done.err
    assert 'did you mean "chat"?' in done.err
    assert not (shell.folder / "inference.lock.yaml").exists()
