"""Owns finding one output of a state."""

from __future__ import annotations

from typing import Any

from infctl.diagnostics import Code, InfctlError, did_you_mean, error
from infctl.state.model import State

NO_SUCH_OUTPUT = Code(
    "no-such-output",
    "A name given to `output` is not an output of the last apply.",
    "`infctl output` lists them: MODEL.url, MODEL.urls, MODEL.revision, MODEL.engine.",
)


def output_of(state: State, name: str) -> Any:
    """Return the value of the output `name`. Raises InfctlError (no-such-output)."""
    if name not in state.outputs:
        hint = did_you_mean(name, state.outputs) or NO_SUCH_OUTPUT.remedy
        raise InfctlError(error(NO_SUCH_OUTPUT, f"There is no output {name!r}", hint=hint))
    return state.outputs[name]
