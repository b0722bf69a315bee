"""Owns making a `Stack` from its files: the one function that does, with every problem of every file told at once.

Imports pydantic.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from infctl.diagnostics import Diagnostic, InfctlError, Severity
from infctl.spec import files
from infctl.spec.model import Model
from infctl.spec.problems import Problem
from infctl.spec.reading import LOCAL, Reading, Typed
from infctl.spec.secrets import SecretSource
from infctl.spec.sourcemap import Sources
from infctl.spec.stack import Inputs, Move, Stack, Target
from infctl.spec.state_section import config_of
from infctl.spec.types import TargetTypes

IMAGE = "image"  # the field of a model that types of targets serve whose replicas are containers of images
CheckModels = Callable[[Mapping[str, Model], Collection[str], Collection[str]], Iterable[Problem]]


def load_stack(inputs: Inputs, types: TargetTypes, check_models: CheckModels = lambda *_: ()) -> Stack:
    """Return the stack that `inputs` describe. Raises InfctlError with every problem of every file.

    `check_models` tells what else is wrong with models; it is given them, the names of all targets, and of those that
    run containers of images.
    """
    read = files.read(inputs.root, inputs.files)
    values, twice = files.merge(read.sources)
    reading = Reading(inputs, types, Sources(read.sources), [*read.problems, *twice])
    if not read.whole:
        reading.check_forms(values)
        raise reading.found.failure()
    typed = reading.read(values)
    targets = {name: target.get("type") for name, target in typed.file.targets.items()} or {LOCAL: LOCAL}
    containers = [name for name, kind in targets.items() if _runs_images(kind, types)]
    reading.found.add(check_models(typed.file.models, targets, containers))
    found = reading.found.pointed()
    if any(each.severity is Severity.ERROR for each in found):
        raise InfctlError(*found)
    return _assemble(inputs.root, reading.found.sources, typed, tuple(found))


def _runs_images(kind: object, types: TargetTypes) -> bool:
    if not isinstance(kind, str) or kind not in types.names():
        return False
    try:
        return IMAGE in types.serves(kind)
    except InfctlError:  # a broken provider; told by `reading`
        return False


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
        state=config_of(file.state, {name: secret.model_dump() for name, secret in file.secrets.items()}),
        targets={
            name: Target(name, kind, config.model_dump(mode="json"), config)
            for name, (kind, config) in typed.configs.items()
        },
        models=file.models,
        moved=tuple(Move(move.from_, move.to) for move in file.moved),
        warnings=warnings,
        sources=sources,
        policies=file.policies,
    )
