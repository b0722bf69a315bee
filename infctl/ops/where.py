"""Owns which stack a command means, and who asks. Values only; reads nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path

from infctl.frozen import dataclass

CONFIG = "inference.yaml"


@dataclass(frozen=True, slots=True)
class Where:
    """`root` is the stack's folder: relative uris start there, state is kept there. `files` are those of -file.

    `env` is the process's environment: INFCTL_VAR_x, INFCTL_WORKSPACE, secrets given as `env:`.
    """

    root: Path = Path()
    files: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    var_files: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def has_file(self) -> bool:
        """Whether there is a configuration: state can be emptied where it is gone."""
        return bool(self.files) or (self.root / CONFIG).exists()


def now() -> str:
    """Return the time as states write it: UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
