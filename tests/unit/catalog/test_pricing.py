"""What an hour of a device costs where a target names the instance and no price."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.catalog.pricing import with_prices
from infctl.provider.values import Device, Inventory, Place, Purchase


def node(
    instance: str, devices: int, *, price: float | None = None, purchase: Purchase = "owned", region: str = ""
) -> Place:
    every = tuple(Device(n, f"g{n}", "NVIDIA L40S", 48, 48) for n in range(devices))
    return Place("n1", 8, 1, 1, every, price, purchase, instance=instance, region=region)


def priced(place: Place, own: str = "") -> Place:
    (found,) = with_prices(Inventory((place,)), own).places
    return found


def test_a_device_costs_its_part_of_the_instance() -> None:
    found = priced(node("g6e.12xlarge", 4, region="us-east-1"))
    assert found.price == pytest.approx(10.49264 / 4)
    assert found.purchase == "on_demand"
    assert found.priced.startswith("g6e.12xlarge in us-east-1, on demand: ")
    assert found.priced[-10:].count("-") == 2


def test_where_a_region_has_no_price_the_least_one_is_taken_and_its_region_said() -> None:
    found = priced(node("g6e.12xlarge", 4, region="eu-nowhere-1"))
    assert "eu-nowhere-1" not in found.priced
    assert found.price is not None


@pytest.mark.parametrize(
    "place",
    [
        node("", 4),
        node("toy.large", 4),
        node("g6e.12xlarge", 0),
        node("g6e.12xlarge", 4, price=0.5),
        node("g6e.12xlarge", 4, purchase="reserved"),  # no list has it
    ],
)
def test_what_is_told_or_not_known_stays_as_it_is(place: Place) -> None:
    assert priced(place) == place


def test_a_users_own_price_beats_the_list(tmp_path: Path) -> None:
    own = tmp_path / "inference.catalog.yaml"
    paid = "{buy: on_demand, region: us-east-1, usd: 4, source: contract, date: 2026-01-01}"
    own.write_text(f"instances:\n  g6e.12xlarge: {{prices: [{paid}]}}\n")
    found = priced(node("g6e.12xlarge", 4, region="us-east-1"), str(own))
    assert (found.price, "contract" in found.priced) == (1.0, True)
