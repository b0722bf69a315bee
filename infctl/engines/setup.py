"""Owns how an engine is started for one way of asking, as a value. Knows no engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from infctl.diagnostics import Code
from infctl.frozen import dataclass
from infctl.spec.problems import Problem

UNFIT_FOR_ENGINE = Code(
    "unfit-for-engine",
    "A field of a model asks its engine for what it cannot do, or what the model file does not hold.",
    "Change the field as the message says, name another model file, or choose another engine.",
)


@dataclass(frozen=True, slots=True)
class Setup:
    """How an engine is started, and what is wrong or doubtful about the asking.

    `args` holds every argument that infctl decides and those asked for, under the engine's own names; `command` is
    argv where the provider does not bring the engine; `port` 0 leaves it to the provider. Places of `problems` begin
    at the model.
    """

    args: Mapping[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    port: int = 0
    metrics_path: str = ""
    problems: tuple[Problem, ...] = ()
