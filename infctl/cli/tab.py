"""Owns what Tab offers for a word that state knows: names of models, addresses of resources.

A shell waits for the answer, so what cannot be read offers nothing and says nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from infctl.cli.argv import double

if TYPE_CHECKING:
    from infctl.state.model import State

ASKED = "_INFCTL_COMPLETE"  # what a shell sets when it asks (see `cli.completion`)


def normalise_question() -> None:
    """Give click the shell's words as it wants them: a flag of one dash would be many flags of one letter to it."""
    for name in ("COMP_WORDS", "COMP_CWORD"):
        if name in os.environ:
            os.environ[name] = " ".join(map(double, os.environ[name].split(" ")))


def models(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the models that state knows and that begin so."""
    state = _state()
    return sorted(name for name in state.models if name.startswith(incomplete)) if state else []


def selectors(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return what -target may say and that begins so: `model.NAME`, `target.NAME`, and whole addresses."""
    state = _state()
    if state is None:
        return []
    things = state.resources.values()
    names = {f"model.{name}" for name in state.models} | {f"target.{thing.target}" for thing in things}
    return sorted(name for name in names | {str(thing.address) for thing in things} if name.startswith(incomplete))


def _state() -> State | None:
    from infctl.diagnostics import InfctlError
    from infctl.ops.stores import open_store
    from infctl.ops.where import Where

    where = Where()
    try:
        return open_store(where.root, where.env).load().current
    except InfctlError:
        return None
