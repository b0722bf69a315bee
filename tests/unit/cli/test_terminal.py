"""What happens on a real terminal: the question, the answer, the lines that move; and how wide and coloured it is."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

from infctl.cli.terminal import Terminal
from tests.shell import FAKES, Shell


def talk(shell: Shell, answer: str, *argv: str) -> tuple[int, str]:
    """Run infctl on a terminal of 80 columns, answer its question, and return its exit code and what was seen."""
    ours, theirs = pty.openpty()
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{FAKES.parents[1]}:{FAKES}", "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(
        [sys.executable, "-m", "infctl.cli.main", *argv], cwd=shell.folder, env=env,
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    seen, deadline = "", time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 0.1)[0]:
            continue
        try:
            seen += os.read(ours, 65536).decode()
        except OSError:
            break
        if answer and "Enter a value:" in seen:
            os.write(ours, f"{answer}\n".encode())
            answer = ""
    os.close(ours)
    return process.wait(), seen


def test_yes_is_a_yes_and_steps_move_while_they_run(shell: Shell) -> None:
    code, seen = talk(shell, "yes", "apply")
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen)
    assert code == 0
    assert "Only 'yes' will be accepted to approve." in plain
    assert "Apply complete!" in plain
    assert "\x1b[1m" in seen
    assert "chat r1 serves" in plain


@pytest.mark.parametrize("answer", ["no", "y", "YES"])
def test_anything_else_is_a_no(shell: Shell, answer: str) -> None:
    code, seen = talk(shell, answer, "apply")
    assert (code, "Not approved: nothing was changed." in seen) == (1, True)
    assert not (shell.folder / ".infctl" / "default" / "state.json").exists()


@pytest.mark.parametrize("flag", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_turned_off(shell: Shell, flag: dict[str, str]) -> None:
    made = Terminal.of({"TERM": "xterm", **flag}, color=True)
    assert not made.color
    assert not made.color_errors


def test_no_color_reaches_the_terminal(shell: Shell) -> None:
    _, seen = talk(shell, "", "plan", "-no-color")
    assert "Plan:" in seen
    assert "\x1b[" not in seen


@pytest.mark.parametrize(("env", "width"), [({}, 100), ({"COLUMNS": "72"}, 72), ({"COLUMNS": "wide"}, 100)])
def test_the_width_is_that_of_the_terminal_or_of_a_page(env: dict[str, str], width: int) -> None:
    assert Terminal.of(env, color=False).width == width


def test_the_log_has_every_event(shell: Shell) -> None:
    shell.env["INFCTL_LOG"] = "debug"
    done = shell("plan")
    assert '"type":"change_summary"' in done.err
    assert "Plan: 6 to add" in done.out
