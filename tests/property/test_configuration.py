"""Whatever a file holds, it is a stack or told in diagnostics, and soon; and fmt never changes what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from infctl.diagnostics import Code, Diagnostic, InfctlError
from infctl.spec.assemble import load_stack
from infctl.spec.format import format_text
from infctl.spec.loader import load_bytes
from infctl.spec.stack import Inputs
from tests.fakes.target_types import FakeTypes

CASES = Path(__file__).parents[1] / "cases"
SEEDS = [path.read_bytes() for path in sorted((CASES / "spec" / "bad").glob("*.yaml"))]
SEEDS += [(CASES / name).read_bytes() for name in ("north-star.yaml", "hello.yaml")]
WORDS = st.sampled_from((CASES / "spec" / "words.txt").read_text().split())  # of YAML, and of the language
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(WORDS | st.text(), inner), max_leaves=25)


def told(data: bytes, folder: Path) -> tuple[Diagnostic, ...]:
    """Return what is said of a file; nothing when it is a stack."""
    (folder / "inference.yaml").write_bytes(data)
    try:
        load_stack(Inputs(folder), FakeTypes())
    except InfctlError as failed:
        return failed.diagnostics or pytest.fail("refused without a word")
    return ()


def laid_out(data: bytes) -> str | Code:
    """Return the text that fmt makes, or the code of its refusal."""
    try:
        return format_text(data, "inference.yaml")
    except InfctlError as refused:
        return refused.diagnostics[0].code


def check(data: bytes, folder: Path) -> None:
    for each in told(data, folder):
        assert each.summary
        assert f"{each.summary}{each.detail}{each.hint}{each.path}".isprintable()
        if each.span is not None:
            assert min(each.span.line, each.span.column, each.span.length) >= 1
    check_layout(data)


def check_layout(data: bytes) -> None:
    before, text = load_bytes(data, "a")[0], laid_out(data)
    if before is None or isinstance(text, Code):
        assert text == "cannot-format" or before is None
        return
    after, _ = load_bytes(text.encode(), "a")
    assert after is not None
    assert json.dumps(before.value) == json.dumps(after.value)
    assert laid_out(text.encode()) == text


@settings(max_examples=150)
@given(data=st.binary(max_size=300))
def test_any_bytes(tmp_path_factory: Any, data: bytes) -> None:
    check(data, tmp_path_factory.mktemp("any"))


@settings(max_examples=150)
@given(parts=st.lists(WORDS | st.sampled_from([" ", "  ", "\n", "\n  ", ": ", "- "]), max_size=40))
def test_any_words_in_any_order(tmp_path_factory: Any, parts: list[str]) -> None:
    check("".join(parts).encode(), tmp_path_factory.mktemp("words"))


@settings(max_examples=150)
@given(data=st.data())
def test_any_file_with_something_cut_out_or_put_in(tmp_path_factory: Any, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(SEEDS))
    at, cut = data.draw(st.integers(0, len(seed))), data.draw(st.integers(0, 30))
    put = data.draw(WORDS.map(str.encode) | st.binary(max_size=3) | st.sampled_from([b"\n", b"  ", b"\t"]))
    check(seed[:at] + put + seed[at + cut :], tmp_path_factory.mktemp("cut"))


@settings(max_examples=150)
@given(models=VALUES, variables=VALUES, targets=VALUES, other=VALUES)
def test_any_values_anywhere(tmp_path_factory: Any, models: Any, variables: Any, targets: Any, other: Any) -> None:
    whole = {"apiVersion": "infctl/v1", "name": "shop", "models": models, "variables": variables, "targets": targets}
    whole["models"] = {"chat": models, "next": {"like": "chat", "uri": other}}
    text = yaml.safe_dump(whole, allow_unicode=True, sort_keys=False)
    check(text.encode(errors="replace"), tmp_path_factory.mktemp("values"))


@settings(max_examples=150)
@given(
    value=st.dictionaries(st.text(), VALUES), flow=st.sampled_from([None, True, False]), width=st.sampled_from([20, 80])
)
def test_a_dumped_file_can_be_laid_out(value: Any, flow: bool | None, width: int) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, width=width, sort_keys=False, allow_unicode=True)
    check_layout(text.encode(errors="replace"))
