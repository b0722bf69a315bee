"""Owns the catalogue's instances: what clouds rent out with GPUs in it and what that costs, each price with a source.

Knows no account: what a user pays by contract stands in a file of theirs. Where sources disagree all are kept, and the
one of the latest date counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Final

from infctl.catalog.files import read_rows
from infctl.catalog.gpus import Gpus, gpus
from infctl.frozen import dataclass

_SAID: Final = ("cloud", "gpu", "count", "vcpus", "memory", "part", "joined")


class Purchase(StrEnum):
    """How an instance is paid: by the hour, interruptible, by the year, or booked for a time."""

    ON_DEMAND = "on_demand"
    SPOT = "spot"
    RESERVED = "reserved"
    CAPACITY_BLOCK = "capacity_block"


@dataclass(frozen=True, slots=True)
class Price:
    """USD an hour for one whole instance in one region. `date` is when the source said so, as 2026-09-01; `own` is
    whether it is a user's, which beats what any list says.
    """

    purchase: Purchase
    region: str
    usd: float
    source: str
    date: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class Instance:
    """One type. `gpu` names a row of the GPU catalogue, `count` how many, `part` the share of one where it is cut.

    `joined` GPUs of it NVLink or xGMI connects, 0 where they meet over PCIe only. `memory` in GiB.
    """

    name: str
    cloud: str
    gpu: str
    count: int
    vcpus: int
    memory: float
    part: float = 1.0
    joined: int = 0
    prices: tuple[Price, ...] = ()

    @property
    def gpus(self) -> float:
        """How many GPUs it has in all: less than one where it is cut."""
        return self.count * self.part

    def price(self, purchase: Purchase = Purchase.ON_DEMAND, region: str = "") -> Price | None:
        """Return what it costs: the latest price of that kind there; in any region, the cheapest of the latest."""
        found = _latest(row for row in self.prices if row.purchase == purchase and region in {"", row.region})
        return min(found, key=lambda row: (row.usd, row.region)) if found else None

    def disputed(self, purchase: Purchase = Purchase.ON_DEMAND, region: str = "") -> tuple[Price, ...]:
        """Return the prices of the same kind and region that say otherwise than the one that counts, latest first."""
        held = self.price(purchase, region)
        others = (row for row in self.prices if held and (row.purchase, row.region) == (purchase, held.region))
        return tuple(
            sorted((row for row in others if held and row.usd != held.usd), key=lambda row: row.date, reverse=True)
        )


@dataclass(frozen=True, slots=True)
class Instances:
    """The instances of a catalogue. `as_of`: when its prices were last gathered."""

    rows: Mapping[str, Instance]
    as_of: str

    def find(self, name: str) -> Instance | None:
        """Return the instance of a name; Azure's may come without `Standard_`, and in any case of letters."""
        plain = name.lower().removeprefix("standard_")
        return self.rows.get(name) or next(
            (row for key, row in self.rows.items() if key.lower().removeprefix("standard_") == plain), None
        )

    def having(self, product: str) -> tuple[Instance, ...]:
        """Return the instances with a GPU, fewest GPUs first; `product` is a name of the GPU catalogue."""
        return tuple(sorted((row for row in self.rows.values() if row.gpu == product), key=lambda row: row.gpus))

    def cheapest(
        self, product: str, purchase: Purchase = Purchase.ON_DEMAND, *, least: float = 1.0, cloud: str = ""
    ) -> tuple[Instance, Price] | None:
        """Return where one GPU of a product costs least an hour, of the instances with `least` GPUs and more."""
        offers = [
            (row, price)
            for row in self.having(product)
            if row.gpus >= least and cloud in {"", row.cloud} and (price := row.price(purchase)) is not None
        ]
        return min(offers, key=lambda offer: (offer[1].usd / offer[0].gpus, offer[0].name)) if offers else None


def _latest(rows: Iterable[Price]) -> list[Price]:
    """Return the latest price of each region, a user's own before all; of two of one day the later in the file."""
    found: dict[str, Price] = {}
    for row in rows:
        held = found.get(row.region)
        if held is None or (row.own, row.date) >= (held.own, held.date):
            found[row.region] = row
    return list(found.values())


@cache
def instances(own: str = "") -> Instances:
    """Return the catalogue's instances, with a user's rows: a row of a known name adds its prices and changes what it
    says; a new one is added. What `catalog update` fetched stands between both. Raises InfctlError (bad-catalog).
    """
    shipped, *others = read_rows("instances", own)
    parts = [(shipped, False)]
    for file in others:
        parts += [(file.get("fetched") or {}, False), (file, True)]
    rows: dict[str, Instance] = {}
    for part, mine in parts:
        for name, row in part.get("instances", {}).items():
            rows[name] = _over(rows.get(name), name, row, _Told(part.get("sources", {}), gpus(own), mine))
    return Instances(rows, max(str(part.get("price_as_of", "")) for part, _ in parts))


@dataclass(frozen=True, slots=True)
class _Told:
    """What a file says beside its rows: its sources by short name; and whether it is the user's word."""

    sources: Mapping[str, Any]
    cards: Gpus
    mine: bool


def _over(known: Instance | None, name: str, row: Mapping[str, Any], told: _Told) -> Instance:
    """Return a row laid over the one of its name before it: its fields beat the other's, its prices come besides."""
    before = {each: getattr(known, each) for each in _SAID} if known else {}
    said = {**before, **{each: row[each] for each in _SAID if each in row}}
    meant = told.cards.find(said["gpu"])
    prices = tuple(_price(each, told) for each in row.get("prices", ()))
    return Instance(
        name,
        **{**said, "gpu": meant[0].name if meant else said["gpu"]},
        prices=(*(known.prices if known else ()), *prices),
    )


def _price(row: Mapping[str, Any], told: _Told) -> Price:
    named = told.sources.get(row.get("source", ""), {})
    source, date = named.get("say", row.get("source", "")), row.get("date", named.get("date", ""))
    return Price(Purchase(row["buy"]), row["region"], float(row["usd"]), source, str(date), told.mine)
