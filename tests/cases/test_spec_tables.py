"""What single values of the language mean, as `spec/tables.yaml` says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from infctl.spec import units
from infctl.spec.interpolate import Interpolator
from infctl.spec.like import inherit
from infctl.spec.scalars import resolve
from infctl.spec.versions import allows

TABLES = yaml.safe_load((Path(__file__).parent / "spec" / "tables.yaml").read_text())
VARIABLES = {"n": 8, "s": "eu", "b": True, "l": ["a", "b"], "m": {"k": "v"}, "f": 1.5}
READERS: dict[str, Callable[[Any], Any]] = {
    "seconds": units.seconds,
    "size": units.size,
    "rate": units.rate,
    "fraction": units.fraction,
    "scalars": resolve,
    "versions": lambda text: allows(text, "0.4.2"),
}


def rows(*names: str) -> list[Any]:
    return [pytest.param(name, *row, id=f"{name}-{row[0]}") for name in names for row in TABLES[name]]


@pytest.mark.parametrize(("table", "written", "meant"), rows(*READERS))
def test_a_value_means_what_the_table_says(table: str, written: Any, meant: Any) -> None:
    if not isinstance(meant, dict):
        got = READERS[table](written)
        assert got == meant
        assert type(got) is type(meant)
        return
    with pytest.raises(ValueError, match=r".") as failed:
        READERS[table](written)
    assert str(failed.value) == meant["fails"]
    assert getattr(failed.value, "hint", None) == meant.get("hint")


@pytest.mark.parametrize(("table", "written", "meant"), rows("interpolation"))
def test_a_reference_takes_the_value_of_its_variable(table: str, written: Any, meant: Any) -> None:
    filling = Interpolator(VARIABLES, {**VARIABLES, "u": None})
    got = filling.replace(written, ("here",))
    if isinstance(meant, dict) and meant.keys() & {"fails", "unknown"}:
        assert filling.unresolved == {("here",)}
        found = [(each.diagnostic.detail, each.diagnostic.hint) for each in filling.problems]
        assert found == ([(meant["fails"], meant["hint"])] if "fails" in meant else [])
    else:
        assert got == meant
        assert type(got) is type(meant)
        assert not filling.problems


def test_what_has_no_reference_is_not_copied() -> None:
    value = {"a": ["x", {"b": 1}]}
    assert Interpolator(VARIABLES, VARIABLES).replace(value) is value


@pytest.mark.parametrize("case", TABLES["like"], ids=lambda case: case["says"])
def test_a_model_takes_over_what_it_does_not_say(case: dict[str, Any]) -> None:
    before = repr(case["models"])
    found = inherit(case["models"])
    assert found.models["one"] == case["ends"]
    assert not found.problems
    assert repr(case["models"]) == before


def test_a_long_chain_of_likes_is_no_deep_recursion() -> None:
    models: dict[str, Any] = {"m0": {"uri": "file:a"}}
    models |= {f"m{n}": {"like": f"m{n - 1}"} for n in range(1, 5_000)}
    found = inherit(dict(reversed(models.items())))
    assert found.models["m4999"] == {"like": "m4998", "uri": "file:a"}
