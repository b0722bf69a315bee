"""Published price lists: what is read of each shape, what of it is kept, and how it stands in a user's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.catalog.gpus import gpus
from infctl.catalog.instances import Purchase, instances
from infctl.catalog.prices import FIRST, LAST, Listed, changes, merge, pick, read_list, splice

# In the shape of skypilot-catalog's aws/vms.csv; figures made up.
HEAD = b"InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone"
CSV = (
    HEAD
    + b"""
a1.large,,,2.0,4.0,,0.051,0.051,us-east-1,use1-az2
p5.48xlarge,H100,8.0,192.0,2048.0,"{'Gpus': [{'Name': 'H100', 'Count': 8}]}",50.0,21.5,us-east-1,use1-az2
p5.48xlarge,H100,8.0,192.0,2048.0,"{'Gpus': [{'Name': 'H100', 'Count': 8}]}",50.0,19.25,us-east-1,use1-az4
p5.48xlarge,H100,8.0,192.0,2048.0,"{'Gpus': [{'Name': 'H100', 'Count': 8}]}",61.0,,eu-west-1,euw1-az1
g9.xlarge,L4,1.0,4.0,16.0,"{'Gpus': [{'Name': 'L4', 'Count': 1}]}",0.7,0.2,us-east-1,use1-az2
inf9.xlarge,Inferentia9,1.0,4.0,16.0,,0.3,0.1,us-east-1,use1-az2
"""
)
# In the shape of google-cloud-pricing-cost-calculator's pricing.yml; figures made up.
CALCULATOR = b"""about: {}
compute:
  instance:
    a2-highgpu-1g:
      cost:
        us-central1: {hour: 3.5, hour_spot: 1.25, month: 2555.0}
        africa-south1: {hour: 0, month: 0}
      cpu: 12
      ram: 85
"""
OURS = b"""instances:
  g5.xlarge: {prices: [{buy: reserved, region: us-east-1, usd: 0.62, source: ours}]}
"""
EAST = frozenset({"us-east-1"})


def test_a_csv_of_skypilot() -> None:
    found = read_list(CSV)
    assert len(found) == 9  # what has no GPU is left out
    assert found[0] == Listed("p5.48xlarge", Purchase.ON_DEMAND, "us-east-1", 50.0, "H100", 8, 192, 2048.0)


def test_the_calculators_yaml_and_our_own() -> None:
    assert [(row.purchase.value, row.region, row.usd) for row in read_list(CALCULATOR)] == [
        ("on_demand", "us-central1", 3.5), ("spot", "us-central1", 1.25),
    ]  # fmt: skip
    assert read_list(OURS) == (Listed("g5.xlarge", Purchase.RESERVED, "us-east-1", 0.62),)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "neither a CSV of prices nor a mapping"),
        (b"<!doctype html><p>Not found</p>", "neither a CSV of prices nor a mapping"),
        (b"Name,Price\na,1\n", "no column InstanceType, Region"),
        (
            b"InstanceType,AcceleratorName,AcceleratorCount,Price,Region\np5.48xlarge,H100,8,dear,r\n",
            "line 2: Price is no",
        ),
        (
            b"InstanceType,AcceleratorName,AcceleratorCount,Price,Region\np5.48xlarge,H100,8,-1,r\n",
            "line 2: Price is -1",
        ),
        (b"InstanceType,AcceleratorName,AcceleratorCount,Price,Region\n", "no price in it"),
        (b"compute: {instance: [1]}\n", "neither compute.instance"),
        (b"instances: {x: {prices: [{buy: gift, region: r, usd: 1}]}}\n", "neither compute.instance"),
        (b"a: [\n", "neither a CSV of prices nor YAML"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_what_is_no_price_list_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_list(text)


def test_kept_is_the_lowest_of_a_region_for_known_gpus() -> None:
    rows = pick(read_list(CSV), instances(), gpus(), EAST)
    assert [(row.instance, row.purchase.value, row.usd) for row in rows] == [
        ("g9.xlarge", "on_demand", 0.7), ("g9.xlarge", "spot", 0.2),
        ("p5.48xlarge", "on_demand", 50.0), ("p5.48xlarge", "spot", 19.25),
    ]  # fmt: skip
    told = {(each.instance, each.purchase.value): (each.before, each.after) for each in changes(rows, instances())}
    assert told["p5.48xlarge", "on_demand"] == (55.04, 50.0)
    assert told["p5.48xlarge", "spot"] == (None, 19.25)


def test_what_was_fetched_is_read_back_and_a_second_fetch_replaces_it(tmp_path: Path) -> None:
    rows = pick(read_list(CSV), instances(), gpus(), EAST)
    mine = "prices: [{buy: on_demand, region: us-east-1, usd: 0.9, source: s}]"
    text = f"# ours\ninstances:\n  g5.xlarge:  # as signed\n    {mine}\n"
    first = merge({}, rows, instances(), cloud="aws", say="https://x.example/vms.csv", date="2026-11-21")
    own = tmp_path / "one.yaml"
    own.write_text(splice(text, first))
    found = instances(str(own))
    price = found.rows["p5.48xlarge"].price(region="us-east-1")
    assert price is not None
    assert (price.usd, price.source, price.date, price.own) == (50.0, "https://x.example/vms.csv", "2026-11-21", False)
    assert (found.rows["g9.xlarge"].gpu, found.rows["g9.xlarge"].memory, found.as_of) == ("L4", 16.0, "2026-11-21")
    signed = found.rows["g5.xlarge"].price()
    assert signed is not None
    assert signed.usd == 0.9
    later = [
        Listed("p5.48xlarge", Purchase.ON_DEMAND, "us-east-1", 49.0),
        Listed("g5.xlarge", Purchase.ON_DEMAND, "us-east-1", 1.1),
    ]
    again = merge(first, later, instances(), cloud="aws", say="https://y.example", date="2026-12-01")
    two = tmp_path / "two.yaml"
    two.write_text(splice(own.read_text(), again))
    kept = instances(str(two))
    assert [row.usd for row in kept.rows["p5.48xlarge"].prices if row.source == "https://y.example"] == [49.0]
    assert "x.example" not in two.read_text()
    assert two.read_text().startswith(text)
    assert two.read_text().count(FIRST) == two.read_text().count(LAST) == 1
    still = kept.rows["g5.xlarge"].price()
    assert still is not None
    assert still.usd == 0.9  # the user's own beats a later list


def test_what_stands_after_the_end_mark_stays() -> None:
    once = splice("a: 1\n", {"price_as_of": "2026-11-21", "sources": {}, "instances": {}})
    twice = splice(once + "# last words\n", {"price_as_of": "2026-12-01", "sources": {}, "instances": {}})
    assert twice.endswith("# last words\n")
    assert twice.startswith("a: 1\n\n# --- written by")
    with pytest.raises(ValueError, match="one of the two marks"):
        splice(FIRST, {})
