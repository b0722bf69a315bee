"""How fmt lays a file out: examples, and that it never touches what a file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.diagnostics import InfctlError
from infctl.spec.format import format_text

CASES = Path(__file__).parents[2] / "cases"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a:   1\n", "a: 1\n"),
        ("a : 1", "a: 1\n"),
        ("a:\n        b: 1\n        c:\n         d: 2\n", "a:\n  b: 1\n  c:\n    d: 2\n"),
        ("a:\n- 1\n-   2\n", "a:\n  - 1\n  - 2\n"),
        ("a:\n-   b: 1\n    c: 2\n- d\n", "a:\n  - b: 1\n    c: 2\n  - d\n"),
        ("a:\n- - 1\n  - 2\n", "a:\n  - - 1\n    - 2\n"),
        ("a: { b: 1,c : [ 2 ,3 ] }\n", "a: {b: 1, c: [2, 3]}\n"),
        ('a: {"b":1}\n', 'a: {"b": 1}\n'),
        ("a: [1,\n        2,\n    ]\n", "a: [1,\n  2,\n]\n"),
        ("a: 'b'\nc: 'it''s'\nd: 'say \"x\"'\n", "a: \"b\"\nc: 'it''s'\nd: 'say \"x\"'\n"),
        ("\n\na: 1\n\n\n\nb: 2\n\n\n", "a: 1\n\nb: 2\n"),
        ("a: 1   \nb: 2\t\n", "a: 1\nb: 2\n"),
        ("a: 1 # x\n", "a: 1  # x\n"),
        ("a: 1          # x\nb: 222        # y\n", "a: 1          # x\nb: 222        # y\n"),
        ("a:     1      # x\n", "a: 1          # x\n"),
        ("a:\n    # about b\n    b: 1\n# about c\nc: 2\n", "a:\n  # about b\n  b: 1\n# about c\nc: 2\n"),
        ("a:\n# about b\n    b: 1\n    # still in a\nc: 2\n", "a:\n  # about b\n  b: 1\n  # still in a\nc: 2\n"),
        ("a: |\n      x\n\n        y\nb: 1\n", "a: |\n  x\n\n    y\nb: 1\n"),
        ("a: |2\n    x\n   y\nb: 1\n", "a: |2\n    x\n   y\nb: 1\n"),
        ("a: |+\n    x\n\n\nb: 1\n", "a: |+\n  x\n\n\nb: 1\n"),
        ("a: >-   # why\n    x\n    y\n\n\nb: 1\n", "a: >-   # why\n  x\n  y\n\nb: 1\n"),
        ("a: one\n     two\n", "a: one\n  two\n"),
        ('a: "one\n     two"\n', 'a: "one\n  two"\n'),
        ("a: &x {b: 1}\nc:   *x\n", "a: &x {b: 1}\nc: *x\n"),
        ("a: 1\r\nb: 2\r\n", "a: 1\nb: 2\n"),
        ("\ufeffa: 1\n", "a: 1\n"),
        ("---\na:  1\n...\n", "---\na: 1\n...\n"),
        ("a:\n    1\n", "a:\n  1\n"),
        ("# only words\n", "# only words\n"),
        ("", ""),
        ("{a: 1,\nb: 2}\n", "{a: 1,\n  b: 2}\n"),
    ],
)
def test_one_layout(before: str, after: str) -> None:
    assert format_text(before.encode(), "a.yaml") == after
    assert format_text(after.encode(), "a.yaml") == after


@pytest.mark.parametrize("name", ["hello.yaml", "north-star.yaml"])
def test_a_file_that_is_well_laid_out_stays(name: str) -> None:
    text = (CASES / name).read_text()
    changed = [
        (old, new)
        for old, new in zip(text.splitlines(), format_text(text.encode(), name).splitlines(), strict=False)
        if old != new
    ]
    kept = [
        (old.split("#")[0].rstrip(), old.split("#")[1]) == (new.split("#")[0].rstrip(), new.split("#")[1])
        for old, new in changed
    ]
    assert all(kept)
    assert len(changed) <= 1


def test_what_is_no_yaml_is_told_and_not_laid_out() -> None:
    with pytest.raises(InfctlError) as failed:
        format_text(b"a: [\n", "a.yaml")
    assert failed.value.diagnostics[0].code == "yaml-syntax"


def test_a_layout_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(InfctlError) as failed:
        format_text(b'a: "x\\ \n  y"\n', "a.yaml")
    assert failed.value.diagnostics[0].code == "cannot-format"
