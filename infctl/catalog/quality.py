"""Owns what formats of weights cost in quality and give in speed, as others measured it, each figure with its source.

What `max_quality_loss` bounds: the mean of the losses measured for a format on models of the same family and about
the same size, where there are such, else of about the same size, for small models lose more, else on all. A loss is
relative: by how many percent of its own 16-bit score a model got worse. What nobody measured is not allowed, nor is
anything below four bits: that is for whoever names it. Knows no engine and no GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from infctl.catalog.files import read_rows
from infctl.frozen import dataclass

PLAIN: Final = frozenset({"bf16", "fp16", "fp32"})  # what losses are counted from
_NEAR: Final = 3.0  # times larger or smaller that is "about the same size"


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement. `loss` in percent of the 16-bit figure, `size` in thousands of millions of parameters."""

    method: str
    model: str
    family: str
    size: float
    loss: float
    scores: str
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Effect:
    """By how many percent more tokens a second a format gave than 16 bits, under a `load` (full or single)."""

    method: str
    engine: str
    gpu: str
    size: float
    load: str
    change: float
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Loss:
    """What a format is taken to cost: the mean in percent, never below 0, and the worst of the measurements of it.

    `like` says which they are: "this family and size", "this size", "all that were measured".
    """

    percent: float
    worst: float
    like: str
    rows: tuple[Measured, ...] = ()


@dataclass(frozen=True, slots=True)
class Qualities:
    """All measurements. `default_most` in percent; `opt_in` is how formats begin that are only for whoever names them;
    `as_good_as` maps formats without any measurement to one that bounds them.
    """

    losses: tuple[Measured, ...]
    effects: tuple[Effect, ...]
    opt_in: tuple[str, ...]
    default_most: float
    as_good_as: Mapping[str, str]
    as_of: str

    def loss(self, method: str, family: str = "", size: float = 0.0) -> Loss | None:
        """Return what `method` costs a model of `family` with `size` thousand millions of parameters; None where nobody
        measured it.
        """
        method = self.as_good_as.get(method, method)
        if method in PLAIN:
            return Loss(0.0, 0.0, "the format of the original")
        rows = tuple(row for row in self.losses if row.method == method)
        near = tuple(row for row in rows if size and 1 / _NEAR <= row.size / size <= _NEAR)
        kin = tuple(row for row in near if row.family == family)
        for found, like in ((kin, "this family and size"), (near, "this size"), (rows, "all that were measured")):
            if found:
                each = [row.loss for row in found]
                return Loss(max(0.0, sum(each) / len(each)), max(0.0, *each), like, found)
        return None

    def refuse(self, method: str, most: float | None, family: str = "", size: float = 0.0) -> str:
        """Return why `auto` may not take `method` when it may give up `most` percent (None: the default); "" if it may.

        For a format that a file names nobody asks this: whoever names it has decided.
        """
        bound = self.default_most if most is None else most
        if method.startswith(self.opt_in):
            return f"{method} has fewer than four bits: name it to have it"
        found = self.loss(method, family, size)
        if found is None:
            return f"nobody measured what {method} costs in quality"
        if found.percent > bound:
            return f"{method} costs {found.percent:.1f} % of quality ({found.like}), {bound:g} % may be given up"
        return ""


@cache
def quality(own: str = "") -> Qualities:
    """Return the measurements, with a user's own added. Raises InfctlError (bad-catalog)."""
    files = read_rows("quality", own)
    losses = tuple(Measured(**_whole(row, file)) for file in files for row in file.get("losses", ()))
    effects = tuple(Effect(**_whole(row, file)) for file in files for row in file.get("effects", ()))
    last = {key: file[key] for file in files for key in ("default_most", "as_of") if key in file}
    opt_in = tuple(name for file in files for name in file.get("opt_in", ()))
    as_good = {name: other for file in files for name, other in file.get("as_good_as", {}).items()}
    return Qualities(losses, effects, opt_in, float(last["default_most"]), as_good, str(last["as_of"]))


def _whole(row: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its source in full: a file may name its sources once and refer to them."""
    named = file.get("sources", {}).get(row.get("source", ""))
    said = {"source": named["say"], "date": str(named["date"])} if named else {}
    return {**row, "date": str(row.get("date", "")), **said}
