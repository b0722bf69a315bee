"""Every damage of `engines/bad_gguf.yaml`, with the words it is refused with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from infctl.diagnostics import InfctlError
from infctl.engines.gguf import read_header
from tests.tiny_gguf import write_tiny_gguf

CASES = [
    pytest.param(case, id=case["name"])
    for case in yaml.safe_load((Path(__file__).parent / "engines" / "bad_gguf.yaml").read_text())
]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf").read_bytes()


@pytest.mark.parametrize("case", CASES)
def test_a_damaged_file_says_how(case: Mapping[str, Any], good: bytes, tmp_path: Path) -> None:
    data = bytearray(case["text"].encode() if "text" in case else good)
    for offset, put in case.get("put", {}).items():
        patch = bytes.fromhex(put)
        data[offset : offset + len(patch)] = patch
    path = tmp_path / "model.gguf"
    path.write_bytes(data[: case.get("cut", len(data))])
    with pytest.raises(InfctlError) as caught:
        read_header(path)
    (problem,) = caught.value.diagnostics
    assert problem.code == "bad-model-file"
    assert case["says"] in problem.detail
    assert problem.hint
