"""Stacks read from real files, and what is decided about them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from infctl.desired.decide import Decisions, decide
from infctl.desired.facts import Facts, gather
from infctl.spec.assemble import load_stack
from infctl.spec.stack import Inputs, Stack
from infctl.spec.types import InstalledTypes
from tests.tiny_gguf import write_tiny_gguf


def quiet(path: Path, done: int, total: int) -> None:
    """Hear of progress and say nothing."""


def stack_of(root: Path, models: str, *, rest: str = "") -> Stack:
    """Return a stack whose `models:` are as given; the file m.gguf is there, trained with 2,048 tokens."""
    if not (root / "m.gguf").exists():
        write_tiny_gguf(root / "m.gguf")
    text = f"apiVersion: infctl/v1\nname: test\n{dedent(rest)}models:\n"
    text += "".join(f"  {line}\n" for line in dedent(models).strip().splitlines())
    (root / "inference.yaml").write_text(text)
    return load_stack(Inputs(root), InstalledTypes())


def facts_of(stack: Stack) -> Facts:
    return gather(stack, stack.root / ".cache", quiet)


def decided(stack: Stack) -> Decisions:
    return decide(stack, facts_of(stack))
