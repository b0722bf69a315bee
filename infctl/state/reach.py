"""Owns keeping state's word on how places are reached up to date: the way that worked last. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from infctl.provider.values import Values
from infctl.state.model import State


def renew_reach(state: State, reaches: Mapping[str, Values], seen: Collection[str]) -> State:
    """Return `state` with what was `seen` (ids) on each target of `reaches` reached so from now on; the same value
    where nothing differs. What was not seen keeps the way it had: its host may have left the file.
    """
    stale = {
        ident: replace(thing, reach=reaches[thing.target])
        for ident, thing in state.resources.items()
        if ident in seen and thing.target in reaches and thing.reach != reaches[thing.target]
    }
    return replace(state, resources={**state.resources, **stale}) if stale else state
