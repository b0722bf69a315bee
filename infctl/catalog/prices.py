"""Owns price lists that others publish: what they say of instances with GPUs, and how that stands in a user's file.

Reads three shapes: a CSV of SkyPilot's catalogue, a `pricing.yml` of Cyclenerd's calculator, and a catalogue file of
our own. Pure: whoever fetches gives the bytes. Sources: skypilot-org/skypilot-catalog catalogs/v8/aws/vms.csv,
Cyclenerd/google-cloud-pricing-cost-calculator pricing.yml.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import yaml

from infctl.catalog.gpus import Gpus
from infctl.catalog.instances import Instance, Instances, Purchase
from infctl.frozen import dataclass

FIRST: Final = "# --- written by `infctl catalog update`, which replaces all up to the end mark"
LAST: Final = "# --- end of what `infctl catalog update` wrote"
_NEEDED: Final = ("InstanceType", "Price", "Region")
_HIGHEST: Final = 10_000.0  # USD an hour: more is no price of an instance


@dataclass(frozen=True, slots=True)
class Listed:
    """One price of a list. What is in the instance is told where the list tells it: `gpu` "" where it does not."""

    instance: str
    purchase: Purchase
    region: str
    usd: float
    gpu: str = ""
    count: int = 0
    vcpus: int = 0
    memory: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """A price that is another than the catalogue's was; `before` None where it had none."""

    instance: str
    purchase: Purchase
    region: str
    before: float | None
    after: float


def read_list(text: bytes) -> tuple[Listed, ...]:
    """Return the prices of a list, whichever of the three shapes it has. Raises ValueError saying what it lacks."""
    try:
        said = text.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise ValueError("it is not UTF-8 text") from failure
    head = said.partition("\n")[0]
    found = tuple(_read_csv(said) if "," in head and ":" not in head else _read_yaml(said))
    if not found:
        raise ValueError("it has no price in it")
    return found


def _read_csv(text: str) -> Iterator[Listed]:
    rows = csv.DictReader(io.StringIO(text))
    if lacks := [name for name in _NEEDED if name not in (rows.fieldnames or ())]:
        raise ValueError(f"its first line has no column {', '.join(lacks)}")
    for row in rows:
        number = rows.line_num
        if not row["InstanceType"] or not (row.get("AcceleratorName") or ""):
            continue
        gpu, count = row["AcceleratorName"] or "", _number(row.get("AcceleratorCount"), "AcceleratorCount", number)
        if count is None or count != int(count):  # a part of a GPU: its product alone says too little
            continue
        size = _number(row.get("vCPUs"), "vCPUs", number), _number(row.get("MemoryGiB"), "MemoryGiB", number)
        for purchase, column in ((Purchase.ON_DEMAND, "Price"), (Purchase.SPOT, "SpotPrice")):
            if usd := _number(row.get(column), column, number):
                region = row["Region"] or ""
                made = (row["InstanceType"], purchase, region, usd, gpu, int(count), int(size[0] or 0), size[1] or 0.0)
                yield Listed(*made)


