"""Owns how tests of the language write a configuration and read what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from infctl.diagnostics import Diagnostic, InfctlError
from infctl.spec.assemble import load_stack
from infctl.spec.stack import Inputs, Stack
from tests.fakes.target_types import FakeTypes

HEAD = "apiVersion: infctl/v1\nname: shop\n"


def load(folder: Path, text: str, *, head: str = HEAD, variables: Mapping[str, str] | None = None) -> Stack:
    """Return the stack that `text` is, below the two lines that every one has."""
    (folder / "inference.yaml").write_text(head + text)
    return load_stack(Inputs(folder, variables=variables or {}), FakeTypes())


def failure(inputs: Inputs) -> tuple[Diagnostic, ...]:
    with pytest.raises(InfctlError) as failed:
        load_stack(inputs, FakeTypes())
    return failed.value.diagnostics
