"""Owns what an hour of a device costs where a target names no price: that of the instance that its place is rented as.

Knows no account: what a user pays by contract stands in a file of theirs, and beats every list.
"""

from __future__ import annotations

from infctl.catalog.instances import Instance, Price, Purchase, instances
from infctl.frozen import replace
from infctl.provider.values import Inventory, Place

_PAID = {"owned": Purchase.ON_DEMAND, "on_demand": Purchase.ON_DEMAND, "reserved": Purchase.RESERVED,
         "spot": Purchase.SPOT}  # fmt: skip


def with_prices(inventory: Inventory, own: str = "") -> Inventory:
    """Return the inventory with the catalogue's prices where none is told of an instance that it knows.

    `own` is the path of a user's catalogue. Raises InfctlError (bad-catalog).
    """
    if not any(_asks(place) for place in inventory.places):  # reading prices costs more than most inventories
        return inventory
    rows = instances(own)
    return replace(inventory, places=tuple(_priced(place, rows.find(place.instance)) for place in inventory.places))


def _asks(place: Place) -> bool:
    return bool(place.instance and place.devices) and place.price is None


def _priced(place: Place, row: Instance | None) -> Place:
    if row is None or not _asks(place):
        return place
    found = _price(place, row)
    if found is None:
        return place
    words = f"{row.name} in {found.region}, {found.purchase.replace('_', ' ')}: {found.source}, {found.date}"
    purchase = "on_demand" if place.purchase == "owned" else place.purchase  # what is rented is not owned
    return replace(place, price=found.usd / row.count, priced=words, purchase=purchase)


def _price(place: Place, row: Instance) -> Price | None:
    """Return the price in the place's region, else where it is least: the same for every plan, and said."""
    paid = _PAID[place.purchase]
    return row.price(paid, place.region) or row.price(paid)
