"""The first hour of a user with a real engine: plan, apply, tokens, a change, a rollback, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openai
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
INFCTL = str(Path(sys.executable).with_name("infctl"))


@dataclass(frozen=True)
class Stack:
    folder: Path

    def infctl(self, *argv: str, code: int = 0) -> str:
        """Run infctl as a user does and return what it printed."""
        left_out = {"CI", "PYTHONPATH", "INFCTL_INPUT", "NO_COLOR"}
        env = {name: value for name, value in os.environ.items() if name not in left_out}
        done = subprocess.run(
            [INFCTL, *argv], cwd=self.folder, env=env, capture_output=True, text=True, check=False, timeout=90
        )
        assert done.returncode == code, (
            f"infctl {' '.join(argv)} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout + done.stderr

    def change(self, old: str, new: str) -> None:
        path = self.folder / "inference.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def processes(self) -> list[str]:
        """Return the command lines that have something to do with this stack's folder."""
        found = []
        for process in psutil.process_iter():
            try:
                line = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if str(self.folder) in line and process.pid != os.getpid():
                found.append(line)
        return found


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    folder = tmp_path / "hello"
    shutil.copytree(ROOT / "stacks" / "hello", folder)
    made = Stack(folder)
    yield made
    if (folder / ".infctl").exists():
        made.infctl("destroy", "-auto-approve")


def stream(url: str) -> list[str]:
    """Return the pieces of one streamed completion, as the openai client gives them."""
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        answer = client.completions.create(model="hello", prompt="infctl is", max_tokens=24, stream=True)
        return [chunk.choices[0].text for chunk in answer if chunk.choices]


@pytest.mark.timeout(180)
def test_from_a_plan_to_tokens_to_a_change_and_back_to_nothing(stack: Stack) -> None:
    planned = stack.infctl("plan")
    assert "model.hello will be created: r1, 1 replica" in planned
    assert "Plan: 3 to add, 0 to change, 0 to destroy." in planned
    assert "inference.lock.yaml now pins hello" in planned

    applied = stack.infctl("apply", "-auto-approve")
    assert "Apply complete! Resources: 3 added, 0 changed, 0 destroyed." in applied
    url = stack.infctl("output", "-raw", "hello.url")
    assert url.endswith("/v1")
    assert url in applied
    assert len("".join(stream(url)).split()) >= 3
    assert "1/1" in stack.infctl("status")

    assert "No changes." in stack.infctl("plan", "-detailed-exitcode")
    assert "No drift." in stack.infctl("drift", "-detailed-exitcode")

    stack.change("max_model_len: 2048", "max_model_len: 1024")
    changed = stack.infctl("plan", "-detailed-exitcode", "-out=change.plan", code=2)
    assert "model.hello will be updated: r1 → r2" in changed
    assert "max_model_len  2048 → 1024" in changed
    assert "the engine reads it once, at its start" in changed
    assert "no downtime" in changed
    shown = json.loads(stack.infctl("show", "-json", "change.plan"))
    actions = {change["address"]: change["change"]["actions"] for change in shown["resource_changes"]}
    assert ["create", "delete"] in actions.values()

    assert "hello r2 serves" in stack.infctl("apply", "change.plan")
    assert stack.infctl("output", "-raw", "hello.url") == url
    assert stream(url)
    assert "error[plan-stale]" in stack.infctl("apply", "change.plan", code=1)

    assert "hello r1 serves" in stack.infctl("rollback", "hello", "-auto-approve")
    held = stack.infctl("plan", "-detailed-exitcode")
    assert "hello is held at r1" in held
    assert "hello r2 serves" in stack.infctl("apply", "-release=hello", "-auto-approve")
    assert stack.infctl("logs", "hello", "-tail", "3").count("\n") == 4

    assert "Destroy complete! Resources: 0 added, 0 changed, 3 destroyed." in stack.infctl("destroy", "-auto-approve")
    assert not stack.processes()
    assert json.loads(stack.infctl("show", "-json"))["values"]["root_module"]["resources"] == []
    assert "nothing to destroy" in stack.infctl("destroy", "-auto-approve")


@pytest.mark.timeout(120)
def test_what_was_killed_by_hand_is_drift_and_apply_mends_it(stack: Stack) -> None:
    stack.infctl("apply", "-auto-approve")
    (replica,) = (
        thing
        for thing in json.loads(stack.infctl("show", "-json"))["values"]["root_module"]["resources"]
        if thing["index"] and "/" in thing["index"]
    )
    run = (
        f"{stack.folder}/.infctl/default/targets/local/run/{replica['infctl']['name']}."  # this stack's, nobody else's
    )
    killed = [p for p in psutil.process_iter() if run in " ".join(_line(p))]
    assert killed
    for process in killed:
        for one in (process, *process.children(recursive=True)):
            one.kill()
    drift = stack.infctl("drift", "-detailed-exitcode", code=2)
    assert replica["address"] in drift
    assert "0/1" in stack.infctl("status")
    stack.infctl("apply", "-auto-approve")
    assert "1/1" in stack.infctl("status")
    assert "No changes." in stack.infctl("plan", "-detailed-exitcode")


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
