"""docs/tutorial.md, word for word: every command of its ```console blocks, and what it is said to print.

A line of `…` alone stands for any lines, `…` within a line for any text.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.needs import need_command

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"\$ (?P<heredoc>.*<<'END'\n(?:.*\n)*?END\n)|\$ (?P<plain>(?:.*\\\n)*.*\n)")
MARK = "=====next====="


@dataclass(frozen=True)
class Step:
    command: str
    shown: str


def steps(page: str) -> Iterator[Step]:
    for block in BLOCK.findall(page):
        found = list(COMMAND.finditer(block))
        starts = [each for each in found if each.start() == 0 or block[each.start() - 1] == "\n"]
        ends = [each.start() for each in starts[1:]] + [len(block)]
        for each, end in zip(starts, ends, strict=True):
            yield Step(each["heredoc"] or each["plain"], block[each.end() : end])


def pattern(shown: str) -> str:
    """Return the regular expression of what a page shows; a step that takes long tells how long."""
    lines = shown.rstrip("\n").split("\n") if shown.strip() else []
    wild, took = "(?:.*\n)*?", r"(?:  [\dm.]+s)? *\n"
    return "".join(wild if line == "…" else ".*".join(map(re.escape, line.split("…"))) + took for line in lines)


def test_every_command_of_the_tutorial_prints_what_the_tutorial_shows(tmp_path: Path) -> None:
    need_command("curl")
    told = list(steps(PAGE.read_text()))
    assert len(told) > 25
    # The code is put back after each mark, so that `echo $?` of the page sees that of the command before.
    script = "".join(f"{each.command}\n{{ code=$?; echo; echo {MARK}; (exit $code); }}\n" for each in told)
    left_out = {"CI", "COLUMNS"}  # a person sits there, before a pipe
    env = {k: v for k, v in os.environ.items() if not k.startswith("INFCTL_") and k not in left_out}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    try:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    finally:
        subprocess.run(["infctl", "destroy", "-auto-approve"], cwd=tmp_path / "hello", env=env, check=False)
    printed = done.stdout.split(f"\n{MARK}\n")[:-1]
    wrong = [
        f"$ {step.command}-- expected --\n{step.shown}-- printed --\n{text}"
        for step, text in zip(told, printed, strict=True)
        if not re.fullmatch(pattern(step.shown), text.rstrip("\n") + "\n" if text.strip() else "")
    ]
    assert not wrong, "\n\n".join(wrong)
