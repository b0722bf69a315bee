"""Owns changing what a host's running HAProxy does: its routes, its door, and waiting until a replica serves nobody.

Changes that come while another one is being loaded are loaded together: many models cost few reloads. Knows nothing
of containers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Emit, Labels, Progress, Values
from infctl_docker.errors import HostDown, PortClosed
from infctl_docker.listening import Listener
from infctl_docker.proxy_book import Book, Kept
from infctl_docker.proxy_config import WILDCARDS, join, numeric, server_name
from infctl_docker.proxy_load import LOAD_S, POLL_S, Box, Loader
from infctl_docker.proxy_ports import Free, Range
from infctl_docker.proxy_runtime import count_sessions, is_settled

CLOSE_S = 2.0  # until an old worker has closed what the new one no longer has
WORD_S = 1.0  # between two words about a drain


@dataclass
class Edit:
    """One change of a book, asked for by one thread and perhaps made by another."""

    make: Callable[[HostProxy, Book], Book]
    done: bool = False
    refused: ProviderError | None = None


class Line:
    """Where changes of one proxy wait: the first in it takes along all who came meanwhile."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self._guard = threading.Lock()
        self._waiting: list[Edit] = []

    def add(self, edit: Edit) -> None:
        with self._guard:
            self._waiting.append(edit)

    def take(self) -> list[Edit]:
        with self._guard:
            taken, self._waiting = self._waiting, []
            return taken


class HostProxy:
    """The proxy of one host. All who change it must come through the same `line`."""

    def __init__(self, box: Box, ports: Range, line: Line) -> None:
        self._box = box
        self._loader = Loader(box)
        self._ports = ports
        self._line = line
        self._held: frozenset[Listener] | None = None

    def is_loaded(self) -> bool:
        """Return whether the configuration in place is what runs."""
        return self._loader.is_loaded()

    def settle(self, values: Values, seed: str) -> Book:
        """Make the configuration what the book says, with a door where `values` ask for one."""
        made: list[Book] = []

        def edit(worker: HostProxy, book: Book) -> Book:
            door = worker._door(book, values["address"], seed) if values["door"] else ""
            made.append(replace(book, door=door, proxy=values))
            return made[-1]

        self._commit(edit)
        return made[-1]

    def put_route(self, change: Change, after: Values, address: str) -> Kept:
        """Make the model's address on this host lead to these replicas. `address` is the host's own."""
        made: list[Kept] = []

        def edit(worker: HostProxy, book: Book) -> Book:
            port = worker._port(book, change, after)  # another one's, where that one has the turn
            outputs = {"url": _url(after["bind"], port, address), "port": port, "host": after["host"]}
            old = book.routes.get(change.id)
            made.append(Kept(change.name, change.target, old.labels if old else change.labels, after, outputs))
            return book.with_route(made[-1])

        self._commit(edit)
        return made[-1]

    def drop_route(self, ident: str) -> None:
        """Close the address. Safe to repeat; open requests finish."""
        self._commit(lambda _, book: book.without(ident))

    def drain(self, endpoint: str, timeout_s: float, emit: Emit) -> None:
        """Wait until no worker has a request at the replica of this host; what is left after `timeout_s` is cut."""
        name = server_name(endpoint)
        deadline = time.monotonic() + timeout_s
        said_at, most, quiet, heard_at = 0.0, 0, 0, time.monotonic()
        while quiet < 2:  # noqa: PLR2004  # twice, for a request may be between two servers
            try:
                busy = count_sessions(self._box.ask, name)
                quiet = quiet + 1 if not busy and is_settled(self._box.ask) else 0
                heard_at = time.monotonic()
            except (HostDown, PortClosed):  # another model's routes are being loaded: the master starts itself anew
                if time.monotonic() - heard_at > LOAD_S:
                    raise
                busy = quiet = 0
            now, most = time.monotonic(), max(most, busy)
            if now >= deadline:
                text = f"{busy} still running after {timeout_s:g} s: cut"
                emit(Progress("drain", text, most - busy, most, "requests"))
                return
            if busy and now - said_at >= WORD_S:
                said_at = now
                emit(Progress("drain", f"{busy} still running", most - busy, most, "requests"))
            if quiet < 2:  # noqa: PLR2004
                time.sleep(POLL_S)

    def _commit(self, make: Callable[[HostProxy, Book], Book]) -> None:
        """Have the change made, with those that wait. Raises what stands against this one."""
        edit = Edit(make)
        self._line.add(edit)
        with self._line.turn:
            if not edit.done:
                waiting = self._line.take()
                self._work_off(waiting if edit in waiting else [edit])
        if edit.refused:
            raise edit.refused

    def _work_off(self, edits: list[Edit]) -> None:
        book, config = self._loader.read()
        self._held = None
        left = []
        for edit in edits:
            try:
                book = edit.make(self, book)
                left.append(edit)
            except ProviderError as refused:
                edit.refused, edit.done = refused, True
        try:
            if left:
                self._loader.load(book, config)
        except ProviderError as refused:
            if len(left) > 1:
                for edit in left:  # one by one, to find which one it is
                    self._work_off([edit])
                return
            left[0].refused = refused
        for edit in left:
            edit.done = True

    def _port(self, book: Book, change: Change, after: Values) -> int:
        """Return the route's port: the one it must have, the one it had, its predecessor's, or a free one."""
        old, bind = book.routes.get(change.id), after["bind"]
        before = change.before.outputs.get("port", 0) if change.before else 0
        kept = old.outputs["port"] if old else before
        if old and after["port"] in {0, kept} and old.values["bind"] == bind:
            return int(kept)
        free = self._free(book, bind, change.id)
        deadline = time.monotonic() + CLOSE_S
        while (wish := after["port"] or kept) and wish not in free and time.monotonic() < deadline:
            time.sleep(POLL_S)
            self._held = None
            free = self._free(book, bind, change.id)
        if fixed := after["port"]:
            if fixed not in free:
                raise ProviderError(
                    f"Port {fixed} on {bind} of {after['host']} is in use",
                    "another program listens there",
                    hint=f"end that program, or set models.{after['model']}.expose.port to another port",
                    address=str(change.address),
                )
            return int(fixed)
        return free.choose(_seed(change.labels), kept)

    def _door(self, book: Book, address: str, seed: str) -> str:
        """Return where the host's door is: where it was, else at a free port of the host's own address."""
        host, _, port = book.door.rpartition(":")
        if host == join(address, 0).rpartition(":")[0]:
            return book.door
        return join(address, self._free(book, "0.0.0.0", "").choose(f"{seed}/door", int(port or 0)))  # noqa: S104

    def _free(self, book: Book, bind: str, ident: str) -> Free:
        """Return the ports that a new address may have; those of our other routes are not free."""
        self._held = self._box.listeners() if self._held is None else self._held
        ours = {kept.outputs["port"] for other, kept in book.routes.items() if other != ident}
        door = int(book.door.rpartition(":")[2] or 0)
        own = book.routes.get(ident)
        mine = {own.outputs["port"]} if own else set()  # our own proxy listens there, and moves with the route
        return Free(numeric(bind), self._ports, self._held, ours | {door}, mine)


def _seed(labels: Labels) -> str:
    """Return what all hosts of a model have in common, so that its port is usually the same on each of them."""
    return f"{labels.lineage}/{labels.workspace}/{labels.model}"


def _url(bind: str, port: int, address: str) -> str:
    return f"http://{join(address if bind in WILDCARDS else bind, port)}/v1"
