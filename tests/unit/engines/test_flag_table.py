"""The tables of flags: that they are sound, what they say of arguments, and how arguments become a command line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infctl.diagnostics import Severity
from infctl.engines.flag_table import FOLDER, FlagTable, argv_of, check_flags, flag_table, order
from infctl.engines.resolve import serving_of

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
TYPES = {"bool", "flag", "int", "float", "str", "list", "append", "json", "any"}
TABLE = FlagTable(
    "toy",
    "https://example.org",
    ("1.0", "1.9", "1.10"),
    {
        "size": ({"type": "int", "least": 1, "until": "1.9"}, {"type": "int", "above": 1, "below": 9, "since": "1.10"}),
        "share": ({"type": "float", "above": 0, "most": 1},),
        "new": ({"type": "bool", "since": "1.10"},),
        "old": ({"type": "flag", "until": "1.0"},),
        "mode": ({"type": "str", "choices": ["fast", "slow"]},),
        "hosts": ({"type": "list"},),
        "middle": ({"type": "append"},),
        "config": ({"type": "json"},),
        "odd": ({"type": "any"},),
    },
)


def said(version: str, args: dict[str, Any], *, unchecked: bool = False) -> list[str]:
    found = [each.diagnostic for each in check_flags(args, TABLE, version, {"port": "leave it"}, unchecked=unchecked)]
    return [f"{each.severity.value} {each.path}: {each.detail} | {each.hint}" for each in found]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_is_sound(name: str) -> None:
    table, text = flag_table(name), json.loads((FOLDER / f"{name}.json").read_text())
    assert table.source.startswith("https://")
    assert list(table.versions) == sorted(table.versions, key=order)
    assert list(text["flags"]) == sorted(text["flags"])
    for flag, rows in table.flags.items():
        assert rows, flag
        assert flag == flag.strip("-").replace("-", "_")
        assert {row["type"] for row in rows} <= TYPES, flag
        assert {row.get("since", table.versions[0]) for row in rows} <= set(table.versions), flag
        assert {row.get("until", table.versions[0]) for row in rows} <= set(table.versions), flag
        for version in table.versions:
            holding = [row for row in rows if FlagTable("", "", (version,), {flag: (row,)}).row(flag, version)]
            assert len(holding) <= 1, (flag, version)


@pytest.mark.parametrize("name", NAMES)
def test_an_engine_knows_the_flags_that_infctl_says(name: str) -> None:
    serving = serving_of(name)
    assert serving is not None
    at = serving.table.nearest(serving.version)
    named = (serving.model, serving.revision, serving.context, serving.kv_cache, serving.method, serving.devices)
    for flag in (*named, serving.share, *serving.splits, *serving.fixed):
        assert not flag or serving.table.row(flag, at) is not None, flag
    row = serving.table.row(serving.method, at) if serving.method else None
    assert row is None or set(serving.methods.values()) <= set(row.get("choices", serving.methods.values()))


@pytest.mark.parametrize(
    ("version", "nearest"),
    [("1.10", "1.10"), ("1.9.5", "1.9"), ("2.0", "1.10"), ("0.1", "1.0"), ("", "1.10"), ("nightly", "1.10")],
)
def test_a_version_that_no_table_has_is_judged_by_the_one_before(version: str, nearest: str) -> None:
    assert TABLE.nearest(version) == nearest


def test_what_an_engine_takes_is_taken() -> None:
    right = {"size": 2, "share": 1, "mode": "slow", "hosts": ["a", "b"], "middle": "m", "config": {"a": 1}, "odd": None}
    del right["odd"]
    assert said("1.10", {**right, "new": True, "odd": {"x": 1}}) == []
    assert said("1.9", {"size": 100}) == []
    assert said("1.0", {"old": True}) == []


@pytest.mark.parametrize(
    ("version", "args", "expected"),
    [
        ("1.10", {"sizes": 1}, 'toy 1.10 has no such argument | did you mean "size"?'),
        ("1.10", {"--share": 1}, 'toy 1.10 has no such argument | did you mean "share"? names have underscores'),
        ("1.10", {"no_new": True}, "toy 1.10 has no such argument | write new: false"),
        ("1.10", {"zzz": 1}, "toy 1.10 has no such argument | engine_args_unchecked: true lets through"),
        ("1.9", {"new": True}, "toy 1.9 has no such argument: it came with 1.10 |"),
        ("1.10", {"old": True}, "toy 1.10 has no such argument: 1.0 was the last to have it |"),
        ("1.10", {"port": 1}, "infctl decides it | leave it"),
        ("1.9", {"size": 0}, "must be at least 1 | as toy 1.9 takes it"),
        ("1.10", {"size": 1}, "must be more than 1 |"),
        ("1.10", {"size": 9}, "must be less than 9 |"),
        ("1.10", {"size": 2.0}, "must be a whole number |"),
        ("1.10", {"size": True}, "must be a whole number |"),
        ("1.10", {"share": 1.5}, "must be at most 1 |"),
        ("1.10", {"share": float("nan")}, "must be a number |"),
        ("1.10", {"mode": "fsat"}, 'must be one of fast, slow | did you mean "fast"?'),
        ("1.10", {"mode": 1}, "must be a text |"),
        ("1.10", {"new": "yes"}, "must be true or false |"),
        ("1.10", {"hosts": {"a": 1}}, "must be a value or a list |"),
        ("1.10", {"config": 3}, "must be a mapping, or JSON as a text |"),
        ("1.10", {"mode": None}, "must be a text |"),
    ],
)
def test_what_it_does_not_take_is_refused_with_a_way_on(version: str, args: dict[str, Any], expected: str) -> None:
    (line,) = said(version, args)
    assert line.startswith(f"error engine_args.{next(iter(args))}: {expected}")


def test_unchecked_arguments_are_warnings_but_not_what_infctl_decides() -> None:
    found = list(check_flags({"zzz": 1, "size": 0, "port": 3}, TABLE, "1.9", {"port": "leave it"}, unchecked=True))
    assert [each.diagnostic.severity for each in found] == [Severity.WARNING, Severity.WARNING, Severity.ERROR]


def test_arguments_become_a_command_line() -> None:
    args = {
        "size": 3, "share": 0.5, "new": False, "old": True, "mode": "slow", "hosts": ["a", "b"], "middle": ["m", "n"],
        "config": {"a": [1, 2]}, "un_known": "-x",
    }  # fmt: skip
    assert argv_of(args, TABLE, "1.10") == (
        "--size", "3", "--share", "0.5", "--no-new", "--old", "--mode", "slow", "--hosts", "a", "b",
        "--middle", "m", "--middle", "n", "--config", '{"a":[1,2]}', "--un-known=-x",
    )  # fmt: skip
    assert argv_of({"un_known": "-x", "old": False}, TABLE, "1.0", joint="_", glued=False) == ("--un_known", "-x")
