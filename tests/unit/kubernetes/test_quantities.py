"""Quantities as an API server keeps them, and what they stand for."""

from __future__ import annotations

import pytest

from infctl_kubernetes.quantities import read_quantity, write_bytes, write_cpus


@pytest.mark.parametrize(
    ("size", "written"), [(1, "1Mi"), (1 << 20, "1Mi"), (3 << 29, "1536Mi"), (8 << 30, "8Gi"), (1 << 40, "1Ti")]
)
def test_bytes_are_written_in_the_largest_unit_that_loses_nothing(size: int, written: str) -> None:
    assert write_bytes(size) == written


@pytest.mark.parametrize(("cpus", "written"), [(0.5, "500m"), (1, "1"), (1.0001, "1001m"), (8, "8")])
def test_processors_are_written_in_thousandths_where_they_must(cpus: float, written: str) -> None:
    assert write_cpus(cpus) == written


@pytest.mark.parametrize(
    ("text", "number"),
    [("8", 8), ("500m", 0.5), ("2Gi", 2 << 30), ("1e3", 1000), ("16384k", 16_384_000), ("?", 0), ("5Xi", 0), (4, 4)],
)
def test_a_quantity_is_read(text: str | int, number: float) -> None:
    assert read_quantity(text) == number
