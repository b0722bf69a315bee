"""Owns checking a configuration without looking at any place: what is wrong with its files, and what is doubtful."""

from __future__ import annotations

from infctl.diagnostics import Diagnostic, InfctlError
from infctl.ops.session import load
from infctl.ops.where import Where


def validate(where: Where) -> tuple[Diagnostic, ...]:
    """Return all errors and warnings of the files that `where` names; none where all is well.

    No model file is read.
    """
    try:
        return load(where).warnings
    except InfctlError as failure:
        return failure.diagnostics
