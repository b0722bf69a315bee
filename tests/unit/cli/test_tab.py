"""What Tab offers, asked as a shell asks it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shell import FAKES, Shell


def tab(folder: Path, *words: str) -> list[str]:
    """Return what is offered for the last of `words`."""
    line = " ".join(("infctl", *words))
    asked = {"_INFCTL_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    env = {**os.environ, **asked, "PYTHONPATH": str(FAKES)}
    code = "from infctl.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert not done.stderr
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("logs", ""), ["chat", "embed"]),
        (("rollback", "c"), ["chat"]),
        (("restart", "z"), []),
        (("apply", "-retry", "e"), ["embed"]),
        (("plan", "-target", "model."), ["model.chat", "model.embed"]),
        (("plan", "--target", "target."), ["target.here"]),
        (("destroy", "-exclude", "fake_process.e"), ['fake_process.embed["here/0"]']),
        (("destroy", "-refr"), ["-refresh"]),
        (("destroy", "-up"), []),
    ],
)
def test_tab_offers_what_state_knows(shell: Shell, words: tuple[str, ...], offered: list[str]) -> None:
    shell("apply", "-auto-approve")
    assert tab(shell.folder, *words) == offered


def test_tab_says_nothing_where_there_is_no_stack(tmp_path: Path) -> None:
    assert tab(tmp_path, "logs", "") == []
    assert not list(tmp_path.iterdir())
