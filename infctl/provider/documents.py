"""Owns how a plugin offers to keep small documents with conditional writes, for what the core keeps for a whole team.

Entry-point group `infctl.documents`: a name and a function `(config, collection) -> Documents`. Knows nothing of what
is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from infctl.installed import entry_points


class Documents(Protocol):
    """The documents of one collection. Every method raises ProviderError when it cannot be known whether anything was
    done. `most_bytes` is how long one may be; `location` is for people.
    """

    @property
    def location(self) -> str: ...
    @property
    def most_bytes(self) -> int: ...

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Return a document and its tag, which is another after each write."""
        ...

    def write(self, name: str, data: bytes, seen: str) -> str:
        """Replace the document whose tag is `seen` ("": make it where there is none) and return its new tag.

        Return "" where another was found: then nothing was written.
        """
        ...

    def drop(self, name: str, seen: str = "") -> bool:
        """Remove a document if its tag is `seen` ("": whatever it is); False where it is not there, or another."""
        ...

    def names(self) -> tuple[str, ...]: ...


Open = Callable[[Mapping[str, str], str], Documents]


def find_documents(kind: str) -> Open | None:
    """Return what opens documents of this kind, None where no installed plugin does. Raises ImportError."""
    found = entry_points("infctl.documents").get(kind)
    opened: Open | None = found.load() if found else None
    return opened
