"""Owns what a decision looks like over all loads: one replica from hardly any requests to too many. Pure."""

from __future__ import annotations

from infctl.sizing.assess import load_of
from infctl.sizing.capacity import STABLE
from infctl.sizing.decision import Decision, Load, Offer
from infctl.sizing.server import most
from infctl.sizing.setup import Need, Setup, Way

POINTS = 40


def setup_of(need: Need, decision: Decision) -> Setup | None:
    """Return the setup that a decision is of, with its limits; None on a host without GPUs."""
    if decision.gpu is None:
        return None
    offer = Offer(decision.target, (decision.gpu,), free_gib=decision.free_gib)
    way = Way(
        offer, decision.engine, decision.engine_version, decision.precision, decision.kv_dtype, decision.gpu,
        decision.tensor, decision.pipeline, decision.quality_loss,
    )  # fmt: skip
    return Setup(need, way, decision.batching.max_num_seqs, decision.batching.max_num_batched_tokens)


def curve(need: Need, decision: Decision, points: int = POINTS) -> tuple[Load, ...]:
    """Return one replica at so many rates, up to the most that it takes up; nothing where speed is not known."""
    setup = setup_of(need, decision)
    if setup is None or setup.server is None:
        return ()
    highest = STABLE * most(setup.server)
    return tuple(load_of(setup, highest * (index + 0.5) / points) for index in range(points))


def breaking_rate(need: Need, decision: Decision) -> float | None:
    """Return the requests a second at which one replica's queue grows without end."""
    setup = setup_of(need, decision)
    return most(setup.server) if setup is not None and setup.server is not None else None
