"""Owns making a `Stack` from its files: the one function that does, with every problem of every file told at once.

Imports pydantic.
"""

from __future__ import annotations

from pathlib import Path

from infctl.diagnostics import Diagnostic, InfctlError, Severity
from infctl.spec import files
from infctl.spec.reading import Reading, Typed
from infctl.spec.secrets import SecretSource
from infctl.spec.sourcemap import Sources
from infctl.spec.stack import Inputs, Move, Stack, StateConfig, Target
from infctl.spec.types import TargetTypes


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
        targets={
            name: Target(name, kind, config.model_dump(mode="json"), config)
            for name, (kind, config) in typed.configs.items()
        },
        models=file.models,
        moved=tuple(Move(move.from_, move.to) for move in file.moved),
        warnings=warnings,
        sources=sources,
    )
