"""Owns the `Stack`: a whole configuration, typed and right in itself, and the one function that makes it.

Imports pydantic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from infctl.diagnostics import Diagnostic, InfctlError, Severity, Span
from infctl.spec import files
from infctl.spec.model import Model
from infctl.spec.paths import parse
from infctl.spec.reading import Reading, Typed
from infctl.spec.secrets import SecretSource
from infctl.spec.sourcemap import Sources
from infctl.spec.types import TargetTypes


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a configuration is read from. Relative paths start at `root`, the stack's folder.

    `files` are files or folders; none is inference.yaml. `variables` are those of -var, still text; they win over
    `var_files`, and these, the later over the earlier, over INFCTL_VAR_name of `env`.
    """

    root: Path
    files: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    var_files: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """A place to run. `config` is an instance of its provider's own model."""

    name: str
    type: str
    config: BaseModel


@dataclass(frozen=True, slots=True)
class StateConfig:
    """Where state is kept. `options` are the backend's own fields."""

    backend: str = "local"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Move:
    """A model that was renamed."""

    from_: str
    to: str


@dataclass(frozen=True, slots=True)
class Stack:
    """A configuration that is right in itself. `files` are as they are shown to the user.

    `targets` is never empty; a model without `placement.order` lives on the first.
    """

    name: str
    requires: str
    root: Path
    files: tuple[str, ...]
    secrets: Mapping[str, SecretSource]
    state: StateConfig
    targets: Mapping[str, Target]
    models: Mapping[str, Model]
    moved: tuple[Move, ...]
    warnings: tuple[Diagnostic, ...]
    sources: Sources = field(repr=False)

    def locate(self, path: str, *, at_key: bool = False) -> Span | None:
        """Return where `models.chat.replicas` is written, or the nearest thing around it.

        Inherited fields stand where they were inherited from. The first call parses a file again, the others are cheap.
        """
        return self.sources.locate(parse(path), at_key=at_key)


def load_stack(inputs: Inputs, types: TargetTypes) -> Stack:
    """Return the stack that `inputs` describe. Raises InfctlError with every problem of every file."""
    read = files.read(inputs.root, inputs.files)
    values, twice = files.merge(read.sources)
    reading = Reading(inputs, types, Sources(read.sources), [*read.problems, *twice])
    if not read.whole:
        reading.check_forms(values)
        raise reading.found.failure()
    typed = reading.read(values)
    found = reading.found.pointed()
    if any(each.severity is Severity.ERROR for each in found):
        raise InfctlError(*found)
    return _assemble(inputs.root, reading.found.sources, typed, tuple(found))


def _assemble(root: Path, sources: Sources, typed: Typed, warnings: tuple[Diagnostic, ...]) -> Stack:
    file = typed.file
    return Stack(
        name=file.name,
        requires=file.requires or "",
        root=root,
        files=tuple(source.file for source in sources.files),
        secrets={
            name: SecretSource(name, secret.env or "", secret.file or "", secret.command or ())
            for name, secret in file.secrets.items()
        },
        state=StateConfig(file.state.backend, file.state.model_extra or {}),
        targets={name: Target(name, kind, config) for name, (kind, config) in typed.configs.items()},
        models=file.models,
        moved=tuple(Move(move.from_, move.to) for move in file.moved),
        warnings=warnings,
        sources=sources,
    )
