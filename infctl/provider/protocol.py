"""Owns the provider protocol: six methods, and the optional abilities beside them.

A provider is a class registered under the entry-point group `infctl.providers`; its name there is what
`targets.X.type` says. Knows no provider and no SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from infctl.frozen import dataclass
from infctl.provider.errors import ProviderError
from infctl.provider.kinds import KindSpec
from infctl.provider.values import (
    Change,
    Desired,
    Emit,
    Health,
    Inventory,
    Observed,
    Reading,
    Scope,
    TargetWant,
)
from infctl.secrets import Secret

if TYPE_CHECKING:  # pydantic costs more to import than a no-op plan of a small stack
    from pydantic import BaseModel


def no_secret(name: str) -> Secret:
    raise ProviderError(f"The secret {name} cannot be had here", "nobody reads secrets in this context")


def no_key() -> bytes:
    raise ProviderError("There is no key to derive from here", "nobody keeps one in this context")


def unheard(*_words: str) -> None:
    """Follow nothing."""


@dataclass(frozen=True, slots=True)
class Context:
    """Whose work a provider does. `root` is the stack's folder (relative `file:` uris start there);
    `data` is a private 0700 folder of this stack and workspace where a provider may keep what it runs.
    `secret` reads a secret that the target's config refers to; `key` is the lineage's random key, from which a
    provider may derive (HMAC) what its objects need to trust each other. Both are asked only when they are needed.
    `looking` hears how far the look at each of several places is: its name, and "connect", "read" or "" at its end;
    from any thread.
    """

    target: str
    stack: str
    workspace: str
    lineage: str
    root: Path
    data: Path
    secret: Callable[[str], Secret] = no_secret
    key: Callable[[], bytes] = no_key
    looking: Callable[[str, str], None] = unheard


class Provider(Protocol):
    """What a place to run must be able to do. Constructed as `cls(config, context)`; connects only when asked.

    One place of many that is down goes into `Reading.unreadable`; raising for it fails the conformance suite.
    Everything else that goes wrong is raised as ProviderError.
    """

    config: ClassVar[type[BaseModel]]  # the fields of `targets.X` of this type, besides `type`; see also `form.form`
    kinds: ClassVar[Mapping[str, KindSpec]]
    serves: ClassVar[frozenset[str]]  # fields of a model it honours beyond the core's, as "expose.port"
    lowering: ClassVar[int]  # raised by one whenever `lower` says the same thing differently

    def __init__(self, config: BaseModel, context: Context) -> None: ...
    def inventory(self) -> Reading[Inventory]: ...
    def lower(self, want: TargetWant, have: Inventory) -> tuple[Desired, ...]: ...
    def observe(self, scope: Scope) -> Reading[tuple[Observed, ...]]: ...
    def apply(self, change: Change, emit: Emit) -> Observed | None: ...
    def probe(self, what: Observed) -> Health: ...
    def close(self) -> None: ...


@runtime_checkable
class SupportsLogs(Protocol):
    """The ability to show what a replica wrote."""

    def logs(self, what: Observed, *, tail: int, follow: bool) -> Iterator[str]:
        """Yield lines, oldest first; with `follow`, go on as new ones come."""
        ...


@runtime_checkable
class SupportsImages(Protocol):
    """The ability of a target whose replicas are containers to say what an image's tag stands for."""

    def resolve_image(self, image: str) -> str:
        """Return `image` with the digest that its tag has now: NAME@sha256:… Raises ProviderError."""
        ...


@runtime_checkable
class SupportsCheck(Protocol):
    """The ability to say what is wrong with a place before it is used (`infctl doctor`)."""

    def check(self) -> tuple[Finding, ...]: ...


@runtime_checkable
class SupportsBootstrap(Protocol):
    """The ability of a target with rights of its own to say which of them infctl needs (`infctl access bootstrap`)."""

    def bootstrap(self) -> str:
        """Return the least rights as the target takes them, as an IAM policy. Raises ProviderError."""
        ...


@runtime_checkable
class SupportsRehearsal(Protocol):
    """The ability to ask a place whether it would take a change, without making it."""

    def rehearse(self, change: Change) -> None:
        """Raise ProviderError where the place would refuse `change`. Changes nothing.

        In `change.after` what only apply can tell is UNKNOWN, and a secret is its reference; what cannot be asked
        because something it stands in is not there yet is no refusal. The object may be written by several steps.
        """
        ...


@runtime_checkable
class SupportsTidying(Protocol):
    """The ability of a target that makes things for a while to remove those that a killed run left."""

    def tidy(self, fence: int) -> None:
        """Remove what runs of this lineage with an older fence made for a while; a place that is down keeps it."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `infctl doctor`: what was looked at, whether it is well, and what mends it."""

    what: str
    ok: bool
    detail: str = ""
    hint: str = ""
