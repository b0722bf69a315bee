"""Owns what the section `state:` says: which backend, its fields, where its key and its secrets come from.

Read alone by commands that ask state and nothing else: they find it where the rest of a file is wrong. So it holds no
variables: with other values of them another command would find another state. Imports pydantic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infctl.diagnostics import Code, InfctlError
from infctl.spec import files
from infctl.spec.backends import BACKENDS
from infctl.spec.file import KeySpec, StateSpec
from infctl.spec.findings import Findings
from infctl.spec.model import SECRET
from infctl.spec.paths import Loc, texts
from infctl.spec.problems import Problem, near, problem
from infctl.spec.rules import MISPLACED_SECRET, UNKNOWN_SECRET
from infctl.spec.served import NOT_SERVED
from infctl.spec.shape import BAD_VALUE, UNKNOWN_FIELD
from infctl.spec.shape import check as check_form
from infctl.spec.sourcemap import Sources
from infctl.spec.stack import StateConfig

VARIABLE_IN_STATE = Code(
    "variable-in-state",
    "The place of the state depends on a variable.",
    "Write it out: every command must find the same state. Other stages are other workspaces, or other files.",
)
SECTION = "state"
_SOURCES = ("env", "file", "command", "aws_kms")


def read_state(root: Path, asked: Sequence[Path]) -> StateConfig:
    """Return what the configuration in the folder `root` says of its state, however wrong the rest of it is.

    Raises InfctlError where this section is wrong, or nobody can tell what it says.
    """
    read = files.read(root, asked)
    values, _ = files.merge(read.sources)
    found = Findings(Sources(read.sources), () if read.whole else read.problems)
    section = values.get(SECTION)
    spec = found.check(StateSpec, section if section is not None else {}, (SECTION,)) if read.whole else None
    if spec is not None:
        found.add(check_state(values))
    if found.has_errors or spec is None:
        raise InfctlError(*found.pointed())
    return config_of(spec, values.get("secrets"))


def config_of(spec: StateSpec, secrets: Any) -> StateConfig:
    """Return the typed section as plain values. `secrets` is that section as it is written."""
    options = {key: value for key, value in (spec.model_extra or {}).items() if value is not None}
    written = spec.encryption.model_dump(mode="json", exclude_none=True) if spec.encryption else {}
    named = {text.removeprefix(SECRET) for _, text in texts(options) if text.startswith(SECRET)}
    declared = secrets if isinstance(secrets, dict) else {}
    sources = {name: _given(declared[name]) for name in sorted(named) if isinstance(declared.get(name), dict)}
    return StateConfig(spec.backend, options, written, sources)


def _given(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are there, as JSON would give them back."""
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in source.items() if value is not None
    }


def check_state(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the section beyond its form; `values` are the whole file's, before variables."""
    section = values.get(SECTION)
    if not isinstance(section, dict):
        return
    secrets = values.get("secrets")
    declared = secrets if isinstance(secrets, dict) else {}
    yield from _variables(section, declared)
    backend = section.get("backend", "local")
    if isinstance(backend, str) and backend in BACKENDS:
        yield from _fields(backend, {k: v for k, v in section.items() if k not in {"backend", "encryption"}}, declared)
    encryption = section.get("encryption")
    if encryption is not None and backend == "local":
        loc: Loc = (SECTION, "encryption")
        summary, hint = "A local state is not encrypted", "take it out, or keep the state elsewhere: backend: s3"
        yield problem(NOT_SERVED, summary, "no code does this", loc=loc, hint=hint, at_key=True)
    if isinstance(encryption, dict):
        for name in ("key", "previous"):
            if isinstance(encryption.get(name), dict):
                yield from _source((SECTION, "encryption", name), encryption[name])


def _variables(section: Mapping[str, Any], declared: Mapping[str, Any]) -> Iterator[Problem]:
    places = [*texts(section, (SECTION,))]
    for _, text in tuple(places):
        name = text.removeprefix(SECRET)
        if text.startswith(SECRET) and name in declared:
            places += texts(declared[name], ("secrets", name))
    for loc, text in places:
        if "${" in text:
            summary, detail = "The place of the state depends on a variable", "written out here, it is found by all"
            yield problem(VARIABLE_IN_STATE, summary, detail, loc=loc, hint=VARIABLE_IN_STATE.remedy)


def _fields(backend: str, fields: Mapping[str, Any], declared: Mapping[str, Any]) -> Iterator[Problem]:
    _, problems = check_form(BACKENDS[backend], fields, (SECTION,))
    for each in problems:
        told = each.diagnostic
        if told.code == UNKNOWN_FIELD and (hint := near(str(each.loc[-1]), ("backend", "encryption"))):
            yield problem(UNKNOWN_FIELD, told.summary, told.detail, loc=each.loc, hint=hint, at_key=True)
        else:
            yield each
    for loc, text in texts(fields, (SECTION,)):
        if text.startswith(SECRET) and loc != (SECTION, "password"):
            detail = "here it would be plain text"
            yield problem(MISPLACED_SECRET, "A secret is out of place", detail, loc=loc, hint="password: takes one")
        elif text.startswith(SECRET) and text.removeprefix(SECRET) not in declared:
            name = text.removeprefix(SECRET)
            hint = near(name, declared) or f"declare it: secrets: {{{name}: {{env: {name.upper()}}}}}"
            yield problem(
                UNKNOWN_SECRET, "No such secret", f'"{name}" is not declared under secrets', loc=loc, hint=hint
            )
    for field in ("url", "address", "lock_address", "unlock_address", "endpoint"):
        if isinstance(fields.get(field), str) and _has_password(fields[field]):
            hint = "take it out, and say password: secret://NAME"
            yield problem(
                BAD_VALUE, "A password is written down", "part of the address", loc=(SECTION, field), hint=hint
            )


def _has_password(address: str) -> bool:
    try:
        return bool(urlsplit(address).password) or "password=" in address
    except ValueError:
        return False


def _source(loc: Loc, source: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with where a key comes from: it has one source, and one that code serves."""
    _, problems = check_form(KeySpec, source, loc)
    given = [way for way in _SOURCES if source.get(way) is not None]
    if not problems and len(given) != 1:
        detail = f"{' and '.join(given)} are given" if given else "no source that is served"
        hint = "say where it is: {env: VARIABLE}, {file: PATH}, {command: [PROGRAM, ARGUMENT]} or {aws_kms: alias/NAME}"
        yield problem(BAD_VALUE, "A key has one source", detail, loc=loc, hint=hint, at_key=True)
