"""Owns what is wanted of one model on one target, as a value: all that the planner needs of it."""

from __future__ import annotations

from infctl.diagnostics import Diagnostic
from infctl.frozen import dataclass
from infctl.provider.values import Deployment
from infctl.sizing.memory import Need


@dataclass(frozen=True, slots=True)
class Wanted:
    """One wish. The deployment's revision is 0: the planner numbers it. `path` is the model's place in the file
    ("models.chat"); `protect_path` its `protect` line, "" where it is not protected: both for `Stack.locate`.

    `cannot_start` is the error to report if a replica of this has to be started, None when it can be: what runs
    already may run on. `need` is the memory of one replica, None where nobody knows.
    """

    target: str
    deployment: Deployment
    path: str
    protect_path: str = ""
    need: Need | None = None
    cannot_start: Diagnostic | None = None