def _number(text: str | None, column: str, line: int) -> float | None:
    """Return a cell's number, None where the cell is empty. Raises ValueError for what is no amount."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"line {line}: {column} is no number: {text[:40]!r}") from None
    if not 0 <= value <= _HIGHEST:
        raise ValueError(f"line {line}: {column} is {text[:40]}, which is no price or size")
    return value


def _read_yaml(text: str) -> Iterator[Listed]:
    try:
        found = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe
    except (yaml.YAMLError, RecursionError) as failure:
        raise ValueError("it is neither a CSV of prices nor YAML") from failure
    if not isinstance(found, dict):
        raise ValueError("it is neither a CSV of prices nor a mapping in YAML")  # noqa: TRY004  # the file is wrong
    try:
        if "compute" in found:
            yield from _of_calculator(found["compute"]["instance"])
        else:
            yield from _of_ours(found["instances"])
    except (KeyError, TypeError, ValueError, AttributeError) as failure:
        raise ValueError("it has neither compute.instance.NAME.cost nor instances.NAME.prices") from failure


def _of_calculator(rows: Mapping[str, Any]) -> Iterator[Listed]:
    for name, row in rows.items():
        for region, cost in row.get("cost", {}).items():
            for purchase, key in ((Purchase.ON_DEMAND, "hour"), (Purchase.SPOT, "hour_spot")):
                if 0 < (usd := float(cost.get(key) or 0)) <= _HIGHEST:  # 0: not to be had there
                    yield Listed(name, purchase, region, usd, "", 0, int(row.get("cpu", 0)), float(row.get("ram", 0)))


def _of_ours(rows: Mapping[str, Any]) -> Iterator[Listed]:
    for name, row in rows.items():
        inside = (row.get("gpu", ""), int(row.get("count", 0)), int(row.get("vcpus", 0)), float(row.get("memory", 0)))
        for price in row.get("prices", ()):
            if 0 < (usd := float(price["usd"])) <= _HIGHEST:
                yield Listed(name, Purchase(price["buy"]), str(price["region"]), usd, *inside)


# ---------------------------------------------------------------- what of it belongs into a catalogue


def pick(listed: Iterable[Listed], known: Instances, cards: Gpus, regions: frozenset[str]) -> tuple[Listed, ...]:
    """Return the prices of the regions that are of use: of instances that the catalogue has, and of new ones with a GPU
    that it has. Where a region has several (its zones), the lowest.
    """
    lowest: dict[tuple[str, Purchase, str], Listed] = {}
    for row in listed:
        key = (row.instance, row.purchase, row.region)
        if row.region not in regions or (key in lowest and lowest[key].usd <= row.usd):
            continue
        if row.instance in known.rows or (row.count >= 1 and len(cards.find(row.gpu)) == 1):
            lowest[key] = row
    return tuple(lowest[key] for key in sorted(lowest))


def changes(rows: Iterable[Listed], known: Instances) -> tuple[Change, ...]:
    """Return the prices that are new or others than those that count now."""
    found = []
    for row in rows:
        held = _held(known.rows.get(row.instance), row)
        if held != row.usd:
            found.append(Change(row.instance, row.purchase, row.region, held, row.usd))
    return tuple(found)


def _held(known: Instance | None, row: Listed) -> float | None:
    price = known.price(row.purchase, row.region) if known else None
    return price.usd if price else None


def merge(
    before: Mapping[str, Any], rows: Iterable[Listed], known: Instances, *, cloud: str, say: str, date: str
) -> dict[str, Any]:
    """Return the fetched part of a user's file with the prices of one source in place of those it had from it."""
    instances: dict[str, Any] = {}
    for name, row in before.get("instances", {}).items():
        if prices := [price for price in row["prices"] if price["source"] != cloud]:
            instances[name] = {**row, "prices": prices}
    for each in rows:
        made = instances.setdefault(each.instance, {"prices": []})
        if each.instance not in known.rows and "gpu" not in made:
            size = {"vcpus": each.vcpus, "memory": each.memory}
            made.update({"cloud": cloud, "gpu": each.gpu, "count": each.count, **size})
        price = {"buy": each.purchase.value, "region": each.region, "usd": each.usd, "source": cloud}
        made["prices"] = [*made["prices"], price]
    sources = {**before.get("sources", {}), cloud: {"say": say, "date": date}}
    return {"price_as_of": date, "sources": sources, "instances": instances}


def splice(text: str, fetched: Mapping[str, Any]) -> str:
    """Return a user's file with the fetched part in its place: between its marks, else at the end.

    Nothing else changes, so that comments and order stay. Raises ValueError where a mark is missing.
    """
    body = yaml.dump({"fetched": _quoted(fetched)}, sort_keys=False, allow_unicode=True, width=1_000_000)
    block = f"{FIRST}\n{body}{LAST}\n"
    start, end = text.find(FIRST), text.find(LAST)
    if start < 0 and end < 0:
        gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
        return f"{text}{gap}{block}"
    if start < 0 or end < start:
        raise ValueError(f"it has one of the two marks only: {FIRST if start < 0 else LAST}")
    after = text[end:].partition("\n")[2]
    return f"{text[:start]}{block}{after}"


def _quoted(value: Any) -> Any:
    """Return plain values only: what a dumper writes without tags."""
    if isinstance(value, Mapping):
        return {key: _quoted(each) for key, each in value.items()}
    return [_quoted(each) for each in value] if isinstance(value, (list, tuple)) else value
