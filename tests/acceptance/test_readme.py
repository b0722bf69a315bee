"""README's first command, as written, on a copy of the sources: nothing there before but Python and pip."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".tox", ".cache", ".*_cache", "__pycache__", "tests", ".hypothesis")


@pytest.mark.timeout(300)
def test_the_quickstart_installs_serves_and_leaves_nothing_running(tmp_path: Path) -> None:
    copy = tmp_path / "infctl"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        [sys.executable, "scripts/quickstart.py"], cwd=copy, env=env, capture_output=True, text=True, check=False
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    order = ["infctl init", "infctl plan", "Plan: 3 to add", "Apply complete!", "No changes.", "Destroy complete!"]
    places = [said.index(each) for each in order]
    assert places == sorted(places), said
    answer = said[said.index("curl -N") :].splitlines()[1]
    assert len(re.findall(r"[A-Za-z]{2,}", answer)) >= 3, f"no words in {answer!r}"
    assert (copy / ".venv" / "bin" / "infctl").exists()
