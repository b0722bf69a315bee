"""Every stack that `init -stack` offers runs as it is: each model answers, and nothing is left to change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from infctl.ops.init import stacks

INFCTL = str(Path(sys.executable).with_name("infctl"))
ENV = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTHONPATH", "INFCTL_INPUT"}}


def infctl(folder: Path, *argv: str, code: int = 0) -> str:
    done = subprocess.run([INFCTL, *argv], cwd=folder, env=ENV, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def ask(url: str, **body: object) -> Any:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def assert_answers(name: str, task: str, url: str) -> None:
    if task == "embed":
        said = ask(f"{url}/embeddings", model=name, input=["a plan", "a receipt"])
        one, other = (each["embedding"] for each in said["data"])
        assert len(one) == len(other) > 1
        assert one != other
    else:
        said = ask(f"{url}/completions", model=name, prompt="infctl is", max_tokens=8)
        assert said["choices"][0]["text"].strip()


def test_there_is_more_than_the_first_stack() -> None:
    assert {"hello", "chat-and-embed"} <= set(stacks())


@pytest.mark.parametrize(
    "name", sorted(set(stacks()) - {"rack", "burst"})
)  # these need hosts and an account: see test_rack, test_aws
def test_a_stack_runs_as_it_is(name: str, tmp_path: Path) -> None:
    infctl(tmp_path, "init", "-stack", name)
    models = yaml.safe_load((tmp_path / "inference.yaml").read_text())["models"]
    infctl(tmp_path, "plan", "-detailed-exitcode", code=2)
    try:
        infctl(tmp_path, "apply", "-auto-approve")
        for model, fields in models.items():
            url = infctl(tmp_path, "output", "-raw", f"{model}.url").strip()
            assert_answers(model, fields.get("task", "generate"), url)
        assert "No changes." in infctl(tmp_path, "plan", "-detailed-exitcode")
    finally:
        assert "Destroy complete!" in infctl(tmp_path, "destroy", "-auto-approve")


@pytest.mark.parametrize("name", sorted(stacks()))
def test_a_stack_says_what_it_shows(name: str) -> None:
    folder = stacks()[name]
    assert (folder / "inference.yaml").read_text().startswith("# ")
    assert f"init -stack {name}" in (folder / "README.md").read_text() or name == "hello"
