"""Every bad lock file of `desired/bad_lock.yaml`, with the exact words it is refused with, and where."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from infctl.desired.lockfile import LOCK_FILE, lock_text, read_lock
from infctl.diagnostics import InfctlError
from infctl.engines.pin import Pin

PIN = Pin("llama.cpp", "2026.10.11549", "file:models/hello.gguf", "ab" * 32, 1_559_584, "Q8_0", "0123456789abcdef")
GOOD = lock_text({("hello", "local"): PIN})
CASES = [
    pytest.param(case, id=case["name"])
    for case in yaml.safe_load((Path(__file__).parent / "desired" / "bad_lock.yaml").read_text())
]


@pytest.mark.parametrize("case", CASES)
def test_a_bad_lock_file_says_where_and_why(case: Mapping[str, Any], tmp_path: Path) -> None:
    text = case.get("text", GOOD)
    if "replace" in case:
        old, new = case["replace"]
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / LOCK_FILE
    path.write_text(text)
    with pytest.raises(InfctlError) as caught:
        read_lock(path)
    said = []
    for problem, expected in zip(caught.value.diagnostics, case["says"], strict=True):
        assert problem.code == case.get("code", "bad-lock-file")
        assert problem.hint
        said.append(f"{problem.span} {problem.detail}" + (f" | {problem.hint}" if " | " in expected else ""))
    assert said == case["says"]


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"version: 1\nmodels: {}\n# \xff\n", "line 3 is not UTF-8"), (b"version: 1\n\0\n", "expected KEY: VALUE")],
)
def test_what_is_not_text_is_refused(data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / LOCK_FILE
    path.write_bytes(data)
    with pytest.raises(InfctlError) as caught:
        read_lock(path)
    assert caught.value.diagnostics[0].detail.startswith(says)
