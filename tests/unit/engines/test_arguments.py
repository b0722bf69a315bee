"""Which engine arguments are taken, and what is said of those that are not."""

from __future__ import annotations

from typing import Any

import pytest

from infctl.engines.arguments import check_args
from infctl.engines.llama_cpp import ARGS


def said(**args: Any) -> list[str]:
    found = [problem.diagnostic for problem in check_args(args, ARGS, "llama.cpp")]
    assert all(problem.code == "bad-engine-arg" for problem in found)
    return [f"{problem.path}: {problem.detail} | {problem.hint}" for problem in found]


@pytest.mark.parametrize(
    "args",
    [
        {"threads": 4, "flash_attn": "on", "temp": 1, "top_p": 0.5, "jinja": True},
        {"parallel": 256, "n_predict": -1, "cache_ram": 0, "chat_template": "chatml"},
        {name: value.choices[0] for name, value in ARGS.items() if value.choices},
    ],
)
def test_what_llama_cpp_takes_is_taken(args: dict[str, Any]) -> None:
    assert said(**args) == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("thread", 2, 'not an argument of llama.cpp | did you mean "threads"?'),
        ("n_ctx_train", 2, "not an argument of llama.cpp | docs/reference lists"),
        ("ctx_size", 2048, "set elsewhere | say max_model_len of the model instead"),
        ("threads", "2", "must be a whole number | CPU threads while generating"),
        ("threads", True, "must be a whole number | CPU threads"),
        ("threads", 2.0, "must be a whole number | CPU threads"),
        ("threads", None, "must be a whole number | CPU threads"),
        ("threads", [2], "must be a whole number | CPU threads"),
        ("threads", 0, "must be at least 1 | CPU threads"),
        ("threads", 100_000, "must be at most 512 | CPU threads"),
        ("parallel", 257, "must be at most 256 | requests served at once"),
        ("batch_size", 2**31, "must be at most 2147483647 | most prompt tokens"),
        ("temp", "hot", "must be a number | temperature"),
        ("temp", True, "must be a number | temperature"),
        ("temp", -0.1, "must be at least 0 | temperature"),
        ("temp", float("nan"), "must be a number | temperature"),
        ("top_p", 1.5, "must be at most 1 | top-p"),
        ("jinja", 1, "must be true or false | render chat templates"),
        ("flash_attn", "onn", 'must be one of auto, on, off | did you mean "on"?'),
        ("flash_attn", True, "must be a text | flash attention"),
        ("cache_type_k", "q4", "must be one of f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0, iq4_nl | did"),
    ],
)  # fmt: skip
def test_what_it_does_not_take_is_refused_with_a_way_on(name: str, value: Any, expected: str) -> None:
    (line,) = said(**{name: value})
    assert line.startswith(f"engine_args.{name}: {expected}")


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(said(thread=1, jinja="yes", seed=-1)) == 3
