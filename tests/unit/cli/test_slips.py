"""Slips that used to pass in silence, or were answered with words that help nobody."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infctl.state.local import LocalStore
from tests.shell import HEAD, Shell


def test_what_infctl_keeps_of_model_files_is_no_workspace(shell: Shell) -> None:
    shell("apply", "-auto-approve")
    (shell.folder / ".infctl" / "cache").mkdir(exist_ok=True)  # made once a file is old enough to be trusted
    assert shell("workspace", "list").out == "* default\n"
    assert "error[bad-workspace]" in shell("workspace", "new", "cache").err


def test_logs_of_a_revision_that_wrote_nothing_say_so(shell: Shell) -> None:
    shell("apply", "-auto-approve")
    done = shell("logs", "chat", "-revision", "7")
    assert (done.code, "error[no-logs]: There are no logs of chat r7" in done.err) == (1, True)
    assert shell("logs", "chat").code == 0


def test_a_lock_that_is_not_held_is_not_asked_about(shell: Shell) -> None:
    done = shell("force-unlock", "abc")
    assert "no lock is held" in done.err
    assert done.out == ""


def test_a_lock_is_not_taken_where_nobody_can_answer(shell: Shell) -> None:
    with LocalStore(Path(shell.folder)).lock("ops", "apply") as lease:
        done = shell("force-unlock", lease.id)
        assert "error[not-approved]" in done.err
        assert "hint: Add -force." in done.err
        assert shell("force-unlock", lease.id, "-force").code == 0


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("plan -out", "Option '-out' requires an argument."),
        ("state push nowhere.json", "hint: check the name"),
        ("state recover", "hint: Add -auto-approve.\n"),
    ],
)
def test_a_mistake_is_answered_with_what_mends_it(shell: Shell, typed: str, said: str) -> None:
    done = shell(*typed.split())
    assert (done.code, said in done.err) == (1, True)


def test_models_are_listed_by_name(shell: Shell) -> None:
    shell.write("zoo: {uri: 'file:m.gguf'}\nchat: {uri: 'file:m.gguf'}")
    shell("apply", "-auto-approve")
    assert [model["name"] for model in json.loads(shell("status", "-json").out)["models"]] == ["chat", "zoo"]


def test_a_replacement_is_called_one_whichever_comes_first(shell: Shell) -> None:
    shell("apply", "-auto-approve")
    shell.write("chat: {uri: 'file:m.gguf', replicas: 2, max_model_len: 64}\nembed: {uri: 'file:m.gguf', task: embed}")
    assert 'fake_process.chat[\\"here/0\\"]: Plan to replace"' in shell("plan", "-json").out


def test_a_target_that_changed_its_type_is_not_taken_for_the_old_one(shell: Shell) -> None:
    shell.write("chat: {uri: 'file:m.gguf'}")
    shell("apply", "-auto-approve")
    shell.write("chat: {uri: 'file:m.gguf'}", HEAD.replace("memory", "local"))
    done = shell("plan")
    assert (done.code, "error[target-changed]" in done.err, "inference.yaml:3" in done.err) == (1, True, True)
    shell.write("chat: {uri: 'file:m.gguf'}", HEAD.replace("{here", "{there"))
    assert "Plan: 3 to add, 0 to change, 3 to destroy." in shell("plan").out


@pytest.mark.parametrize(
    ("words", "found"),
    [("plan -det", ["-detailed-exitcode"]), ("plan -out x --target", ["-target", "-target-file"]), ("pla", ["plan"])],
)
def test_tab_completes_flags_as_they_are_typed(shell: Shell, words: str, found: list[str]) -> None:
    asked = ["infctl", *words.split()]
    env = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
        "_INFCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(asked),
        "COMP_CWORD": str(len(asked) - 1),
    }
    call = "import sys; sys.argv[0] = 'infctl'; from infctl.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", call], env=env, cwd=shell.folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [f"plain,{word}" for word in found]


def test_destroy_in_a_wrong_folder_is_no_success_and_leaves_nothing(tmp_path: Path) -> None:
    done = Shell(tmp_path)("destroy", "-auto-approve")
    assert (done.code, "error[no-state]" in done.err) == (1, True)
    assert not list(tmp_path.iterdir())


def test_what_is_destroyed_already_is_destroyed_again_without_complaint(shell: Shell) -> None:
    shell("apply", "-auto-approve")
    assert shell("destroy", "-auto-approve").code == 0
    (shell.folder / "inference.yaml").unlink()
    assert shell("destroy", "-auto-approve").code == 0
    assert shell("output").out == "No outputs: nothing runs that has any.\n"


def test_destroy_knows_no_flag_that_would_mean_nothing(shell: Shell) -> None:
    assert "infctl destroy has no flag -upgrade" in shell("destroy", "-upgrade").err
