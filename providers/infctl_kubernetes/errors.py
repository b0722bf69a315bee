"""Owns what a cluster's refusals are in infctl's words, with what to do next. Pure: knows no connection."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infctl.provider.errors import ProviderError

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, GONE, INVALID, TOO_MANY = 401, 403, 404, 409, 410, 422, 429
SERVER_ERROR = 500
LONGEST = 400  # characters of an answer that is no Status
_VERB = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<what>[^"]+)" in API group "(?P<group>[^"]*)"'
)


@dataclass(eq=False)  # not frozen: Python writes the traceback into it
class ApiError(Exception):
    """An answer of the API server that is no success, as its Status says it. `after` is its Retry-After in seconds."""

    status: int
    reason: str
    message: str
    path: str
    details: Mapping[str, Any]
    after: float = 0.0

    def __str__(self) -> str:
        return self.message


def read_refusal(status: int, body: bytes, path: str, after: str = "") -> ApiError:
    """Return what an answer says. Anything else than a Status is passed on as it is, shortened."""
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict) or said.get("kind") != "Status":
        words = " ".join(body.decode(errors="replace").split())[:LONGEST]
        said = {"message": words or f"HTTP {status}", "reason": ""}
    details = said.get("details") or {}
    seconds = after if after.isdecimal() else str(details.get("retryAfterSeconds") or 0)
    return ApiError(status, said.get("reason", ""), said.get("message", ""), path, details, float(seconds))


def in_words(failure: ApiError, what: str, address: str = "") -> ProviderError:
    """Return the error that a person reads: `what` failed, in the cluster's own words, and what mends it."""
    passing = failure.status == TOO_MANY or failure.status >= SERVER_ERROR
    return ProviderError(
        f"{what}: {_headline(failure)}", failure.message, hint=_hint(failure), address=address, retryable=passing
    )


def _headline(failure: ApiError) -> str:  # noqa: PLR0911  -- a list of cases reads best as one
    message = failure.message
    if failure.status == UNAUTHORIZED:
        return "the cluster does not know who asks"
    if failure.status == FORBIDDEN and "exceeded quota" in message:
        return "a quota of the namespace is used up"
    if failure.status == FORBIDDEN and "being terminated" in message:
        return "its namespace is being deleted"
    if found := _VERB.search(message):
        return f"{found['user']} may not {found['verb']} {found['what']}"
    if "admission webhook" in message or "ValidatingAdmissionPolicy" in message:
        return "refused by an admission rule of the cluster"
    if failure.status == FORBIDDEN:
        return "not allowed"
    if failure.status == CONFLICT:
        return "somebody else changed it at the same time"
    if failure.status == TOO_MANY:
        return "the cluster is asked too much just now"
    return "the cluster cannot do it now" if failure.status >= SERVER_ERROR else "refused"


def _hint(failure: ApiError) -> str:
    message = failure.message
    if failure.status == UNAUTHORIZED:
        return "log in again, or renew the token of the kubeconfig's user; `kubectl auth whoami` says who you are"
    if "exceeded quota" in message:
        return "raise the ResourceQuota that the detail names, or run fewer replicas"
    if "being terminated" in message:
        return "wait until the namespace is gone (`kubectl get namespace` says what holds it), then run this again"
    if "failed calling webhook" in message:
        return "the webhook that the detail names does not answer: mend it, or ask who runs the cluster"
    if "admission webhook" in message or "ValidatingAdmissionPolicy" in message:
        return "change what the rule names, in the model's or the target's fields, or ask who runs the cluster"
    if found := _VERB.search(message):
        group = found["group"] or "core"
        return (
            f"grant {found['verb']} on {found['what']} (API group {group}) to {found['user']}, or use another context"
        )
    if failure.status in {TOO_MANY, CONFLICT} or failure.status >= SERVER_ERROR:
        return "run the same command again: what was done is kept"
    return ""
