"""The flags that infctl lets pass for llama-server are in the library of llama.cpp that the embedded engine brings."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from infctl.engines.flag_table import flag_table


@pytest.fixture(scope="module")
def library() -> bytes:
    found = find_spec("xllamacpp")
    assert found is not None
    assert found.origin is not None
    return b"".join(path.read_bytes() for path in Path(found.origin).parent.glob("*.so"))


def test_every_flag_of_the_newest_table_is_known_to_llama_cpp(library: bytes) -> None:
    table = flag_table("llama.cpp")
    names = set(table.names(table.versions[-1]))
    missing = {name for name in names if f"--{name.replace('_', '-')}".encode() not in library}
    assert len(names) > 250
    assert missing == set()
