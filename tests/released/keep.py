"""Keeps what this version of infctl leaves behind: `python -m tests.released.keep`, once for each release.

Applies `stack.yaml` twice, with a change in between, over the pretend place of tests/fakes, and copies file, lock
file, state and world into a folder named for the version. `test_released` plans each of them with today's code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from infctl import __version__

HERE = Path(__file__).parent
FAKES = HERE.parent / "fakes"
KEPT = {  # name in the kept folder: place in the stack's
    "inference.yaml": "inference.yaml",
    "inference.lock.yaml": "inference.lock.yaml",
    "state.json": ".infctl/default/state.json",
    "world.jsonl": ".infctl/default/targets/here/world-here.jsonl",
}


def infctl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run infctl in `folder` with the pretend places installed."""
    env = {**os.environ, "PYTHONPATH": f"{FAKES}{os.pathsep}{HERE.parent.parent}"}
    env.pop("CI", None)
    command = [sys.executable, "-m", "infctl.cli.main", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = (HERE / "stack.yaml").read_text()
        for each in (text, text.replace("LEVEL: info", "LEVEL: debug")):
            (folder / "inference.yaml").write_text(each)
            done = infctl(folder, "apply", "-auto-approve")
            if done.returncode:
                print(done.stdout, done.stderr)
                return 1
        kept = HERE / __version__
        kept.mkdir(exist_ok=True)
        for to, place in KEPT.items():
            shutil.copyfile(folder / place, kept / to)
    print(f"kept {kept}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
