"""Owns what a shared place must be able to do for `remote.store` to keep a state there: one head that is replaced only
if it still is the one that was seen, and parts beside it that are written once under names never used again.

Knows nothing of leases, journals and snapshots. The places themselves: the files beside this one.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from infctl.diagnostics import Code, InfctlError, error
from infctl.state.problems import STATE_UNREADABLE, STATE_UNWRITABLE

STATE_FORBIDDEN = Code(
    "state-forbidden",
    "Whoever runs infctl may not do this where the state is kept.",
    "Give these credentials the rights that docs/guides/state.md lists, or use others.",
)
NO_SUCH_PLACE = Code(
    "no-such-place",
    "The bucket, database or cluster that should keep the state is not there.",
    "Check `state:` in the file, or make the place first; infctl makes what it keeps inside of it, and no more.",
)
NO_FENCING = Code(
    "no-fencing",
    "The server that should keep the state takes writes that it has to refuse: a late run would overwrite a newer one.",
    "Use a server that checks what a write is conditional on, or another backend.",
)
EXTRA_MISSING = Code(
    "extra-missing",
    "What the file asks for needs a package that is not installed.",
    "Install it as the message says, then run the same command again.",
)
_AGAIN = "see that it can be reached, and run the same command again: it picks up where this one stopped"


class Version(NamedTuple):
    """The head as it was found. `tag` changes with every write, and never comes again while the head exists."""

    text: bytes
    tag: str


class Place(Protocol):
    """Keeps one head and its parts, of one workspace. Every method raises InfctlError when it cannot be known whether,
    or is sure that, nothing was done: state-unreadable, state-unwritable, state-forbidden, no-such-place.

    `holds_parts` is whether parts can be kept beside the head: without, the head has to hold everything.
    """

    @property
    def location(self) -> str: ...
    @property
    def holds_parts(self) -> bool: ...

    def read(self) -> Version | None: ...

    def write(self, text: bytes, seen: str) -> str:
        """Replace the head whose tag is `seen` ("": make it where there is none) by `text`, durably and at once.

        Return its new tag, "" where another head was found: then nothing was written.
        """
        ...

    def erase(self, seen: str) -> bool:
        """Remove the head if its tag is `seen`; False where it is another by now."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Keep a part durably. No name is given twice, but a try whose answer was lost may be made again."""
        ...

    def get(self, name: str) -> bytes | None: ...
    def drop(self, name: str) -> None: ...
    def names(self) -> tuple[str, ...]:
        """Return the names of all parts, in any order."""
        ...

    def workspaces(self) -> tuple[str, ...]:
        """Return the workspaces that have a head here."""
        ...

    def enter(self, ident: str, dead: str) -> bool:
        """Take what the place itself knows of locks as `ident`, from `dead` ("": from nobody); this process may have
        it already. False where another holds it. A place that knows no locks says True.
        """
        ...

    def leave(self) -> None:
        """Give back what this process has taken; no harm where it has nothing, or another has it by now."""
        ...


def unreadable(location: str, reason: str, hint: str = _AGAIN) -> InfctlError:
    return InfctlError(error(STATE_UNREADABLE, f"{location} cannot be read", reason, hint=hint))


def unwritable(location: str, reason: str, hint: str = _AGAIN) -> InfctlError:
    return InfctlError(error(STATE_UNWRITABLE, f"{location} cannot be written", reason, hint=hint))


def forbidden(location: str, reason: str, hint: str = STATE_FORBIDDEN.remedy) -> InfctlError:
    return InfctlError(error(STATE_FORBIDDEN, f"{location} may not be used", reason, hint=hint))


def absent(location: str, reason: str, hint: str = NO_SUCH_PLACE.remedy) -> InfctlError:
    return InfctlError(error(NO_SUCH_PLACE, f"{location} is not there", reason, hint=hint))


def no_fencing(location: str, problem: str, detail: str, hint: str = NO_FENCING.remedy) -> InfctlError:
    return InfctlError(error(NO_FENCING, f"{location} {problem}", detail, hint=hint, path="state"))


def missing_extra(backend: str, package: str, extra: str) -> InfctlError:
    return InfctlError(
        error(
            EXTRA_MISSING,
            f"State in {backend} needs {package}",
            f"{package} is not installed",
            hint=f"run: pip install 'infctl[{extra}]'",
            path="state.backend",
        )
    )
