"""Owns the decisions: for each model and target, what it would be pinned to now, and how its engine is started.

Pure. Says everything that is wrong with the models at once. Knows nothing of the lock file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from infctl.desired.facts import Facts, file_asked
from infctl.diagnostics import Diagnostic, InfctlError, Severity, error
from infctl.engines.model_file import ModelFile
from infctl.engines.pin import Pin
from infctl.engines.resolve import asking, decide_pin, engine_of, inputs_of, set_up
from infctl.engines.setup import Setup
from infctl.sizing.memory import Need, need_of

if TYPE_CHECKING:
    from infctl.spec.model import Model
    from infctl.spec.stack import Stack

Key = tuple[str, str]  # model, target


@dataclass(frozen=True, slots=True)
class Decisions:
    """`pins` by (model, target) are what each would be pinned to now, `setups` and `needs` by model."""

    pins: Mapping[Key, Pin] = field(default_factory=dict)
    setups: Mapping[str, Setup] = field(default_factory=dict)
    needs: Mapping[str, Need | None] = field(default_factory=dict)
    warnings: tuple[Diagnostic, ...] = ()
