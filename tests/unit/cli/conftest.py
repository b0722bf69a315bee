"""A stack of pretend processes for the tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shell import Shell
from tests.tiny_gguf import write_tiny_gguf


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    write_tiny_gguf(tmp_path / "m.gguf")
    made = Shell(tmp_path)
    made.write("chat: {uri: 'file:m.gguf', replicas: 2}\nembed: {uri: 'file:m.gguf', task: embed}")
    return made
