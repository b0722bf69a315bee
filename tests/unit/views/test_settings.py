"""Arguments of an engine in a plan, in the words of the file: what the user wrote is what the plan shows."""

from __future__ import annotations

from typing import Any

import pytest

from infctl.views.settings import said_fields, settings


def field(name: str, before: Any, after: Any) -> dict[str, Any]:
    return {"path": ["args", name], "before": before, "after": after, "why": "read at start", "after_unknown": False}


def template(engine: str = "llama.cpp", **args: Any) -> dict[str, Any]:
    return {"engine": engine, "args": args}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (template(ctx_size=8192, parallel=4), {"max_model_len": 2048, "parallel": 4}),
        (template(ctx_size=8191, parallel=4), {"ctx_size": 8191, "parallel": 4}),
        (template("toy", ctx_size=8192, parallel=4), {"ctx_size": 8192, "parallel": 4}),
        (template(parallel=4), {"parallel": 4}),
    ],
)
def test_what_stems_from_a_field_has_its_name(given: dict[str, Any], said: dict[str, Any]) -> None:
    assert settings(given) == said


def changes(now: dict[str, Any], *fields: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(".".join(f["path"]), f["before"], f["after"]) for f in said_fields(now, fields)]


def test_a_change_is_told_as_the_field_that_was_changed() -> None:
    now = template(ctx_size=4096, parallel=4)
    assert changes(now, field("ctx_size", 8192, 4096)) == [("max_model_len", 2048, 1024)]
    (said,) = said_fields(now, [field("ctx_size", 8192, 4096)])
    assert (said["why"], said["from"]) == ("read at start", ["args", "ctx_size"])


def test_what_only_follows_from_another_change_is_not_told() -> None:
    now = template(ctx_size=16384, parallel=8)
    assert changes(now, field("ctx_size", 8192, 16384), field("parallel", 4, 8)) == [("args.parallel", 4, 8)]


def test_another_engines_arguments_keep_their_names() -> None:
    now = template("toy", ctx_size=4096, parallel=4)
    assert changes(now, field("ctx_size", 8192, 4096)) == [("args.ctx_size", 8192, 4096)]
