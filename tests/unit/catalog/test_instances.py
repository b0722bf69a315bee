"""Instances of clouds: what is in them, which price counts where sources disagree, and where a GPU costs least."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infctl.catalog.gpus import gpus
from infctl.catalog.instances import Purchase, instances


@pytest.mark.parametrize(
    ("name", "gpu", "count", "vcpus", "memory", "usd"),
    [
        ("g4dn.xlarge", "T4", 1, 4, 16, 0.526),
        ("g5.12xlarge", "A10G", 4, 48, 192, 5.672),
        ("g6.xlarge", "L4", 1, 4, 16, 0.8048),
        ("g6e.xlarge", "L40S", 1, 4, 32, 1.861),
        ("g6e.2xlarge", "L40S", 1, 8, 64, 2.24208),
        ("p4d.24xlarge", "A100-SXM-40GB", 8, 96, 1152, 21.95764),
        ("p4de.24xlarge", "A100-SXM-80GB", 8, 96, 1152, 27.44705),
        ("p5.48xlarge", "H100-SXM-80GB", 8, 192, 2048, 55.04),
        ("p5en.48xlarge", "H200-SXM-141GB", 8, 192, 2048, 63.296),
        ("p6-b200.48xlarge", "B200", 8, 192, 2048, 113.9328),
        ("a2-highgpu-1g", "A100-SXM-40GB", 1, 12, 85, 3.6731),
        ("a2-ultragpu-8g", "A100-SXM-80GB", 8, 96, 1360, 40.5504),
        ("a3-highgpu-8g", "H100-SXM-80GB", 8, 208, 1872, 88.49),
        ("a3-ultragpu-8g", "H200-SXM-141GB", 8, 224, 2952, 84.8069),
        ("g2-standard-4", "L4", 1, 4, 16, 0.72),
        ("NC24ads_A100_v4", "A100-PCIe-80GB", 1, 24, 220, 3.673),
        ("standard_nc40ads_h100_v5", "H100-NVL-94GB", 1, 40, 320, 6.98),
        ("Standard_ND96isr_H200_v5", "H200-SXM-141GB", 8, 96, 1850, 84.8),
        ("Standard_NC64as_T4_v3", "T4", 4, 64, 440, 4.352),
        ("Standard_NV36ads_A10_v5", "A10", 1, 36, 440, 3.2),
    ],
)
def test_an_instance_is_found_by_its_name(  # noqa: PLR0917  # the columns of the table
    name: str, gpu: str, count: int, vcpus: int, memory: float, usd: float
) -> None:
    found = instances().find(name)
    assert found is not None
    price = found.price()
    assert price is not None
    assert (found.gpu, found.count, found.vcpus, found.memory, price.usd) == (gpu, count, vcpus, memory, usd)


def test_every_family_that_people_ask_for_is_there() -> None:
    names = " ".join(instances().rows)
    for family in ("g4dn", "g5", "g6", "g6e", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6-b300"):
        assert f"{family}." in names, family
    for family in ("a2-highgpu", "a2-ultragpu", "a3-highgpu", "a3-megagpu", "a3-ultragpu", "a4-highgpu", "g2-standard"):
        assert f"{family}-" in names, family
    for part in ("T4_v3", "A100_v4", "ND96asr_v4", "NC40ads_H100_v5", "ND96isr_H200_v5", "A10_v5", "MI300X_v5"):
        assert part in names, part


def test_every_row_is_whole() -> None:
    for row in instances().rows.values():
        assert row.gpu in gpus().rows, row.name
        assert row.cloud in {"aws", "gcp", "azure"}
        assert 1 <= row.count <= 16
        assert 0 < row.part <= 1
        assert row.joined <= row.count
        assert row.vcpus >= 2
        assert row.memory >= 8
        for price in row.prices:
            assert 0.2 < price.usd / row.gpus < 40, row.name  # USD an hour for each GPU
            assert len(price.source) > 5, row.name
            assert re.fullmatch(r"202\d-\d\d-\d\d", price.date), row.name


def test_gpus_that_meet_over_nvlink_are_said_to() -> None:
    joined = {name: row.joined for name, row in instances().rows.items()}
    assert (joined["p5.48xlarge"], joined["g5.48xlarge"], joined["Standard_NC48ads_A100_v4"]) == (8, 0, 2)


def test_where_sources_disagree_the_later_counts_and_the_other_is_kept() -> None:
    found = instances().rows["p5.48xlarge"]
    held = found.price(region="us-east-1")
    assert held is not None
    assert (held.usd, held.date) == (55.04, "2026-09-01")
    assert [(row.usd, row.date) for row in found.disputed(region="us-east-1")] == [(98.32, "2025-05-31")]
    azure = instances().rows["Standard_ND96isr_H100_v5"]
    assert [row.usd for row in azure.disputed()] == [88.49]
    assert instances().rows["g5.xlarge"].disputed() == ()


def test_other_kinds_of_purchase() -> None:
    rows = instances().rows
    spot = rows["Standard_NC40ads_H100_v5"].price(Purchase.SPOT)
    assert spot is not None
    assert spot.usd == 1.61
    assert rows["p5e.48xlarge"].price() is None  # is only booked ahead
    booked = rows["p5e.48xlarge"].price(Purchase.CAPACITY_BLOCK)
    assert booked is not None
    assert booked.usd == 39.8  # of 2026, not the 43.26 of 2024
    assert rows["g5.xlarge"].price(region="eu-west-1") is None


@pytest.mark.parametrize(
    ("product", "purchase", "least", "name"),
    [
        ("L40S", Purchase.ON_DEMAND, 1, "g6e.xlarge"),
        ("L40S", Purchase.ON_DEMAND, 4, "g6e.12xlarge"),
        ("H100-SXM-80GB", Purchase.ON_DEMAND, 1, "p5.48xlarge"),
        ("H200-SXM-141GB", Purchase.CAPACITY_BLOCK, 1, "p5e.48xlarge"),
        ("B200", Purchase.RESERVED, 1, "p6-b200.48xlarge"),
        ("L4", Purchase.ON_DEMAND, 1, "g2-standard-4"),
    ],
)
def test_where_a_gpu_costs_least(product: str, purchase: Purchase, least: float, name: str) -> None:
    found = instances().cheapest(product, purchase, least=least)
    assert found is not None
    assert found[0].name == name


def test_what_nobody_rents_out_has_no_price() -> None:
    assert instances().cheapest("RTX-4090-24GB") is None
    assert instances().cheapest("MI300X-192GB") is None  # there is one, of which no price could be checked
    assert instances().cheapest("L4", Purchase.SPOT) is None


def test_ones_own_rows_add_prices_and_instances(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "price_as_of: 2026-11-20\n"
        "instances:\n"
        "  g6e.xlarge: {prices: [{buy: on_demand, region: us-east-1, usd: 1.4, source: ours, date: 2026-11-20}]}\n"
        "  rack.l40s: {cloud: own, gpu: NVIDIA L40S, count: 4, vcpus: 64, memory: 512,"
        " prices: [{buy: on_demand, region: rack, usd: 2.0, source: amortised, date: 2026-11-20}]}\n"
    )
    found = instances(str(own))
    price = found.rows["g6e.xlarge"].price()
    assert price is not None
    assert (price.usd, found.rows["g6e.xlarge"].count, found.as_of) == (1.4, 1, "2026-11-20")
    assert [row.usd for row in found.rows["g6e.xlarge"].disputed()] == [1.861]
    best = found.cheapest("L40S")
    assert best is not None
    assert best[0].name == "rack.l40s"
    assert "rack.l40s" not in instances().rows
