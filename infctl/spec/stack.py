"""Owns the way from files to a `Stack`: reads, merges, fills in, checks, and says everything that is wrong at once.

The order is: YAML, variables, `like`, forms, rules, what is served. What one step found wrong is taken out before
the next, so that no mistake is told twice. Imports pydantic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from infctl import __version__
from infctl.diagnostics import Code, Diagnostic, InfctlError, Severity, Span, error
from infctl.spec import files, like, rules, served, shape, variables
from infctl.spec.file import API_VERSION, File, VariableSpec
from infctl.spec.interpolate import Interpolator
from infctl.spec.loader import BAD_NUMBER, YAML_FEATURE
from infctl.spec.model import SECRET, Model
from infctl.spec.paths import Loc, parse, texts
from infctl.spec.problems import Problem, problem
from infctl.spec.secrets import SecretSource
from infctl.spec.sourcemap import Sources
from infctl.spec.types import TargetTypes
from infctl.spec.versions import allows

VERSION_UNSUPPORTED = Code(
    "version-unsupported",
    "The configuration asks for another version of infctl.",
    "Install a version that `requires` allows, or change `requires`.",
)
TOO_MANY_PROBLEMS = Code(
    "too-many-problems",
    "More is wrong than anyone wants to read at once.",
    "Mend what is shown, and run the command again.",
)
LOCAL = "local"  # name and type of the target of a stack that names none
MOST_TOLD = 1_000
_MOST_ROUNDS = 8  # of taking out what is wrong; each goes at least one level up
_AS_WRITTEN = ("apiVersion", "requires", "variables")  # sections that variables cannot stand in


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
    reading = _Reading(inputs, types, Sources(read.sources), [*read.problems, *twice])
    if not read.whole:
        reading.check_what_is_there(values)
        raise reading.failure()
    return reading.stack(values)


class _Reading:
    """One run of `load_stack`: what was found so far. `bad` are the places that something is wrong with."""

    def __init__(self, inputs: Inputs, types: TargetTypes, sources: Sources, told: list[Diagnostic]) -> None:
        self._inputs = inputs
        self._types = types
        self._sources = sources
        self._told = told
        self._problems: list[Problem] = []
        self._bad: set[Loc] = {parse(each.path) for each in told if each.code in {BAD_NUMBER, YAML_FEATURE}}

    def check_what_is_there(self, values: Mapping[str, Any]) -> None:
        """Check forms only: some file could not be read, and what it says may be what another needs."""
        self._bad |= {loc for loc, text in texts(values) if "${" in text}
        _, found = shape.check(File, _with_names(values))
        self._add([each for each in found if each.diagnostic.code != shape.MISSING_FIELD])

    def stack(self, values: Mapping[str, Any]) -> Stack:
        """Return the stack. Raises InfctlError with everything that is wrong."""
        self._check_version(values.get("requires"))
        values = self._fill_in(values)
        values = self._inherit(values)
        file = self._check(File, _with_names(values), (), {"apiVersion": API_VERSION, "name": "stack"})
        kinds = self._kinds(file)
        targets = self._targets(file, kinds)
        self._apply_rules(file, kinds, values)
        self._judge(kinds, values)
        found = self._pointed()
        if any(each.severity is Severity.ERROR for each in found):
            raise InfctlError(*found)
        return _assemble(self._inputs.root, self._sources, file, targets, found)

    def failure(self) -> InfctlError:
        return InfctlError(*self._pointed())

    # ------------------------------------------------------------ the steps

    def _check_version(self, requires: Any) -> None:
        """Raise at once where another version is asked for: what it knows, this one cannot judge."""
        if not isinstance(requires, str):
            return
        try:
            allowed = allows(requires, __version__)
        except ValueError as wrong:
            self._add([problem(shape.BAD_VALUE, "requires cannot be read", str(wrong), loc=("requires",), hint='write ">=0.1"')])
            return
        if not allowed:
            detail = f"this is infctl {__version__}"
            span = self._sources.locate(("requires",))
            summary = f"The configuration asks for infctl {requires}"
            raise InfctlError(
                error(VERSION_UNSUPPORTED, summary, detail, hint=VERSION_UNSUPPORTED.remedy, span=span, path="requires")
            )

    def _fill_in(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return `values` with every reference to a variable replaced."""
        declared: dict[str, VariableSpec] = {}
        inputs = self._inputs
        if values.get("variables") is not None:
            declared = self._check(TypeAdapter(dict[str, VariableSpec]), values["variables"], ("variables",), {}) or {}
        given = variables.evaluate(declared, inputs.env, inputs.var_files, inputs.variables, inputs.root)
        self._bad |= {parse(each.path) for each in given.problems if each.path}
        self._told += [each if each.span else each.at(self._place(each.path)) for each in given.problems]
        named = values["variables"] if isinstance(values.get("variables"), dict) else {}
        filling = Interpolator(given.known, named)
        written = {key: values[key] for key in _AS_WRITTEN if key in values}
        filled = filling.replace({key: value for key, value in values.items() if key not in written})
        self._add(filling.problems)
        self._bad |= filling.unresolved
        return {**filled, **written, "variables": {name: named[name] for name in declared}}

    def _place(self, path: str) -> Span | None:
        return self._sources.locate(parse(path), at_key=True) if path else None

    def _inherit(self, values: dict[str, Any]) -> dict[str, Any]:
        models = values.get("models")
        if not isinstance(models, dict):
            return values
        resolved, likes, problems = like.inherit(models)
        self._add(problems)
        self._bad |= {("models", each.loc[1], "uri") for each in problems}  # who knows what it would have had
        self._sources = Sources(self._sources.files, likes)
        return {**values, "models": resolved}

    def _kinds(self, file: File) -> dict[str, str]:
        """Return the type of each target, "" for one that is wrong; a stack that names no target runs here."""
        found = [problem for name, target in file.targets.items() for problem in _type_problem(name, target, self._types)]
        self._add(found)
        self._bad |= {each.loc for each in found}
        kinds = {name: target.get("type") for name, target in file.targets.items()}
        return {name: kind if isinstance(kind, str) else "" for name, kind in kinds.items()} or {LOCAL: LOCAL}

    def _targets(self, file: File, kinds: Mapping[str, str]) -> dict[str, Target]:
        """Return the targets whose fields their own provider has accepted."""
        targets: dict[str, Target] = {}
        for name, kind in kinds.items():
            fields = {key: value for key, value in file.targets.get(name, {}).items() if key != "type"}
            try:
                form = self._types.config(kind)
            except InfctlError as broken:
                self._told += broken.diagnostics
                continue
            if form is None:
                continue
            config, found = shape.check(form, fields, ("targets", name))
            self._add(found)
            for loc, text in texts(fields, ("targets", name)):
                if text.startswith(SECRET) and text.removeprefix(SECRET) not in file.secrets:
                    self._add([rules.unknown_secret(text.removeprefix(SECRET), file.secrets, loc)])
            if config is not None:
                targets[name] = Target(name, kind, config)
        return targets

    def _apply_rules(self, file: File, kinds: Mapping[str, str], values: Mapping[str, Any]) -> None:
        self._add(rules.check(file, rules.Context(kinds, frozenset(self._types.names()))))
        if any(SECRET in source.text for source in self._sources.files):
            self._add(rules.misplaced_secrets(values))

    def _judge(self, kinds: Mapping[str, str], values: Mapping[str, Any]) -> None:
        """Tell what no code serves."""
        self._add(served.check_stack(values))
        self._add(served.check_types(kinds, self._types))
        judge = served.Judge(kinds, self._types)
        for name, model in values.get("models", {}).items():
            if isinstance(model, dict):
                self._add(judge.check(name, model))

    # ------------------------------------------------------------ what was found

    def _check(self, form: Any, value: Any, at: Loc, required: Mapping[str, Any]) -> Any:
        """Return `value` in its typed form, without what is wrong in it; `required` stands in for what is missing."""
        for _ in range(_MOST_ROUNDS):
            typed, found = shape.check(form, value, at)
            if not found:
                return typed
            self._add(found)
            self._bad |= {each.loc for each in found}
            for each in found:
                value = _without(value, each.loc[len(at) :])
            value = {**required, **value} if isinstance(value, dict) else dict(required)
        return shape.check(form, dict(required), at)[0]

    def _add(self, found: Iterable[Problem]) -> None:
        self._problems += [each for each in found if not self._is_told(each)]

    def _is_told(self, found: Problem) -> bool:
        """Return whether the place was complained about before: what stands there now is not the user's word."""
        loc = found.loc
        if not self._bad or found.diagnostic.severity is Severity.WARNING:
            return False
        if found.diagnostic.code == shape.MISSING_FIELD and any(bad[: len(loc)] == loc for bad in self._bad):
            return True
        return any(loc[:depth] in self._bad for depth in range(1, len(loc) + 1))

    def _pointed(self) -> list[Diagnostic]:
        """Return everything found, each with its place, in the order of the files. What is inherited is told once."""
        pointed = [each.diagnostic.at(self._sources.locate(each.loc, at_key=each.at_key)) for each in self._problems]
        told = {(each.code, each.span or each.path or each.summary, each.detail): each for each in [*pointed, *self._told][::-1]}
        order = {source.file: index for index, source in enumerate(self._sources.files)}
        found = sorted(told.values(), key=lambda each: _rank(each.span, order))
        if len(found) <= MOST_TOLD:
            return found
        return [*found[:MOST_TOLD], error(TOO_MANY_PROBLEMS, f"{len(found) - MOST_TOLD} more problems are not shown")]


