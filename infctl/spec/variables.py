"""Owns the values of variables: where they come from, which one wins, and that they have their types.

The later wins: default, INFCTL_VAR_name, the files of -var-file in their order, -var.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from infctl.diagnostics import Code, Diagnostic, Severity, error
from infctl.frozen import dataclass
from infctl.spec.file import VariableSpec
from infctl.spec.interpolate import UNKNOWN_VARIABLE
from infctl.spec.loader import load, load_bytes
from infctl.spec.paths import printable, quote, show
from infctl.spec.problems import MOST_TOLD, near
from infctl.spec.scalars import NoNumberError, resolve

MISSING_VARIABLE = Code(
    "missing-variable",
    "A variable without a default has no value.",
    "Set it with -var, in a file for -var-file, or as INFCTL_VAR_name.",
)
BAD_VARIABLE = Code(
    "bad-variable",
    "The value of a variable has not the type that its declaration says.",
    "Give a value of that type; a list or a map is written as in YAML: [a, b] or {a: 1}.",
)
PREFIX = "INFCTL_VAR_"
_WORDS = {
    "string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "list": "a list", "map": "a mapping",
}  # fmt: skip
_PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "list": (list,), "map": (dict,),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Given:
    """One value that somebody set. `text` is whether it came as text, to be read as its type says."""

    value: Any
    origin: str  # -var region, INFCTL_VAR_region, prod.yaml
    text: bool


@dataclass(frozen=True, slots=True)
class Values:
    """What variables are worth. `problems` have no place in the file but `path`; `names` has every one declared."""

    known: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Diagnostic, ...] = ()


def evaluate(
    declared: Mapping[str, VariableSpec],
    env: Mapping[str, str],
    files: tuple[Path, ...],
    assigned: Mapping[str, str],
    root: Path,
) -> Values:
    """Return the value of every declared variable that has a right one."""
    given, problems = _collect(declared, env, files, assigned, root)
    known: dict[str, Any] = {}
    for name, variable in declared.items():
        path, shown = show(("variables", name)), printable(name)
        if name in given:
            value, wrong = _typed(given[name], variable.type)
        elif "default" in variable.model_fields_set:
            value, wrong, path = variable.default, "", f"{path}.default"
            if value is not None and not _fits(value, variable.type):
                wrong = f"the default {quote(value)} is not {_WORDS[variable.type]}"
        else:
            about = f" ({printable(variable.description)})" if variable.description else ""
            hint = f"-var '{shown}=…', or a line `{shown}: …` in a file for -var-file, or export {PREFIX}{shown}=…"
            detail = f"it has no default{about}"
            problems.append(error(MISSING_VARIABLE, f"The variable {shown} has no value", detail, hint=hint, path=path))
            continue
        if wrong:
            summary = f"The variable {shown} has a wrong value"
            problems.append(error(BAD_VARIABLE, summary, wrong, hint=BAD_VARIABLE.remedy, path=path))
        else:
            known[name] = value
    return Values(known, tuple(problems))


def _collect(
    declared: Mapping[str, VariableSpec],
    env: Mapping[str, str],
    files: tuple[Path, ...],
    assigned: Mapping[str, str],
    root: Path,
) -> tuple[dict[str, Given], list[Diagnostic]]:
    given = {name: Given(env[PREFIX + name], PREFIX + name, True) for name in declared if PREFIX + name in env}
    problems: list[Diagnostic] = []
    for file in files:
        source, wrong = load(root / file, str(file))
        problems += wrong
        for name, value in source.value.items() if source else ():
            if name in declared:
                given[name] = Given(value, str(file), False)
            elif source and len(problems) < MOST_TOLD:  # a warning, as in Terraform: one file may serve several stacks
                problems.append(
                    _unknown(name, f"in {file}", declared, Severity.WARNING).at(source.locate((name,), at_key=True))
                )
    for name, text in assigned.items():
        if name in declared:
            given[name] = Given(text, f"-var {name}", True)
        else:
            problems.append(_unknown(name, "by -var", declared, Severity.ERROR))
    return given, problems


def _unknown(name: str, where: str, declared: Mapping[str, Any], severity: Severity) -> Diagnostic:
    hint = near(name, declared) or f"declare it: variables: {{{name}: {{type: string}}}}"
    return Diagnostic(severity, UNKNOWN_VARIABLE, f"{quote(name)} is set {where}, but not declared", hint=hint)


def _typed(given: Given, kind: str) -> tuple[Any, str]:
    """Return the value, or what is wrong with it."""
    value = _read(given.value, kind) if given.text else given.value
    if _fits(value, kind):
        return value, ""
    return None, f"{given.origin}: {quote(given.value)} is not {_WORDS[kind]}"


def _read(text: str, kind: str) -> Any:
    """Return what a text means to a type; the text itself where it means nothing."""
    if kind == "string":
        return text
    if kind in {"list", "map"}:
        source, wrong = load_bytes(f"value: {text}".encode(errors="surrogateescape"), "")
        return text if wrong or source is None else source.value.get("value")
    try:
        return resolve(text.strip())
    except NoNumberError:
        return text


def _fits(value: Any, kind: str) -> bool:
    return isinstance(value, _PYTHON[kind]) and (kind == "boolean" or not isinstance(value, bool))
