"""Owns the plan file: a Plan as one JSON document, 0600, complete enough that apply needs nothing else.

Secrets are never in a plan, so never in its file. Knows nothing of what a plan means.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from infctl.address import Address, parse_address
from infctl.diagnostics import Code, Diagnostic, InfctlError, error
from infctl.plan.model import Plan
from infctl.provider.values import Ref, decode, encode
from infctl.secrets import SecretRef

FORMAT = "infctl-plan"
FORMAT_VERSION = 1
BAD_PLAN_FILE = Code(
    "bad-plan-file",
    "A file given as a plan is not one, is damaged, or comes from another version's format.",
    "Make it again with `infctl plan -out FILE`.",
)


def write_plan(plan: Plan, path: Path) -> None:
    """Write `plan` to `path`, mode 0600, whole or not at all. Raises InfctlError (bad-plan-file) when it cannot."""
    body = json.dumps(_plain(plan), separators=(",", ":"), sort_keys=True)
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, "sha256": hashlib.sha256(body.encode()).hexdigest()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{json.dumps(head, sort_keys=True)}\n{body}\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as failure:
        temporary.unlink(missing_ok=True)
        raise _bad(path, f"cannot be written: {failure.strerror}", "choose another place with -out") from failure


def read_plan(path: Path) -> Plan:
    """Return the plan in `path`. Raises InfctlError (bad-plan-file)."""
    try:
        head_line, _, body = path.read_text().rstrip("\n").partition("\n")
        head = json.loads(head_line)
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise _bad(path, "is not a plan that infctl wrote", "a plan comes from `infctl plan -out FILE`")
        if head.get("format_version") != FORMAT_VERSION:
            raise _bad(path, f"has format version {head.get('format_version')}, this infctl reads {FORMAT_VERSION}")
        if hashlib.sha256(body.encode()).hexdigest() != head.get("sha256"):
            raise _bad(path, "is damaged: its checksum does not match")
        plan: Plan = _value(json.loads(body), Plan)
    except OSError as failure:
        raise _bad(path, f"cannot be read: {failure.strerror}") from failure
    except (ValueError, KeyError, TypeError) as failure:
        raise _bad(path, "is not a plan that infctl wrote", "a plan comes from `infctl plan -out FILE`") from failure
    return plan


def _bad(path: Path, what: str, hint: str = BAD_PLAN_FILE.remedy) -> InfctlError:
    return InfctlError(error(BAD_PLAN_FILE, f"{path} {what}", hint=hint))


def _plain(value: Any) -> Any:
    if isinstance(value, Address):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Ref, SecretRef)):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return encode(value)


@cache
def _types(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _value(plain: Any, kind: Any) -> Any:
    """Return `plain` JSON as a value of the type `kind`."""
    origin = typing.get_origin(kind)
    if origin in {typing.Union, types.UnionType}:
        inner = next(arm for arm in typing.get_args(kind) if arm is not type(None))
        return None if plain is None else _value(plain, inner)
    if origin is tuple:
        arms = typing.get_args(kind)
        if arms[-1] is Ellipsis:
            return tuple(_value(item, arms[0]) for item in plain)
        return tuple(_value(item, arm) for item, arm in zip(plain, arms, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return decode(plain)
    if kind is Address:
        return parse_address(plain)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(plain)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if kind is Diagnostic:
            plain = {**plain, "code": Code.registry.get(plain["code"], BAD_PLAN_FILE)}
        hints = _types(kind)
        return kind(**{name: _value(item, hints[name]) for name, item in plain.items()})
    return decode(plain) if isinstance(plain, (dict, list)) else plain
