"""Owns one request on its way: which model it names, to which backend it goes, and the answer back.

Knows nothing of listeners, of route files or of how routes change.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from infctl_local.balance import Balance, Load
from infctl_local.routes import Route

MAX_BODY = 64 * 2**20  # bytes; a request is held in memory, to be sent again where a backend is not there
SMALL_ANSWER = 65_536  # bytes; up to here an answer is sent in one piece
RETRY_S = 0.1  # between rounds through backends that all refused
MOST_RESETS = 3  # a request that kills every backend it meets must not meet them all
SERVER_ERROR, UNAVAILABLE = 500, 503  # HTTP status codes
CONNECT_S = 5.0
# What belongs to one connection and not to the message (RFC 9110, section 7.6.1).
HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization")
) | {"te", "trailer", "transfer-encoding", "upgrade"}
OURS = frozenset(("host", "content-length", "content-encoding", "expect"))  # aiohttp decodes and says them anew
NEVER_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class NotThereError(Exception):
    """A backend refused the connection, or answered that it is still loading."""


class CutError(Exception):
    """A backend broke the connection before the client had any of the answer."""


class BrokenOffError(Exception):
    """A backend broke the connection half way through `response`."""

    def __init__(self, response: web.StreamResponse, text: str) -> None:
        super().__init__(text)
        self.response = response


class Forwarder:
    """Sends requests to backends. Make it inside a running event loop.

    Each request has a connection of its own: llama.cpp's server gives a thread to every open one, idle ones
    too for 5 s, so kept connections starve each other (measured: requests that waited 5 s at 16 clients).
    """

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            auto_decompress=False,
            skip_auto_headers=NEVER_ADDED,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        await self._session.close()

    async def answer(self, request: web.BaseRequest, balance: Balance) -> web.StreamResponse:
        """Answer one request of a route; the client going away cancels it, and the backend's work with it."""
        route = balance.route
        if (request.method, request.path) == ("GET", "/v1/models"):
            return served_models(route)
        body = await read_body(request)
        if body is None:
            return problem(413, f"The request is larger than {MAX_BODY} bytes.", "request_too_large")
        model, parsed = named_model(body)
        if model is not None and model not in route.served_names:
            served = ", ".join(f"`{name}`" for name in route.served_names)
            text = f"The model `{model}` does not exist here. This address serves {served}."
            return problem(404, text, "model_not_found", param="model")
        if model is not None and route.engine_model and model != route.engine_model:
            body = json.dumps({**parsed, "model": route.engine_model}).encode()
        balance.requests += 1
        try:
            response = await self._offer(request, body, balance)
        except BrokenOffError as error:
            sys.stderr.write(f"infctl: a backend of {route.model} broke off half way: {error}\n")
            balance.failures += 1
            return error.response
        balance.failures += response.status >= SERVER_ERROR
        return response

    async def _offer(self, request: web.BaseRequest, body: bytes, balance: Balance) -> web.StreamResponse:
        """Ask the backends in turn; where none is there, wait for one as long as the route says."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + balance.route.hold_s
        tried: set[str] = set()
        resets = 0
        while True:
            load = balance.pick(tried)
            if load is None:
                left = deadline - loop.time()
                if left <= 0:
                    return no_backend(balance)
                await balance.wait_for_switch(min(left, RETRY_S) if tried else left)
                tried.clear()
                continue
            try:
                return await self._ask(request, body, load)
            except NotThereError:
                tried.add(load.backend.id)
            except CutError as error:
                tried.add(load.backend.id)
                resets += 1
                if resets >= MOST_RESETS:
                    text = (
                        f"Backends of `{balance.route.served_names[0]}` broke the connection {resets} times: {error}."
                    )
                    return problem(502, text, "backend_failed")

    async def _ask(self, request: web.BaseRequest, body: bytes, load: Load) -> web.StreamResponse:
        load.in_flight += 1
        load.requests += 1
        try:
            return await self._exchange(request, body, load)
        except (NotThereError, CutError, BrokenOffError):
            load.failures += 1
            raise
        finally:
            load.in_flight -= 1

    async def _exchange(self, request: web.BaseRequest, body: bytes, load: Load) -> web.StreamResponse:
        url = URL(load.backend.url.rstrip("/") + str(request.rel_url), encoded=True)
        headers = end_to_end(request.headers, OURS)
        try:
            upstream = await self._session.request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotThereError(str(error)) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise CutError(str(error) or type(error).__name__) from error
        async with upstream:
            if upstream.status == UNAVAILABLE:
                raise NotThereError("it says that it is not ready")
            if upstream.content_length is not None and upstream.content_length <= SMALL_ANSWER:
                return await pass_whole(upstream)
            return await pass_stream(request, upstream)


async def pass_whole(upstream: aiohttp.ClientResponse) -> web.Response:
    try:
        payload = await upstream.read()
    except (aiohttp.ClientError, ConnectionError) as error:
        raise CutError(str(error) or type(error).__name__) from error
    headers = end_to_end(upstream.headers, OURS - {"content-encoding"})
    return web.Response(status=upstream.status, reason=upstream.reason, headers=headers, body=payload)


async def pass_stream(request: web.BaseRequest, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
    """Send each piece on as it comes. A stream that breaks is broken for the client too, visibly."""
    headers = end_to_end(upstream.headers, frozenset())
    response = web.StreamResponse(status=upstream.status, reason=upstream.reason, headers=headers)
    await response.prepare(request)
    try:
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError) as error:
        if request.transport is not None:
            request.transport.abort()
        raise BrokenOffError(response, str(error)) from error
    return response


def served_models(route: Route) -> web.Response:
    """Return what OpenAI's `models.list` tells: the names that this address answers to, not the engine's own."""
    names = [{"id": name, "object": "model", "created": 0, "owned_by": "infctl"} for name in route.served_names]
    return web.json_response({"object": "list", "data": names})


async def read_body(request: web.BaseRequest) -> bytes | None:
    """Return the whole body, None when it is larger than MAX_BODY."""
    if request.content_length is not None and request.content_length > MAX_BODY:
        return None
    pieces: list[bytes] = []
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
        if size > MAX_BODY:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def named_model(body: bytes) -> tuple[str | None, dict[str, Any]]:
    """Return the model that a JSON body names, with the body; None where it is no such body."""
    if not body.lstrip().startswith(b"{"):
        return None, {}
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None, {}  # what is wrong with it the engine says better
    model = parsed.get("model")
    return (model if isinstance(model, str) else None), parsed


def end_to_end(headers: CIMultiDictProxy[str], without: frozenset[str]) -> CIMultiDict[str]:
    """Return the headers that are the message's own, less those in `without`."""
    named = {name.strip().lower() for value in headers.getall("Connection", ()) for name in value.split(",")}
    dropped = HOP_BY_HOP | without | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


def no_backend(balance: Balance) -> web.Response:
    route = balance.route
    text = f"No backend of `{route.served_names[0]}` was ready within {route.hold_s:g} s."
    return problem(503, text, "no_backend", retry_after_s=1)


def problem(status: int, message: str, code: str, *, param: str | None = None, retry_after_s: int = 0) -> web.Response:
    """Return an error in OpenAI's shape (platform.openai.com/docs/guides/error-codes)."""
    kind = "invalid_request_error" if status < SERVER_ERROR else "server_error"
    error = {"message": message, "type": kind, "param": param, "code": code}
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s else None
    return web.json_response({"error": error}, status=status, headers=headers)
