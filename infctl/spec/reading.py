"""Owns the steps from plain values to typed ones: version, variables, `like`, forms, targets, rules, what is served.

Each step takes what the one before left, and says what is wrong with it to `Findings`. Imports pydantic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter

from infctl import __version__
from infctl.diagnostics import Code, InfctlError, error
from infctl.frozen import dataclass
from infctl.spec import like, rules, served, shape, variables
from infctl.spec.file import API_VERSION, File, VariableSpec
from infctl.spec.findings import Findings
from infctl.spec.interpolate import Interpolator
from infctl.spec.loader import BAD_NUMBER, YAML_FEATURE
from infctl.spec.model import SECRET
from infctl.spec.paths import listed, parse, texts
from infctl.spec.policy_rules import breaches, check_policies
from infctl.spec.problems import Problem, problem
from infctl.spec.sourcemap import Sources
from infctl.spec.state_section import check_state
from infctl.spec.versions import allows

if TYPE_CHECKING:
    from infctl.diagnostics import Diagnostic
    from infctl.spec.stack import Inputs
    from infctl.spec.types import TargetTypes

VERSION_UNSUPPORTED = Code(
    "version-unsupported",
    "The configuration asks for another version of infctl.",
    "Install a version that `requires` allows, or change `requires`.",
)
LOCAL = "local"  # name and type of the target of a stack that names none
_AS_WRITTEN = ("apiVersion", "requires", "variables", "state")  # sections that variables cannot stand in


@dataclass(frozen=True, slots=True)
class Typed:
    """A whole configuration in its typed form. `configs` has the type and the fields of every target."""

    file: File
    configs: Mapping[str, tuple[str, BaseModel]]


class Reading:
    """One run over one configuration."""

    def __init__(self, inputs: Inputs, types: TargetTypes, sources: Sources, told: list[Diagnostic]) -> None:
        self._inputs = inputs
        self._types = types
        self.found = Findings(sources, told)
        self.found.spoil(parse(each.path) for each in told if each.code in {BAD_NUMBER, YAML_FEATURE})

    def check_forms(self, values: Mapping[str, Any]) -> None:
        """Check no more than forms: some file could not be read, and what it says may be what another needs."""
        self.found.spoil(loc for loc, text in texts(values) if "${" in text)
        _, problems = shape.check(File, _with_names(values))
        self.found.add(each for each in problems if each.diagnostic.code != shape.MISSING_FIELD)

    def read(self, values: Mapping[str, Any]) -> Typed:
        """Return the typed form of `values`, without what is wrong: that is in `found`.

        Raises InfctlError at once where another version of infctl is asked for.
        """
        self._check_version(values.get("requires"))
        self.found.add(check_state(values))
        values = self._inherit(self._fill_in(values))
        file: File = self.found.check(File, _with_names(values), (), {"apiVersion": API_VERSION, "name": "stack"})
        kinds = self._kinds(file)
        configs = dict(self._configs(file, kinds))
        self.found.add(rules.check(file, rules.Context(kinds, frozenset(self._types.names()))))
        if any(SECRET in source.text for source in self.found.sources.files):
            self.found.add(rules.misplaced_secrets(values))
        self._judge(kinds, values)
        self.found.add(check_policies(file.policies))
        if not self.found.has_errors:  # what is missing may be what is wrong
            self.found.add(breaches(file.policies, values.get("models") or {}))
        return Typed(file, configs)

    def _check_version(self, requires: Any) -> None:
        if not isinstance(requires, str):
            return
        try:
            if allows(requires, __version__):
                return
        except ValueError as wrong:
            summary, hint = "requires cannot be read", 'write ">=0.1"'
            self.found.add([problem(shape.BAD_VALUE, summary, str(wrong), loc=("requires",), hint=hint)])
            return
        summary, detail = f"The configuration asks for infctl {requires}", f"this is infctl {__version__}"
        span, hint = self.found.sources.locate(("requires",)), VERSION_UNSUPPORTED.remedy
        raise InfctlError(error(VERSION_UNSUPPORTED, summary, detail, hint=hint, span=span, path="requires"))

    def _fill_in(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return `values` with every reference to a variable replaced."""
        named = values.get("variables")
        named = named if isinstance(named, dict) else {}
        declared: dict[str, VariableSpec] = {}
        if values.get("variables") is not None:
            adapter = TypeAdapter(dict[str, VariableSpec])
            declared = self.found.check(adapter, values["variables"], ("variables",)) or {}
        inputs = self._inputs
        given = variables.evaluate(declared, inputs.env, inputs.var_files, inputs.variables, inputs.root)
        self._tell_of_variables(given.problems)
        known = {**values, "variables": {name: named[name] for name in declared}}
        if not any("${" in source.text for source in self.found.sources.files):
            return known
        filling = Interpolator(given.known, named)
        filled = filling.replace({key: value for key, value in values.items() if key not in _AS_WRITTEN})
        self.found.add(filling.problems)
        self.found.spoil(filling.unresolved)
        return {**known, **filled}

    def _tell_of_variables(self, problems: tuple[Diagnostic, ...]) -> None:
        """Keep what is wrong with values of variables; one whose declaration is wrong cannot be missing."""
        for each in problems:
            loc = parse(each.path)
            missing = each.code == variables.MISSING_VARIABLE
            if loc and not (missing and self.found.is_spoiled(loc)):
                self.found.add_told([each.at(self.found.sources.locate(loc, at_key=missing))])
            elif not loc:
                self.found.add_told([each])

    def _inherit(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return `values` with everything that models take over from others."""
        models = values.get("models")
        if not isinstance(models, dict):
            return values
        inherited = like.inherit(models)
        self.found.add(inherited.problems)
        self.found.spoil(("models", name, "uri") for name in inherited.broken)  # who knows what it would have had
        self.found.sources = Sources(self.found.sources.files, inherited.likes)
        named = [each for name, model in models.items() for each in _own_name(name, model)]
        self.found.add(named)
        self.found.spoil(each.loc for each in named)
        return {**values, "models": inherited.models}

    def _kinds(self, file: File) -> dict[str, str]:
        """Return the type of each target, "" for one that is wrong; a stack that names no target runs here."""
        wrong = [each for name, target in file.targets.items() for each in _type_problem(name, target, self._types)]
        self.found.add(wrong)
        self.found.spoil(each.loc for each in wrong)
        kinds = {name: target.get("type") for name, target in file.targets.items()}
        return {name: kind if isinstance(kind, str) else "" for name, kind in kinds.items()} or {LOCAL: LOCAL}

    def _configs(self, file: File, kinds: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, BaseModel]]]:
        """Yield the targets whose fields their own provider has accepted."""
        for name, kind in kinds.items():
            fields = {key: value for key, value in file.targets.get(name, {}).items() if key != "type"}
            try:
                form = self._types.config(kind)
            except InfctlError as broken:
                self.found.add_told(broken.diagnostics)
                continue
            if form is None:
                continue
            config, problems = shape.check(form, fields, ("targets", name))
            self.found.add(problems)
            self.found.add(served.check_target(name, fields, form))
            for loc, text in texts(fields, ("targets", name)):
                if text.startswith(SECRET) and text.removeprefix(SECRET) not in file.secrets:
                    self.found.add([rules.unknown_secret(text.removeprefix(SECRET), file.secrets, loc)])
            if config is not None:
                yield name, (kind, config)

    def _judge(self, kinds: Mapping[str, str], values: Mapping[str, Any]) -> None:
        """Say what no code serves."""
        self.found.add(served.check_stack(values))
        self.found.add(served.check_types(kinds, self._types.names()))
        models = values.get("models")
        try:
            judge = served.Judge(kinds, self._types)
        except InfctlError as broken:
            self.found.add_told(broken.diagnostics)
            return
        for name, model in models.items() if isinstance(models, dict) else ():
            if isinstance(model, dict):
                self.found.add(judge.check(name, model))


def _own_name(name: str, model: Any) -> Iterator[Problem]:
    """`name` is ours: a field of the typed model, which a file cannot give."""
    if isinstance(model, dict) and "name" in model:
        detail, hint = "a model's key is its name", "take it out; served_names is what clients send"
        loc = ("models", name, "name")
        yield problem(shape.UNKNOWN_FIELD, "Unsupported field", detail, loc=loc, hint=hint, at_key=True)


def _type_problem(name: str, target: Mapping[str, Any], types: TargetTypes) -> Iterator[Problem]:
    kind, loc = target.get("type"), ("targets", name, "type")
    hint = f"say what it is: {listed(types.names() or (LOCAL,))}"
    if kind is None:
        yield problem(shape.MISSING_FIELD, "type is missing", "a target needs one", loc=loc, hint=hint, at_key=True)
    elif not isinstance(kind, str):
        yield problem(shape.WRONG_TYPE, "type has the wrong type", "expected a text", loc=loc, hint=hint)


def _with_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with each model's key as its `name`, which is also what clients call it by default."""
    given = {key: value for key, value in values.items() if value is not None}
    if isinstance(models := given.get("models"), dict):
        given["models"] = {
            name: {"served_names": [name], **model, "name": name} if isinstance(model, dict) else model
            for name, model in models.items()
        }
    return given
