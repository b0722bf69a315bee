"""Owns docker-py on our own streams: the client for changes and for streams of progress, logs and commands.

The only user of docker-py. What goes wrong comes out as HostDown or DaemonError, never as an exception of a library.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import docker
import requests
import urllib3
from docker import constants
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from infctl.provider.faults import point
from infctl_docker.errors import DaemonError, HostDown, cut
from infctl_docker.streams import Stream, Way

NEWEST = constants.DEFAULT_DOCKER_API_VERSION
OLDEST = constants.MINIMUM_DOCKER_API_VERSION
READING = frozenset({"GET", "HEAD"})  # every other request may change the host
BROKEN = (urllib3.exceptions.HTTPError, http.client.HTTPException, requests.exceptions.RequestException, OSError)


class Api(docker.APIClient):
    """docker-py's client over one way to a daemon. `timeout` is in seconds without a byte, `packed` as in `take`."""

    def __init__(self, way: Way, version: str, timeout: float, *, packed: bool = True) -> None:
        super().__init__(base_url="tcp://localhost:1", version=version, timeout=int(timeout))
        self.trust_env = False  # neither a proxy nor a netrc is meant for this
        self.base_url = "http+docker://localhost"
        self._place = way.place
        self._custom_adapter = Adapter(way, packed=packed)
        self.mount("http+docker://", self._custom_adapter)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        what = "" if request.method in READING else f"{self._place}: {request.method} {request.path_url}"
        if what:
            point(f"ask:{what}")
        with in_words(self._place):
            answer = super().send(request, **kwargs)
        if what:
            point(f"asked:{what}")
        return answer

    def change(self, container: str, body: Mapping[str, Any]) -> None:
        """Change a container that stands: docker-py's own update knows no NanoCpus."""
        answer = self.post(f"{self.base_url}/v{self.api_version}/containers/{container}/update", json=dict(body))
        self._raise_for_status(answer)

    def _raise_for_status(self, response: requests.Response) -> None:
        if response.status_code >= 400:  # noqa: PLR2004
            raise DaemonError(self._place, response.status_code, _message(response))


class Adapter(HTTPAdapter):
    """Sends what requests asks for through the streams of a way, whatever the url says."""

    def __init__(self, way: Way, *, packed: bool) -> None:
        super().__init__(max_retries=0)
        self._pool = Pool(way, packed=packed)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        return self._pool

    def request_url(self, request: requests.PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        del proxies
        return request.path_url


class Pool(HTTPConnectionPool):
    """Keeps nothing itself: a stream whose answer was read whole goes back to its way."""

    def __init__(self, way: Way, *, packed: bool) -> None:
        super().__init__("localhost")
        self._way = way
        self._packed = packed

    def _get_conn(self, timeout: float | None = None) -> Connection:
        del timeout
        return Connection(self._way, packed=self._packed)

    def _put_conn(self, conn: Any) -> None:
        if isinstance(conn, Connection):
            conn.give_back()


class Connection(HTTPConnection):
    """One request and its answer on a stream of the way."""

    def __init__(self, way: Way, *, packed: bool) -> None:
        super().__init__("localhost")
        self._way = way
        self._packed = packed

    def connect(self) -> None:
        stream, _ = self._way.take(packed=self._packed)
        timeout = self.timeout
        stream.settimeout(timeout if isinstance(timeout, int | float) else None)
        self.sock = stream  # a stream is all of a socket that is used here

    def getresponse(self) -> Response:  # type: ignore[override]  # urllib3 asks for what it defines itself
        made = super().getresponse()
        made.__class__ = Response  # urllib3 lets nobody choose the class
        assert isinstance(made, Response)  # noqa: S101
        made.place = self._way.place
        return made

    def give_back(self) -> None:
        stream, self.sock = self.sock, None
        if isinstance(stream, Stream):
            self._way.give(stream)
        self.close()


class Response(urllib3.HTTPResponse):
    """An answer whose body may break off while it is read."""

    place = ""

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        with in_words(self.place):
            return super().read(*args, **kwargs)

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:  # type: ignore[override]
        with in_words(self.place):
            yield from super().stream(*args, **kwargs)


@contextmanager
def in_words(place: str) -> Iterator[None]:
    """Turn what HTTP libraries raise for a broken connection into HostDown."""
    try:
        yield
    except HostDown:
        raise
    except BROKEN as failure:
        raise cut(place, str(failure)) from failure


def agree(place: str, theirs: str, their_oldest: str) -> str:
    """Return the API version to speak: the newest that both sides know. Raises HostDown where there is none."""
    if _number(theirs) < _number(OLDEST):
        raise HostDown(place, f"its Docker speaks API {theirs}, {OLDEST} is the oldest known here", "update its Docker")
    if _number(their_oldest or "1.0") > _number(NEWEST):
        return their_oldest  # newer daemons drop old fields, and keep what we use: better tried than refused
    return theirs if _number(theirs) < _number(NEWEST) else NEWEST


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _message(response: requests.Response) -> str:
    try:
        said = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        said = response.text or response.reason
    return str(said).strip()
