"""Owns the connection to AWS: credentials as boto3 finds them, one client per service, retries that adapt.

The only module that imports the SDK, and only when AWS is asked. Knows no kind of resource.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from infctl.provider.errors import ProviderError
from infctl.provider.faults import point
from infctl.provider.values import Emit, Progress

TRIES = 8  # of one call, with the pauses of the SDK's adaptive mode: about a minute of throttling
THROTTLED = frozenset(
    {"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestLimitExceeded",
     "TooManyRequestsException", "RequestThrottledException", "SlowDown", "EC2ThrottledException"}
)  # fmt: skip
SETTLES = 60.0  # seconds until what was just made is known everywhere (docs: IAM, "eventually consistent")
_READS = ("Describe", "Get", "List", "Filter")
_PAUSE = 1.0  # seconds, growing to ten
_LONGEST = 10.0
_HEARS: ContextVar[Emit | None] = ContextVar("hears", default=None)


@contextmanager
def told_to(emit: Emit) -> Iterator[None]:
    """Have `emit` hear when AWS asks this thread to slow down."""
    token = _HEARS.set(emit)
    try:
        yield
    finally:
        _HEARS.reset(token)


class Session:
    """Clients of one region, made when they are first asked for. Safe to use from many threads."""

    def __init__(self, region: str, profile: str = "", assume_role: str = "", agent: str = "infctl") -> None:
        self.region = region
        self._profile, self._role, self._agent = profile, assume_role, agent
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._session: Any = None
        self._account: tuple[str, str] | None = None

    def client(self, service: str) -> Any:
        """Return the client of a service. Raises ProviderError where the SDK or its profile is not there."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    @property
    def account(self) -> tuple[str, str]:
        """Return the partition ("aws") and the number of the account that is used."""
        if self._account is None:
            arn = self.client("sts").get_caller_identity()["Arn"].split(":")
            self._account = arn[1], arn[4]
        return self._account

    def arn(self, service: str, what: str, *, region: bool = True) -> str:
        partition, account = self.account
        return f"arn:{partition}:{service}:{self.region if region else ''}:{account}:{what}"

    def close(self) -> None:
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _make(self, service: str) -> Any:
        from botocore.config import Config  # noqa: PLC0415  -- the SDK costs more than a plan without AWS
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        config = Config(retries={"mode": "adaptive", "total_max_attempts": TRIES}, user_agent_extra=self._agent)
        try:
            if self._session is None:
                self._session = self._begin(config)
            client = self._session.client(service, config=config)
        except BotoCoreError as failure:
            raise ProviderError(
                "AWS cannot be used as the target says", str(failure),
                hint="see the target's `profile` and `region`, and: aws configure list",
            ) from failure  # fmt: skip
        client.meta.events.register("response-received.*.*", _tell_throttled)
        client.meta.events.register("before-call.*.*", partial(_pass_point, "ask"))
        client.meta.events.register("after-call.*.*", partial(_pass_point, "asked"))
        return client

    def _begin(self, config: Any) -> Any:
        try:
            import boto3  # noqa: PLC0415
            from botocore.credentials import (  # noqa: PLC0415
                AssumeRoleCredentialFetcher,
                DeferredRefreshableCredentials,
            )
            from botocore.session import Session as BotocoreSession  # noqa: PLC0415
        except ImportError as failure:
            raise ProviderError(
                "AWS cannot be asked: boto3 is not installed", hint='run: pip install "infctl[aws]"'
            ) from failure
        core = _shared_models(BotocoreSession(profile=self._profile or None))
        own = boto3.Session(botocore_session=core, region_name=self.region)
        if not self._role:
            return own
        source = own.get_credentials()
        fetcher = AssumeRoleCredentialFetcher(
            lambda name, **more: core.create_client(name, **{**more, "config": config}),
            source, self._role, extra_args={"RoleSessionName": "infctl"},
        )  # fmt: skip
        core._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")  # noqa: SLF001
        return own


_LOADERS: list[Any] = []  # what AWS's services look like is read once for all targets: EC2's alone is megabytes


def _shared_models(core: Any) -> Any:
    if _LOADERS:
        core.register_component("data_loader", _LOADERS[0])
    else:
        _LOADERS.append(core.get_component("data_loader"))
    return core


def _tell_throttled(parsed_response: Any = None, **_more: Any) -> None:
    hears = _HEARS.get()
    code = ((parsed_response or {}).get("Error") or {}).get("Code", "")
    if hears is not None and code in THROTTLED:
        hears(Progress("throttled", f"AWS asks to slow down ({code})"))


def _pass_point(word: str, model: Any, **_more: Any) -> None:
    """A test may end the run before and after every call that changes something."""
    if not model.name.startswith(_READS):
        point(f"{word}:{model.service_model.service_name}:{model.name}")


def error_code(failure: Exception) -> str:
    """Return AWS's own word for a failure, as InvalidGroup.NotFound; "" where it is none of AWS's."""
    response = getattr(failure, "response", None) or {}
    return str((response.get("Error") or {}).get("Code", ""))


def settled(call: Callable[[], Any], *passing: str, within: float = SETTLES) -> Any:
    """Return what `call` gives, repeated while AWS's answer (its code or words) has one of `passing` in it: that passes
    by itself.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415

    deadline, pause = time.monotonic() + within, _PAUSE
    while True:
        try:
            return call()
        except ClientError as failure:
            if not any(word in str(failure) for word in passing) or time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        pause = min(_LONGEST, pause * 1.5)


def ignoring(call: Callable[[], Any], *codes: str) -> Any:
    """Return what `call` gives, None where AWS answers with one of the codes: what is to go is gone already."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        return call()
    except ClientError as failure:
        if error_code(failure) not in codes:
            raise
        return None


def until(done: Callable[[], bool], within: float, pause: float = _PAUSE) -> bool:
    """Ask `done` again and again; return whether it was true within so many seconds."""
    deadline = time.monotonic() + within
    while not done():
        if time.monotonic() + pause > deadline:
            return False
        time.sleep(pause)
        pause = min(_LONGEST, pause * 1.5)
    return True


def pages(client: Any, operation: str, key: str, **asked: Any) -> Iterator[Any]:
    """Yield every item below `key` of all pages of a listing."""
    for page in client.get_paginator(operation).paginate(**asked):
        yield from page.get(key) or ()
