"""The arguments that infctl takes for llama.cpp are those that the embedded engine can be given."""

from __future__ import annotations

from infctl.engines.llama_cpp import ARGS
from infctl_local.engine_config import ENGINE_ARGS

OF_THEIR_OWN = {"ctx_size", "parallel"}  # the launcher has fields for these


def test_both_tables_name_the_same_arguments() -> None:
    assert set(ARGS) - OF_THEIR_OWN == set(ENGINE_ARGS)


def test_both_tables_take_the_same_values() -> None:
    ours = {name: (made.type, set(made.choices)) for name, made in ARGS.items() if name not in OF_THEIR_OWN}
    assert ours == {name: (made.type, set(made.choices)) for name, made in ENGINE_ARGS.items()}


def test_whatever_infctl_lets_pass_the_engine_takes() -> None:
    for name, theirs in ENGINE_ARGS.items():
        least = ARGS[name].least
        assert theirs.least is None or (least is not None and least >= theirs.least), name
