"""Whatever a merge or an editor does to a lock file, it is read the same way twice or refused with a line."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from infctl.desired.lock_reader import LockReader
from infctl.desired.lockfile import lock_text, read_lock
from infctl.diagnostics import InfctlError
from infctl.engines.pin import Key, Pin

PIN = Pin("llama.cpp", "2026.10", "file:models/m.gguf", "ab" * 32, 1_559_584, "Q8_0", "0123456789abcdef")
GOOD = lock_text({("chat", "here"): PIN, ("chat", "there"): Pin("custom"), ("embed", "here"): PIN})
LINES = GOOD.split("\n")
PIECES = st.one_of(
    st.sampled_from(LINES), st.text(max_size=12), st.sampled_from(["", "  x:", "    y:", "\t", "#", '"'])
)
EDITS = st.lists(
    st.tuples(st.integers(0, len(LINES) - 1), st.sampled_from(["put", "drop", "swap"]), PIECES), max_size=4
)


@given(EDITS)
@settings(max_examples=150)
def test_an_edited_lock_file_is_read_or_refused(edits: list[tuple[int, str, str]]) -> None:
    lines = list(LINES)
    for at, what, piece in edits:
        if what == "put":
            lines.insert(at, piece)
        elif what == "swap":
            lines[at % len(lines)] = piece
        elif len(lines) > 1:
            del lines[at % len(lines)]
    text = "\n".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inference.lock.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        found = read(path)
    assert found == slowly(text)  # reading quickly what looks untouched is no other reading


def read(path: Path) -> dict[Key, Pin] | None:
    try:
        return dict(read_lock(path))
    except InfctlError as refused:
        check(refused)
        return None


def slowly(text: str) -> dict[Key, Pin] | None:
    try:
        return dict(LockReader("inference.lock.yaml").read(text.split("\n")))
    except InfctlError as refused:
        check(refused)
        return None


def check(refused: InfctlError) -> None:
    for problem in refused.diagnostics:
        if problem.code not in {"bad-lock-file", "lock-too-new"} or problem.span is None or not problem.hint:
            raise refused
