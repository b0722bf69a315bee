"""Owns a server that speaks Terraform's HTTP protocol as a shared place: one document, and a lock with an id.

GET, POST and DELETE of the document, LOCK and UNLOCK with a JSON of who holds it; a write carries ?ID=LOCK. The server
has to refuse a write and an unlocking under another id: that is the fence, and it is tried before it is trusted. All
that is kept goes into the document, which every write carries whole.
Source: developer.hashicorp.com/terraform/language/backend/http.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from infctl.frozen import replace
from infctl.secrets import Secret
from infctl.state import lease
from infctl.state.holder import Holder
from infctl.state.remote.head import Head, checksum, decode, encode
from infctl.state.remote.place import Version, absent, no_fencing, unreadable, unwritable
from infctl.state.remote.web import Answer, Web
from infctl.state.store import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    from infctl.spec.backends import HttpState

T = TypeVar("T")
_RUN, _MOMENT = "a run", "a moment's write"  # what a lock is held for
_LONGEST_MOMENT, _PAUSE = 5.0, 0.1  # seconds: for how long such a moment is waited for, and how often it is asked
_HELD = frozenset({409, 423})
_NONE = frozenset({204, 404})


class Addresses(NamedTuple):
    """Where a workspace's document is, and how it is spoken to."""

    state: str
    lock: str
    unlock: str
    update_method: str = "POST"
    lock_method: str = "LOCK"
    unlock_method: str = "UNLOCK"


class Document(NamedTuple):
    """What the server holds: the head's text, and in the default workspace the names of the others."""

    head: bytes
    workspaces: tuple[str, ...]
    as_found: bytes = b""


class HttpPlace:
    """The state of one workspace on a server. `index` is where the default workspace's is, which names the others."""

    holds_parts = False  # so that nobody asks for any

    def __init__(
        self, web: Web, addresses: Addresses, workspace: str, index: HttpPlace | None, *, fenced: bool
    ) -> None:
        self._web, self._at, self._workspace, self._index = web, addresses, workspace, index
        self._fenced = fenced  # whether the server need not be tried
        self._ident = ""  # the lock that this process holds on the server
        self._refusal: lease.Held | None = None  # who holds it instead, where that was said
        self.location = addresses.state

    # ---------------------------------------------------------------- the document

    def read(self) -> Version | None:
        found = self._get()
        text = found.head if found else b""
        if self._refusal and not self._ident:
            text = self._as_locked(text)
        return Version(text, checksum(found.head) if found and found.head else "") if text else None

    def _as_locked(self, text: bytes) -> bytes:
        """Return the head with the lock that the server still says is held, where the head knows of none: its holder
        is about to give it back, or was killed before it could write it down.
        """
        head = decode(text, self.location) if text else Head()
        if head.lock:
            return text
        if self._enter(secrets.token_hex(8), _MOMENT):
            self.leave()
        holder = self._refusal
        return encode(replace(head, lock=lease.encode(holder).decode())) if holder else text

    def write(self, text: bytes, seen: str) -> str:
        return self._alone(lambda: self._write(text, seen))

    def _write(self, text: bytes, seen: str) -> str:
        found = self._get()
        if (checksum(found.head) if found and found.head else "") != seen:
            return ""
        if not seen and self._index:
            self._index.list_workspace(self._workspace, there=True)
        posted = self._post(Document(text, found.workspaces if found else ()), self._ident)
        return checksum(text) if posted else ""

    def erase(self, seen: str) -> bool:
        found = self._get()
        if (checksum(found.head) if found else "") != seen:
            return False
        answer = self._web.ask("DELETE", self._at.state, query=self._ident)
        if not answer.ok and answer.status not in _NONE:
            raise unwritable(self.location, answer.said)
        if self._index:
            self._index.list_workspace(self._workspace, there=False)
        return True

    def _get(self) -> Document | None:
        answer = self._web.ask("GET", self._at.state)
        if answer.status in _NONE or (answer.ok and not answer.body):
            return None
        if not answer.ok:
            raise unreadable(self.location, answer.said)
        return _document(answer.body)

    def _post(self, document: Document, ident: str) -> bool:
        """Write the document under the lock `ident`; False where the server says that this is not the lock's."""
        answer = self._web.ask(self._at.update_method, self._at.state, _text(document), query=ident)
        if answer.status in _HELD:
            return False
        if not answer.ok:
            raise unwritable(self.location, answer.said)
        return True

    # ---------------------------------------------------------------- other workspaces

    def workspaces(self) -> tuple[str, ...]:
        if self._index:
            return self._index.workspaces()
        found = self._get()
        return found.workspaces if found else ()

    def list_workspace(self, name: str, *, there: bool) -> None:
        """Write down, in the default workspace's document, that a workspace is there or no more."""

        def edit() -> None:
            found = self._get() or Document(b"", ())
            names = {*found.workspaces, name} if there else {*found.workspaces} - {name}
            if names != set(found.workspaces):
                self._post(Document(found.head, tuple(sorted(names))), self._ident)

        self._alone(edit)

    # ---------------------------------------------------------------- parts: the document holds everything

    def names(self) -> tuple[str, ...]:
        return ()

    def get(self, name: str) -> bytes | None:  # noqa: ARG002  -- there is none
        return None

    def put(self, name: str, data: bytes) -> None:
        """A document that could not be read is not kept: the server has its versions, if anybody does."""

    def drop(self, name: str) -> None:
        """There is none."""

    # ---------------------------------------------------------------- the server's lock

    def enter(self, ident: str, dead: str) -> bool:
        if self._ident:
            return True
        if dead:
            self._unlock(dead)
        return self._enter(ident, _RUN)

    def _enter(self, ident: str, operation: str) -> bool:
        answer = self._lock(ident, operation)
        until = time.monotonic() + _LONGEST_MOMENT
        while answer.status in _HELD and _holder(answer.body).operation == _MOMENT and time.monotonic() < until:
            time.sleep(_PAUSE)
            answer = self._lock(ident, operation)
        if answer.status in _HELD:
            self._refusal = _holder(answer.body)
            return False
        if not answer.ok:
            hint = (
                f"it has to know {self._at.lock_method}, or state.lock_method and state.lock_address say how it locks"
            )
            raise unwritable(self.location, f"it cannot be locked: {answer.said}", hint)
        self._ident, self._refusal = ident, None
        if not self._fenced:
            self._try_fence()
        return True

    def leave(self) -> None:
        if self._ident:
            ident, self._ident = self._ident, ""
            self._unlock(ident)

    def _alone(self, act: Callable[[], T]) -> T:
        """Do what writes under the server's lock: this run's, or one for the moment."""
        mine = not self._ident
        if mine and not self._enter(secrets.token_hex(8), _MOMENT):
            holder = f"{self._refusal.who} ({self._refusal.operation})" if self._refusal else "somebody"
            raise unwritable(self.location, f"it is locked by {holder}", "wait for that run to end, and run again")
        try:
            return act()
        finally:
            if mine:
                self.leave()

    def _lock(self, ident: str, operation: str) -> Answer:
        return self._web.ask(self._at.lock_method, self._at.lock, _lock_info(ident, operation))

    def _unlock(self, ident: str) -> Answer:
        return self._web.ask(self._at.unlock_method, self._at.unlock, _lock_info(ident, _RUN))

    def _try_fence(self) -> None:
        """Write what is there already, and unlock, under another id: both have to be refused. Held by nobody else, the
        lock lets this change nothing. Raises InfctlError (no-fencing).
        """
        wrong = secrets.token_hex(8)
        found = self._get()
        if self._post(found or Document(b"", ()), wrong):
            if found is None:
                self._web.ask("DELETE", self._at.state, query=self._ident)
            what = "a write"
        elif self._unlock(wrong).ok:
            what = "an unlocking"
        else:
            self._fenced = True
            return
        self.leave()
        detail = f"it took {what} under the lock id {wrong}, which nobody holds"
        hint = "use a server that checks ?ID=, or another backend; state.unsafe_no_fencing: true goes on without"
        raise no_fencing(self.location, "does not check lock ids", detail, hint)


