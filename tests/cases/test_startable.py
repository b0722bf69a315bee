"""Every row of `sizing/startable.yaml`: what the gate says against it, in order, with the alternative it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from infctl.catalog.gpus import gpus
from infctl.catalog.models import models
from infctl.diagnostics import Severity
from infctl.sizing.case import Case
from infctl.sizing.combination import Combination
from infctl.sizing.precision import Precision, find_precision
from infctl.sizing.startable import refusals

ROWS = yaml.safe_load((Path(__file__).parent / "sizing" / "startable.yaml").read_text())
CASE, BESIDE = {"tensor", "max_model_len", "kv_dtype"}, {"task", "checkpoint", "form", "devices", "island", "sliced"}
BLOCK = Precision("fp8-block", 8 + 32 / 128**2, "fp8")


def name_of(row: Mapping[str, Any]) -> str:
    more = (f"{key}={row[key]}" for key in row if key in CASE | BESIDE | {"weight_only"})
    return " ".join((row["model"].rpartition("/")[2], row["gpu"] or "cpu", row["precision"], row["engine"], *more))


@pytest.mark.parametrize("row", [pytest.param(row, id=name_of(row)) for row in ROWS])
def test_what_cannot_start_is_refused_with_the_alternative(row: Mapping[str, Any]) -> None:
    shape, cards = models().find(row["model"]), gpus().find(row["gpu"])
    precision = BLOCK if row["precision"] == "fp8-block" else find_precision(row["precision"])
    assert shape is not None
    assert precision is not None
    assert bool(cards) == bool(row["gpu"])
    engine, _, version = row["engine"].partition(" ")
    case = Case(shape, cards, precision, engine, version, **{key: row[key] for key in row if key in CASE})
    beside = {key: row[key] for key in row if key in BESIDE | {"weight_only"}}
    found = refusals(Combination(case, **beside))
    told = [f"{each.code}{' (warning)' if each.severity is Severity.WARNING else ''}" for each in found]
    assert told == [each.partition(":")[0] for each in row["says"]], found
    for each, says in zip(found, row["says"], strict=True):
        reason, _, way = says.partition(": ")[2].partition(" -> ")
        assert reason in each.reason
        assert way in each.alternative
