"""Owns what a host's proxy remembers beside its configuration: its routes, as they were asked for, and its door.

Pure. The configuration is made from this book; the book says what the configuration's digest was, so that a change
made by hand is seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from infctl.provider.values import Labels, Values, decode, encode

CONFIG, BOOK, NEXT, PEM, HOLD = "haproxy.cfg", "routes.json", "next.cfg", "door.pem", "hold.lua"


@dataclass(frozen=True, slots=True)
class Kept:
    """One route: its object, as `observe` gives it back."""

    name: str
    target: str
    labels: Labels
    values: Values
    outputs: Values


@dataclass(frozen=True, slots=True)
class Book:
    """`config` is the digest of the configuration's file, `door` the address of the host's door ("" for none),
    `proxy` the values of the proxy itself.
    """

    config: str = ""
    door: str = ""
    proxy: Values = field(default_factory=dict)
    routes: Mapping[str, Kept] = field(default_factory=dict)  # by the id of the object

    def with_route(self, kept: Kept) -> Book:
        return replace(self, routes={**self.routes, kept.labels.id: kept})

    def without(self, ident: str) -> Book:
        return replace(self, routes={key: kept for key, kept in self.routes.items() if key != ident})


def write_book(book: Book) -> bytes:
    routes = [encode(asdict(kept)) for kept in book.routes.values()]
    return json.dumps(
        {"config": book.config, "door": book.door, "proxy": encode(book.proxy), "routes": routes}, indent=1
    ).encode()


def parse_book(data: bytes) -> Book:
    """Raises ValueError naming what is wrong."""
    try:
        plain: dict[str, Any] = json.loads(data)
        kept = tuple(_kept(each) for each in plain["routes"])
        return Book(plain["config"], plain["door"], decode(plain["proxy"]), {one.labels.id: one for one in kept})
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a book of routes: {error}") from error


def _kept(plain: dict[str, Any]) -> Kept:
    labels, values, outputs = (decode(plain[name]) for name in ("labels", "values", "outputs"))
    return Kept(plain["name"], plain["target"], Labels(**labels), values, outputs)
