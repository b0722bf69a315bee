"""Bytes to plain values: what is taken, what is refused, and how soon."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from infctl.spec.loader import MOST_BYTES, MOST_DEPTH, load, load_bytes


def value_of(text: str) -> object:
    source, problems = load_bytes(text.encode(), "a.yaml")
    assert not problems
    assert source is not None
    return source.value


def problem_of(data: bytes) -> tuple[str, str, str]:
    source, (problem,) = load_bytes(data, "a.yaml")
    assert source is None
    return str(problem.code), problem.detail, str(problem.span or "")


def test_values_have_the_types_of_yaml_1_2() -> None:
    text = 'a: 1\nb: [1.5, true, ~, "2", yes, 2026-11-21]\nc:\n  d: |\n    two\n    lines\n'
    assert value_of(text) == {"a": 1, "b": [1.5, True, None, "2", "yes", "2026-11-21"], "c": {"d": "two\nlines\n"}}


def test_keys_are_always_text() -> None:
    assert value_of("1: a\ntrue: b\n~: c\non: d\n") == {"1": "a", "true": "b", "~": "c", "on": "d"}


def test_aliases_stand_for_their_anchors() -> None:
    assert value_of("a: &x [1, 2]\nb: *x\nc: &y text\nd: *y\n") == {"a": [1, 2], "b": [1, 2], "c": "text", "d": "text"}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n", "\ufeff"])
def test_a_file_may_say_nothing(text: str) -> None:
    assert value_of(text) == {}


def test_windows_files_are_read_and_their_lines_counted() -> None:
    _, (problem,) = load_bytes("\ufeffa: 1\r\nb: 2\r\na: 3\r\n".encode(), "a.yaml")
    assert (problem.code, problem.detail, str(problem.span)) == (
        "duplicate-key",
        "the first is on line 1",
        "a.yaml:3:1",
    )


@pytest.mark.parametrize(
    ("data", "detail", "span"),
    [
        (b"a: 1\nb: \x00\n", "a NUL character", "a.yaml:2:4"),
        (b"a: 1\nb: \x1b[31m\n", "the control character U+001B", "a.yaml:2:4"),
        (b"a: \xff\n", "byte 0xff is not UTF-8", "a.yaml:1:4"),
        ("a: b\nö: ".encode() + b"\xc3\n", "byte 0xc3 is not UTF-8", "a.yaml:2:4"),
        ("a: 1".encode("utf-16"), "the file is UTF-16", ""),
        ("\u202e: 1\ufffe".encode(), "the control character U+FFFE", "a.yaml:1:5"),
    ],
)
def test_what_is_no_text_is_told_with_its_place(data: bytes, detail: str, span: str) -> None:
    code, found, where = problem_of(data)
    assert (code, found) == ("bad-encoding", detail)
    assert not span or where == span


def test_a_file_of_10_mb_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "inference.yaml"
    path.write_bytes(b"a: [" + b"1, " * 3_400_000 + b"]")
    started = time.monotonic()
    source, (problem,) = load(path, "inference.yaml")
    assert time.monotonic() - started < 10
    assert source is None
    assert (problem.code, problem.detail) == ("file-too-large", "infctl reads 8 MiB of one file at most")


def test_a_file_of_almost_the_limit_is_read() -> None:
    assert value_of("a: '" + "x" * (MOST_BYTES - 10) + "'\n")


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " + "{b: " * 5_000, "- " * 5_000])
def test_nesting_ends_soon(text: str) -> None:
    assert problem_of(text.encode())[0] == "too-deep"


def test_aliases_cannot_nest_deeper_than_values_may() -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, MOST_DEPTH + 2))]
    code, detail, span = problem_of("\n".join(lines).encode())
    assert (code, detail) == ("too-deep", "by this alias")
    assert span == f"a.yaml:{MOST_DEPTH}:{len(lines[MOST_DEPTH - 1]) - len(f'*a{MOST_DEPTH - 2}]') + 1}"


def test_an_anchor_bomb_costs_nothing() -> None:
    lines = ["a0: &a0 [" + "x, " * 9 + "x]", *(f"a{n}: &a{n} [" + f"*a{n - 1}, " * 9 + "x]" for n in range(1, 30))]
    started = time.monotonic()
    assert problem_of("\n".join(lines).encode())[0] == "too-many-aliases"
    assert time.monotonic() - started < 10


def test_all_problems_of_single_values_are_told() -> None:
    source, problems = load_bytes(b"a: .inf\nb: !x y\nc: 1\nc: 2\nd: 1e999\n", "a.yaml")
    assert source is not None
    assert [(each.code, each.path) for each in problems] == [
        ("bad-number", "a"), ("yaml-feature", "b"), ("bad-number", "d"), ("duplicate-key", "c"),
    ]  # fmt: skip
    assert source.value["c"] == 1


def test_what_was_found_before_the_text_broke_is_told_too() -> None:
    source, problems = load_bytes(b"a: 1\na: 2\nb: [\n", "a.yaml")
    assert source is None
    assert [each.code for each in problems] == ["duplicate-key", "yaml-syntax"]


@pytest.mark.parametrize(("name", "detail"), [("gone.yaml", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_told_with_its_reason(tmp_path: Path, name: str, detail: str) -> None:
    source, (problem,) = load(tmp_path / name, name)
    assert source is None
    assert (problem.code, problem.detail) == ("file-unreadable", detail)


def test_an_endless_file_is_read_to_the_limit() -> None:
    assert load(Path("/dev/zero"), "zero")[1][0].code == "file-too-large"


def test_a_name_that_no_file_can_have() -> None:
    assert load(Path("a\0b"), "a")[1][0].code == "file-unreadable"


def test_a_file_of_nothing_but_duplicates_is_not_read_to_its_end() -> None:
    started = time.monotonic()
    source, problems = load_bytes(b"a: 1\n" * 1_000_000, "a.yaml")
    assert time.monotonic() - started < 10
    assert source is None
    assert (len(problems), problems[-1].detail) == (101, "more than 100 keys by now")
