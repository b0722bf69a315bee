"""Whatever a stack says, the kept one says the same."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from infctl.diagnostics import InfctlError
from infctl.spec.stack import Inputs
from tests.unit.spec.test_kept import everything, load, was_kept

WORDS = st.text("abc$-_ \"'\\ü{}", min_size=1, max_size=6)
SCALARS = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False) | WORDS
TAGGED = st.sampled_from(["$tuple", "$part", "$map", "$secret", "$replicas", "$ref"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(WORDS | TAGGED, inner, max_size=3), max_leaves=12
)
MODEL = st.fixed_dictionaries(
    {"uri": st.sampled_from(["file:a.gguf", "file:b.gguf"])},
    optional={
        "engine_args": st.dictionaries(WORDS | TAGGED, VALUES, max_size=4),
        "env": st.dictionaries(st.sampled_from("ABC"), WORDS | st.just("secret://key"), max_size=3),
        "tags": st.dictionaries(WORDS, WORDS, max_size=3),
        "replicas": st.integers(0, 9) | st.fixed_dictionaries({"min": st.integers(0, 9)}),
        "served_names": st.lists(WORDS, min_size=1, max_size=3),
        "timeouts": st.fixed_dictionaries({}, optional={"ready": st.just("90s"), "drain": st.just("1m30s")}),
        "expose": st.fixed_dictionaries({"bind": st.sampled_from(["127.0.0.1", "127.0.0.2"])}),
        "protect": st.booleans(),
        "max_model_len": st.integers(1, 10**6),
        "like": st.sampled_from(["m0", "m1"]),
    },
)


@settings(max_examples=150)
@given(models=st.lists(MODEL, min_size=1, max_size=4))
def test_kept_is_what_was_read(tmp_path_factory: Any, models: list[dict[str, Any]]) -> None:
    root = tmp_path_factory.mktemp("kept")
    (root / ".infctl").mkdir()
    whole: dict[str, Any] = {"apiVersion": "infctl/v1", "name": "shop", "secrets": {"key": {"env": "KEY"}}}
    whole["models"] = {f"m{place}": model for place, model in enumerate(models)}
    (root / "inference.yaml").write_text(json.dumps(whole))
    try:
        read = load(Inputs(root))
    except InfctlError:
        assert not list((root / ".infctl").iterdir())
        return
    again = load(Inputs(root))
    assert was_kept(again) != bool(read.warnings)
    assert everything(again) == everything(read)