def _type_problem(name: str, target: Mapping[str, Any], types: TargetTypes) -> Iterator[Problem]:
    kind = target.get("type")
    loc = ("targets", name, "type")
    if kind is None:
        hint = f"say what it is, as type: {next(iter(types.names()), LOCAL)}"
        yield problem(shape.MISSING_FIELD, "type is missing", "a target needs one", loc=loc, hint=hint, at_key=True)
    elif not isinstance(kind, str):
        yield problem(shape.WRONG_TYPE, "type has the wrong type", "expected a text", loc=loc)


def _with_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with each model's key as its `name`, which is also what clients call it by default."""
    models = values.get("models")
    if not isinstance(models, dict):
        return {key: value for key, value in values.items() if value is not None}
    named = {
        name: {"served_names": [name], **model, "name": name} if isinstance(model, dict) else model
        for name, model in models.items()
    }
    return {**{key: value for key, value in values.items() if value is not None}, "models": named}


def _without(value: Any, loc: Loc) -> Any:
    """Return `value` without what stands at `loc`: without the whole list where it is in one."""
    if not isinstance(value, dict) or not loc or loc[0] not in value:
        return None
    head, *rest = loc
    inner = _without(value[head], tuple(rest)) if rest else None
    left = {key: item for key, item in value.items() if key != head}
    return left if inner is None else {**left, head: inner}


def _rank(span: Span | None, order: Mapping[str, int]) -> tuple[int, str, int, int]:
    return (-1, "", 0, 0) if span is None else (order.get(span.file, len(order)), span.file, span.line, span.column)


def _assemble(
    root: Path, sources: Sources, file: File, targets: dict[str, Target], warnings: Iterable[Diagnostic]
) -> Stack:
    secrets = {
        name: SecretSource(name, secret.env or "", secret.file or "", secret.command or ())
        for name, secret in file.secrets.items()
    }
    return Stack(
        name=file.name,
        requires=file.requires or "",
        root=root,
        files=tuple(source.file for source in sources.files),
        secrets=secrets,
        state=StateConfig(file.state.backend, file.state.model_extra or {}),
        targets=targets,
        models=file.models,
        moved=tuple(Move(move.from_, move.to) for move in file.moved),
        warnings=tuple(warnings),
        sources=sources,
    )
