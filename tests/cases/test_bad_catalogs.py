"""Every catalogue file of `catalog/bad_catalogs.yaml`: what is said of its first mistake, with line and column."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from infctl.catalog.gpus import gpus
from infctl.diagnostics import InfctlError

CASES = yaml.safe_load((Path(__file__).parent / "catalog" / "bad_catalogs.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_what_is_wrong_is_pointed_at(case: Mapping[str, str], tmp_path: Path) -> None:
    own = tmp_path / "inference.catalog.yaml"
    own.write_text(case["file"])
    with pytest.raises(InfctlError) as failure:
        gpus(str(own))
    found = failure.value.diagnostics[0]
    assert found.span is not None
    place, detail, hint = case["says"].split(" | ")
    assert f"{found.span.line}:{found.span.column} {found.code}" == place.strip(" |")
    assert detail.strip(" |") in f"{found.summary} {found.detail}"
    assert hint in found.hint
    assert found.span.file == str(own)
