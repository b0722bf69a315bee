"""Secrets that an earlier revision was given: going back to it needs them, whatever the file says now."""

from __future__ import annotations

import pytest

from infctl.plan.file import read_plan
from tests.shell import HEAD, Shell

SECRET = HEAD.replace("models:", "secrets: {hf: {env: HF}}\nmodels:")
CHAT = "chat: {uri: 'file:m.gguf', timeouts: {ready: 5s}%s}"
WITH_SECRET = CHAT % ", env: {TOKEN: 'secret://hf'}"


def test_a_rollback_to_a_secret_that_the_file_dropped_says_so(shell: Shell) -> None:
    shell.env["HF"] = "hunter2-hunter2"
    shell.write(WITH_SECRET, SECRET)
    assert shell("apply", "-auto-approve").code == 0
    shell.write(CHAT % "")
    assert shell("apply", "-auto-approve").code == 0
    done = shell("rollback", "chat", "-auto-approve")
    assert (done.code, "error[secret-unavailable]" in done.err) == (1, True)
    assert "declare it again: secrets: {hf: {env: HF}}" in done.err
    shell.write(CHAT % "", SECRET)
    assert shell("rollback", "chat", "-auto-approve").code == 0


def test_a_plan_knows_where_secrets_come_from_that_only_its_undo_needs(shell: Shell) -> None:
    shell.env["HF"] = "hunter2-hunter2"
    shell.write(WITH_SECRET, SECRET)
    assert shell("apply", "-auto-approve").code == 0
    shell.write(CHAT % "", SECRET)
    shell("plan", "-out", "next.plan")
    assert read_plan(shell.folder / "next.plan").secrets == {"hf": {"env": "HF"}}


def test_a_secret_that_cannot_be_had_stops_a_run_before_its_first_step(shell: Shell) -> None:
    shell.write(f"embed: {{uri: 'file:m.gguf', task: embed}}\n{WITH_SECRET}", SECRET)
    done = shell("apply", "-auto-approve")
    assert (done.code, "error[secret-unavailable]" in done.err) == (1, True)
    assert "error[no-state]" in shell("state", "list").err


@pytest.mark.parametrize(
    ("source", "says", "hint"),
    [
        ("{env: HF}", "the environment variable HF is not set", "export HF=…"),
        ("{file: no/such}", "no/such: No such file or directory", "write the file"),
        ("{command: ['false']}", "false ended with 1", "run it by hand"),
    ],
)
def test_a_plan_warns_of_a_secret_that_apply_would_miss(shell: Shell, source: str, says: str, hint: str) -> None:
    head = SECRET.replace("{env: HF}", source)
    shell.write(WITH_SECRET, head)
    done = shell("plan")
    assert done.code == 0
    assert "warning[secret-unavailable]: The secret hf cannot be had now" in done.out
    assert says in done.out
    assert hint in done.out
    assert "until then apply refuses to start" in " ".join(done.out.split())


def test_a_plan_says_nothing_of_secrets_that_nothing_changed_needs(shell: Shell) -> None:
    shell.env["HF"] = "hunter2-hunter2"
    shell.write(WITH_SECRET, SECRET)
    first = shell("apply", "-auto-approve")
    assert "warning" not in first.out
    assert "hunter2" not in first.out
    del shell.env["HF"]
    assert "warning" not in shell("plan").out
