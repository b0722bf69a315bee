"""Owns checking a configuration without looking at any place: what is wrong with its files, and what is doubtful."""

from __future__ import annotations

from infctl.desired.decide import check_models
from infctl.diagnostics import Diagnostic, InfctlError
from infctl.ops.pins import containers_of
from infctl.ops.session import load
from infctl.ops.where import Where


def validate(where: Where) -> tuple[Diagnostic, ...]:
    """Return all errors and warnings of the files that `where` names; none where all is well.

    What engines cannot follow is looked for in a file that is right otherwise; no model file is read for it.
    """
    try:
        stack = load(where)
    except InfctlError as failure:
        return failure.diagnostics
    return (*stack.warnings, *check_models(stack, containers_of(stack)))
