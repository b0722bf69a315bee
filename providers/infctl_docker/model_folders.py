"""Owns which models of this machine the hosts have already, in folders that both see: these are mounted, not copied.

Pure: `model_folders` of the target in, places on the hosts out.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from infctl_docker.lower import MODELS


class Mounted(NamedTuple):
    """A folder of the host, and where a container finds the model when it is mounted at MODELS."""

    folder: str
    path: str


def find_mounted(uri: str, root: Path, folders: Mapping[str, str]) -> Mounted | None:
    """Return where hosts have the model of a `file:` uri, None where they have not. `root` is the stack's folder."""
    if not folders or not uri.startswith("file:"):
        return None
    model = PurePosixPath(os.path.normpath(root / uri.removeprefix("file:").removeprefix("//")))
    for here, there in sorted(folders.items(), key=lambda each: -len(each[0])):
        folder = os.path.normpath(root / here)
        if model.is_relative_to(folder):
            return Mounted(there, str(PurePosixPath(MODELS) / model.relative_to(folder)))
    return None
