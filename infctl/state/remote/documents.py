"""Owns a shared place over documents that must be small: texts are compressed, and parts cut into several documents.

The head is one document, for it must be replaced at once; all else is named by it, and written before. Knows no kind.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TypeVar

from infctl.diagnostics import InfctlError
from infctl.provider.documents import Documents
from infctl.provider.errors import ProviderError
from infctl.state.problems import damaged
from infctl.state.remote.place import Version, unreadable, unwritable
from infctl.state.store import DEFAULT_WORKSPACE

T = TypeVar("T")
_HEAD = "head"
_WORKSPACES = "workspaces/"


class DocumentsPlace:
    """The state of one workspace in documents: head, PART/0, PART/1 …; those of others below workspaces/NAME/."""

    holds_parts = True

    def __init__(self, documents: Documents, workspace: str) -> None:
        self._documents = documents
        self._base = "" if workspace == DEFAULT_WORKSPACE else f"{_WORKSPACES}{workspace}/"
        self.location = f"{documents.location}{f'/{workspace}' if self._base else ''}"

    def read(self) -> Version | None:
        found = self._reading(lambda: self._documents.read(self._base + _HEAD))
        return Version(self._unpacked(found[0], _HEAD), found[1]) if found else None

    def write(self, text: bytes, seen: str) -> str:
        packed = zlib.compress(text)
        if len(packed) > self._documents.most_bytes:
            reason = f"its head has {len(packed)} bytes, and {self._documents.most_bytes} are the most"
            raise unwritable(self.location, reason, "keep this state in S3 or PostgreSQL: infctl state migrate")
        return self._writing(lambda: self._documents.write(self._base + _HEAD, packed, seen))

    def erase(self, seen: str) -> bool:
        return self._writing(lambda: self._documents.drop(self._base + _HEAD, seen))

    def put(self, name: str, data: bytes) -> None:
        """Write the documents of a part, the first last: it says how many there are."""
        packed, most = zlib.compress(data), self._documents.most_bytes - len("9999\n")
        pieces = [packed[at : at + most] for at in range(0, len(packed), most)]
        pieces[0] = b"%d\n" % len(pieces) + pieces[0]
        for number in reversed(range(len(pieces))):
            self._put_one(f"{self._base}{name}/{number}", pieces[number])

    def _put_one(self, name: str, data: bytes) -> None:
        def put() -> None:
            while not self._documents.write(name, data, ""):  # a try before this one left it
                self._documents.drop(name)

        self._writing(put)

    def get(self, name: str) -> bytes | None:
        first = self._piece(name, 0)
        if first is None:
            return None
        count, _, rest = first.partition(b"\n")
        if not count.isdigit():
            raise damaged(f"{self.location} ({name})", "it does not say of how many documents it is")
        pieces = [self._piece(name, number) for number in range(1, int(count))]
        if any(each is None for each in pieces):
            raise damaged(f"{self.location} ({name})", f"not all of its {int(count)} documents are there")
        return self._unpacked(b"".join((rest, *(each or b"" for each in pieces))), name)

    def _piece(self, name: str, number: int) -> bytes | None:
        found = self._reading(lambda: self._documents.read(f"{self._base}{name}/{number}"))
        return found[0] if found else None

    def drop(self, name: str) -> None:
        """Remove the documents of a part, the last first: while there is the first, the others can be found."""
        self._writing(lambda: self._drop(f"{self._base}{name}/"))

    def _drop(self, prefix: str) -> None:
        numbers = [int(each.removeprefix(prefix)) for each in self._documents.names() if each.startswith(prefix)]
        for number in sorted(numbers, reverse=True):
            self._documents.drop(f"{prefix}{number}")

    def names(self) -> tuple[str, ...]:
        """Return the parts, also those of which a killed run wrote but some documents."""
        found = [name for name in self._all() if name.startswith(self._base)]
        parts = (name.removeprefix(self._base).rpartition("/")[0] for name in found)
        return tuple(dict.fromkeys(part for part in parts if part and not part.startswith(_WORKSPACES)))

    def workspaces(self) -> tuple[str, ...]:
        heads = (name.removeprefix(_WORKSPACES) for name in self._all() if name.startswith(_WORKSPACES))
        return tuple(name.removesuffix(f"/{_HEAD}") for name in heads if name.endswith(f"/{_HEAD}"))

    def enter(self, ident: str, dead: str) -> bool:  # noqa: ARG002  -- the head is the lock
        return True

    def leave(self) -> None:
        """The head is the lock."""

    def _all(self) -> tuple[str, ...]:
        return self._reading(self._documents.names)

    def _unpacked(self, data: bytes, name: str) -> bytes:
        try:
            return zlib.decompress(data)
        except zlib.error as failure:
            raise damaged(f"{self.location} ({name})", f"it cannot be unpacked: {failure}") from failure

    def _reading(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except ProviderError as failure:
            raise self._told(failure, unreadable) from failure

    def _writing(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except ProviderError as failure:
            raise self._told(failure, unwritable) from failure

    def _told(self, failure: ProviderError, failed: Callable[..., InfctlError]) -> InfctlError:
        said = failure.diagnostics[0]
        reason = f"{said.summary}{': ' if said.detail else ''}{said.detail}"
        return failed(self.location, reason, *((said.hint,) if said.hint else ()))
