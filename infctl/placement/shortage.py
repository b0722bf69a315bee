"""Owns what is said where there is no room: what is missing on each place, and the ways out. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from infctl.diagnostics import Code, Diagnostic, error
from infctl.placement.clash import Clash
from infctl.placement.fit import in_words, share_in_words
from infctl.placement.parties import Missing
from infctl.placement.shape import Site, is_of, usable

NO_ROOM = Code(
    "no-room",
    "A target has not enough free memory or devices for what the file asks of it.",
    "Ask for fewer replicas, a smaller context or a smaller model, or free memory on the target.",
)
_GIB = 1024**3
_MOST_SAID = 12  # places that are listed


def no_room(missing: Missing, clash: Clash | None = None) -> Diagnostic:
    """Return the error that says why a replica fits nowhere on its targets, and what would be enough."""
    party, seat, sites = missing.party, missing.seat, missing.sites
    targets = " and ".join(target for target, _ in seat.choices)
    lines = [_lack(missing, site) for site in sites[:_MOST_SAID]]
    if len(sites) > _MOST_SAID:
        lines.append(f"and {len(sites) - _MOST_SAID} more")
    if not sites:
        lines = [f"no place of {targets} could be read"]
    clash = clash or Clash()
    if len(clash.demands) > 1 or any(" with " in demand for demand in clash.demands):
        lines += ["these cannot all hold:", *(f"  {demand}" for demand in clash.demands)]
    beside = f"{missing.count} replicas of {party.model}" if missing.count > 1 else party.model
    return error(
        NO_ROOM,
        f"{targets} {'have' if seat.elsewhere else 'has'} no room for {beside}",
        "\n".join((f"{'each needs' if missing.count > 1 else 'needs'} {in_words(seat.asked)}", *lines)),
        hint="; or ".join(_ways_out(missing, clash.ways)),
        path=f"models.{party.model}",
        address=f"model.{party.model}",
    )


def _lack(missing: Missing, site: Site) -> str:
    """Return what a place lacks, the devices first: they are the scarcest."""
    asked = dict(missing.seat.choices)[site.target]
    name = "/".join(filter(None, (site.target, site.place.name))) if missing.seat.elsewhere else site.place.name
    islands, every = usable(site.shape, site.have, asked), len(site.place.devices)
    found = max(map(len, islands), default=0)
    if asked.devices and not every:
        return f"{name}: it has no GPU"
    if asked.devices and not any(is_of(asked, slot) for slot in site.shape.slots):
        return f"{name}: it has no {asked.product}"
    if found < asked.devices:
        has = "none" if not found else str(found)
        such = " free" if asked.is_whole else f" with {share_in_words(asked)} free"
        such += " in one island of fast links" if len(islands) > 1 else ""
        return f"{name}: {has} of its {every} GPUs{such}"
    if site.have[0] < asked.memory:
        return f"{name}: {max(0, site.have[0]) / _GIB:.1f} GiB of memory free"
    if not missing.party.spread:
        return f"{name}: no more of {site.target}'s places may be begun"
    if missing.party.spread == "zone":
        zone = f"its zone {site.place.zone}" if site.place.zone else "a host without a zone, as it is"
        return f"{name}: a replica is in {zone}, and placement.spread is zone"
    return f"{name}: a replica is there already, and placement.spread is host"


def _ways_out(missing: Missing, ways: tuple[str, ...]) -> Iterator[str]:
    """Yield `ways`, which are known to be enough, and what else may be."""
    asked, model = missing.seat.asked, missing.party.model
    yield from ways
    if asked.is_whole:
        yield f"with models.{model}.gpu.memory ask for a part of a GPU"
    elif asked.devices:
        yield f"ask for less with models.{model}.gpu"
    elif not ways:
        yield "ask for fewer replicas, a smaller context or a smaller model"
    last = missing.seat.choices[-1][0]
    yield f"give {last} another host, or models.{model}.placement.order another target"
