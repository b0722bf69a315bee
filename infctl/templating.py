"""Owns rendering: one strict Jinja environment over the templates that infctl ships.

A name that a template uses and nobody gives is an error, never an empty string. Knows no template by name.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import infctl

if TYPE_CHECKING:
    from jinja2 import Environment


def shipped(kind: str) -> Path:
    """Return the folder of shipped data of a kind ("templates", "stacks"): in the wheel, or in the source tree."""
    package = Path(infctl.__file__).parent
    inside = package / "_data" / kind
    return inside if inside.is_dir() else package.parent / kind


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415  # few commands render

    return Environment(
        loader=FileSystemLoader(shipped("templates")),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  # configuration files, not web pages
    )


def render(name: str, **values: object) -> str:
    """Return the template `name` filled in. Raises jinja2.UndefinedError when a value is missing."""
    return _environment().get_template(name).render(**values)
