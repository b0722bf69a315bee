"""A stack with one local target, for each test its own; ended afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.local.stack import MODEL, SERVER, LocalStack, stack_in
from tests.tiny_gguf import write_tiny_gguf


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    write_tiny_gguf(tmp_path / MODEL, context_length=512)
    (tmp_path / "serve.py").write_text(SERVER, "utf-8")
    with stack_in(tmp_path) as made:
        yield made
