"""Whatever is done to a model file, reading its header ends quickly, in facts or in one clear error."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from infctl.diagnostics import Diagnostic, InfctlError
from infctl.engines.gguf import Header, read_header
from infctl.engines.shape import shape_of
from tests.tiny_gguf import write_tiny_gguf

HEAD = 9_000  # bytes: all metadata and the list of tensors
NASTY = st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\xff" * 4, b"\x09\0\0\0", b"\x7f" * 8, b"\xff\xff\xff\x7f", b"\x01"])


@cache
def good() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_tiny_gguf(Path(folder) / "tiny.gguf").read_bytes()


@given(
    st.lists(st.tuples(st.integers(0, HEAD), st.one_of(NASTY, st.binary(min_size=1, max_size=9))), max_size=4),
    st.integers(0, HEAD * 2),
)
@settings(max_examples=250)
def test_a_mutated_header_is_read_or_refused(edits: list[tuple[int, bytes]], cut: int) -> None:
    data = bytearray(good())
    for offset, put in edits:
        data[offset : offset + len(put)] = put
    if cut < HEAD:
        del data[cut:]
    with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
        file.write(data)
        file.flush()
        header, problems = read(Path(file.name))
    if header is None:
        assert [problem.code for problem in problems] == ["bad-model-file"]
        assert "\n" not in problems[0].detail
        return
    assert header.weights >= 0
    assert isinstance(header.quantization, str)
    shape_of(header)


def read(path: Path) -> tuple[Header | None, tuple[Diagnostic, ...]]:
    try:
        return read_header(path), ()
    except InfctlError as refused:
        return None, refused.diagnostics