# ---------------------------------------------------------------- what is sent


def _text(document: Document) -> bytes:
    """Return the document as servers expect it: a JSON object with a version, a serial that rises and a lineage."""
    if document.as_found:
        return document.as_found
    head = decode(document.head, "") if document.head else Head()
    lineage = head.snapshot.lineage if head.snapshot else ""
    plain = {"version": 4, "serial": head.seq, "lineage": lineage, "infctl": document.head.decode(errors="replace")}
    return json.dumps({**plain, "workspaces": document.workspaces}).encode()


def _document(body: bytes) -> Document:
    """Return what the server holds. What infctl did not write, or not whole, is a head that cannot be read."""
    try:
        plain = json.loads(body)
        return Document(plain["infctl"].encode(), tuple(map(str, plain["workspaces"])), body)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Document(body, (), body)


def _lock_info(ident: str, operation: str) -> bytes:
    """Return what Terraform's protocol says of a lock's holder. Who it is stands in the document."""
    plain = {"ID": ident, "Operation": operation, "Who": f"infctl on {os.uname().nodename}"}
    return json.dumps({**plain, "Info": "", "Version": "", "Created": "", "Path": ""}).encode()


def _holder(body: bytes) -> lease.Held:
    """Return who holds the server's lock, as far as its refusal says it."""
    try:
        plain = json.loads(body)
    except ValueError:
        plain = {}
    said = plain if isinstance(plain, dict) else {}
    ident, who, operation, since = (str(said.get(name) or "") for name in ("ID", "Who", "Operation", "Created"))
    return lease.Held(ident, 0, who or "somebody", operation or "what is unknown", since, 0, Holder("", 0))


# ---------------------------------------------------------------- opening


def open_http(state: HttpState, workspace: str, password: Secret) -> HttpPlace:
    """Return the place that `state` describes; nothing is asked of it yet. Raises InfctlError (no-such-place)."""
    web = Web(state.username or "", password, state.timeout)
    fenced = state.unsafe_no_fencing
    index = HttpPlace(web, _addresses(state, ""), DEFAULT_WORKSPACE, None, fenced=fenced)
    if workspace == DEFAULT_WORKSPACE:
        return index
    return HttpPlace(web, _addresses(state, f"-{workspace}"), workspace, index, fenced=fenced)


def _addresses(state: HttpState, more: str) -> Addresses:
    """Return the addresses of a workspace: its name is added to the last part of the state's path, wherever that is."""
    lock = state.lock_address or state.address
    unlock = state.unlock_address or lock
    for name, address in (("lock_address", lock), ("unlock_address", unlock)):
        if more and not address.startswith(state.address):
            hint = f"let state.{name} begin with state.address, or stay in the default workspace"
            raise absent(state.address, "it has no other workspaces: nobody can tell how they are locked", hint)
    moved = [state.address + more + each.removeprefix(state.address) for each in (state.address, lock, unlock)]
    return Addresses(moved[0], moved[1], moved[2], state.update_method, state.lock_method, state.unlock_method)
