"""docs/reference says what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "scripts/reference.py", "-check"]


def test_the_reference_is_up_to_date() -> None:
    done = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_field_and_every_code_is_explained() -> None:
    for page in ("inference-yaml.md", "errors.md"):
        rows = [line for line in (ROOT / "docs/reference" / page).read_text().splitlines() if line.startswith("| `")]
        assert len(rows) > 60
        unexplained = [row for row in rows if not row.removesuffix(" |").rpartition("| ")[2].strip()]
        assert not unexplained
