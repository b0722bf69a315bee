"""Owns the `Stack` as a value: a whole configuration, typed and right in itself. How one is made: `assemble`, `kept`.

Imports no pydantic: a file that is planned again is not read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from infctl.frozen import dataclass
from infctl.spec.paths import Loc, parse

if TYPE_CHECKING:
    from pydantic import BaseModel

    from infctl.diagnostics import Diagnostic, Span
    from infctl.spec.model import Model
    from infctl.spec.secrets import SecretSource
    from infctl.spec.vocabulary import Policies


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


class Replicas(NamedTuple):
    """How many replicas, over all targets: equal where the number is fixed. Without `max`, as many as the load needs;
    `min` where no load is said.
    """

    min: int
    max: int | None


@dataclass(frozen=True, slots=True)
class Target:
    """A place to run. `config` is an instance of its provider's own model, None where the stack was kept; `values` is
    the same as plain JSON, no secret in it.
    """

    name: str
    type: str
    values: Mapping[str, Any]
    config: BaseModel | None = None


@dataclass(frozen=True, slots=True)
class StateConfig:
    """Where state is kept, as plain values. `options` are the backend's own fields; `encryption` says where `key` and
    `previous` come from; `secrets` where those come from that `options` name. No secret is in it.
    """

    backend: str = "local"
    options: Mapping[str, Any] = field(default_factory=dict)
    encryption: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Move:
    """A model that was renamed."""

    from_: str
    to: str


class Positions(Protocol):
    """Where things are written. Looked up when something is wrong, which is seldom."""

    def locate(self, loc: Loc, *, at_key: bool = False) -> Span | None: ...


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
    sources: Positions = field(repr=False)
    policies: Policies | None = None

    def locate(self, path: str, *, at_key: bool = False) -> Span | None:
        """Return where `models.chat.replicas` is written, or the nearest thing around it.

        Inherited fields stand where they were inherited from. The first call parses a file again, the others are cheap.
        """
        return self.sources.locate(parse(path), at_key=at_key)
