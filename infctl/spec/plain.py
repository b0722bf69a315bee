"""Owns a stack as plain JSON, and back: equal in all that it says, without YAML and without pydantic.

Models that differ in nothing but their names share the rest. What a mapping of the language is here has its fields
and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from infctl.secrets import SecretRef
from infctl.spec.stack import Move, Positions, Replicas, Stack, StateConfig, Target

if TYPE_CHECKING:
    from infctl.spec.model import Model

T = TypeVar("T")
_OWN = frozenset({"name", "served_names"})  # what models do not share, however alike they are


def stack_from(plain: dict[str, Any], root: Path, sources: Positions) -> Stack:
    """Return the stack that `stack_to_plain` was given; `sources` says where things are written."""
    return Stack(
        name=plain["name"],
        requires=plain["requires"],
        root=root,
        files=tuple(plain["files"]),
        secrets=_secrets(plain["secrets"]),
        state=StateConfig(*plain["state"]),
        targets={name: Target(name, kind, values) for name, (kind, values) in plain["targets"].items()},
        models=_models(plain["defaults"], plain["bodies"], plain["models"]),
        moved=tuple(Move(old, new) for old, new in plain["moved"]),
        warnings=(),
        sources=sources,
        policies=_decode(plain["policies"]),
    )


def stack_to_plain(stack: Stack) -> dict[str, Any]:
    """Return a stack that was read, and about which there is no warning. Raises TypeError where JSON has no word."""
    from infctl.spec.model import Model  # noqa: PLC0415  -- loaded already, by whoever read the stack

    state = stack.state
    bodies: dict[str, int] = {}
    models: dict[str, int | list[Any]] = {}
    for name, model in stack.models.items():
        said = {key: _encode(getattr(model, key)) for key in sorted(model.model_fields_set - _OWN)}
        index = bodies.setdefault(json.dumps(said), len(bodies))
        models[name] = index if model.served_names == (name,) else [index, model.served_names]
    fields = {key: field for key, field in Model.model_fields.items() if key not in _OWN}
    return {
        "name": stack.name,
        "requires": stack.requires,
        "files": stack.files,
        "secrets": {name: [source.env, source.file, source.command] for name, source in stack.secrets.items()},
        "state": [state.backend, state.options, state.encryption, state.secrets],
        "targets": {name: [target.type, _values(target)] for name, target in stack.targets.items()},
        "policies": _encode(stack.policies),
        "moved": [[move.from_, move.to] for move in stack.moved],
        "defaults": {key: _encode(field.get_default(call_default_factory=True)) for key, field in fields.items()},
        "bodies": [json.loads(body) for body in bodies],
        "models": models,
    }


class _Alike:
    """A model: its name is its own, all else is its class's, which it shares with the models that say the same."""

    __slots__ = ("name", "served_names")

    def __init__(self, name: str, served_names: tuple[str, ...]) -> None:
        self.name = name
        self.served_names = served_names


class _Part:
    """A mapping of the language: its fields, and equal to another with the same."""

    def __init__(self, fields: dict[str, Any]) -> None:
        vars(self).update(fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Part) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))


def with_fields(model: Model, changes: Mapping[str, Any]) -> Model:
    """Return `model` with other fields, whether it was read just now or kept."""
    if not changes:
        return model
    if isinstance(model, _Alike):
        kind = type("Model", (type(model),), {"__slots__": (), **changes})
        return cast("Model", kind(model.name, changes.get("served_names", model.served_names)))
    return model.model_copy(update=dict(changes))


def changed_part(part: T, **changes: Any) -> T:
    """Return a mapping of the language with other fields, whether it was read just now or kept."""
    if isinstance(part, _Part):
        return cast("T", _Part({**vars(part), **changes}))
    return cast("T", cast("Any", part).model_copy(update=changes))


def _secrets(plain: dict[str, list[Any]]) -> dict[str, Any]:
    if not plain:
        return {}
    from infctl.spec.secrets import SecretSource  # noqa: PLC0415  -- few stacks have any

    return {name: SecretSource(name, env, file, tuple(argv)) for name, (env, file, argv) in plain.items()}


def _models(defaults: Any, bodies: list[Any], rows: dict[str, int | list[Any]]) -> dict[str, Model]:
    """Return the models: for each body one class that holds it, for each model an instance with its names."""
    common = _decode(defaults)
    kinds = [type("Model", (_Alike,), {"__slots__": (), **common, **_decode(body)}) for body in bodies]
    found = {
        name: kinds[row](name, (name,)) if type(row) is int else kinds[row[0]](name, tuple(row[1]))  # type: ignore[index]  # int is excluded
        for name, row in rows.items()
    }
    return cast("dict[str, Model]", found)


def _decode(plain: Any) -> Any:
    """Return what `_encode` was given, mappings of the language as plain namespaces."""
    if isinstance(plain, list):
        return [_decode(each) for each in plain]
    if not isinstance(plain, dict):
        return plain
    if len(plain) == 1:
        (tag, inside), *_ = plain.items()
        if tag in _TAGS:
            return _TAGS[tag](inside)
    return {key: _decode(value) for key, value in plain.items()}


_TAGS: dict[str, Callable[[Any], Any]] = {
    "$tuple": lambda inside: tuple(_decode(inside)),
    "$part": lambda inside: _Part({key: _decode(value) for key, value in inside.items()}),
    "$replicas": lambda inside: Replicas(*inside),
    "$secret": lambda inside: SecretRef(*inside),
    "$map": lambda inside: {key: _decode(value) for key, value in inside},
}


def _values(target: Target) -> Mapping[str, Any]:
    """Return the plain values of a target, from which its provider is made again: they must say all of it."""
    config = target.config
    if config is None or type(config).model_validate(json.loads(json.dumps(target.values))) != config:
        raise TypeError(f"the config of {target.name} is more than its plain values")
    return target.values


def _encode(value: Any) -> Any:
    """Return a value of the language as JSON that says what it is. Raises TypeError for one that is none."""
    kind = type(value)
    if value is None or kind in {str, int, float, bool}:
        return value
    if kind is list:
        return [_encode(each) for each in value]
    if kind is tuple:
        return {"$tuple": [_encode(each) for each in value]}
    if kind is Replicas:
        return {"$replicas": list(value)}
    if kind is SecretRef:
        return {"$secret": [value.name, value.delivery, value.digest]}
    if kind is dict:
        tagged = any(str(key).startswith("$") for key in value)
        plain = {key: _encode(each) for key, each in value.items()}
        return {"$map": list(plain.items())} if tagged else plain
    if hasattr(kind, "model_fields") and not value.model_extra:
        return {"$part": {key: _encode(getattr(value, key)) for key in kind.model_fields}}
    raise TypeError(f"{kind.__name__} cannot be kept")
