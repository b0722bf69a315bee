"""Owns how a provider says that something failed.

Knows no provider; SDK exceptions are turned into this at the provider's own edge (`errors.py` of each).
"""

from __future__ import annotations

from infctl.diagnostics import Code, InfctlError, error

PROVIDER_FAILED = Code(
    "provider-failed",
    "A place to run answered with an error.",
    "Read the detail: it is the place's own word. `infctl doctor TARGET` checks the place.",
)


class ProviderError(InfctlError):
    """A change or a reading failed. `retryable` says whether the same call may succeed a moment later."""

    def __init__(
        self, summary: str, detail: str = "", *, hint: str = "", address: str = "", retryable: bool = False
    ) -> None:
        super().__init__(error(PROVIDER_FAILED, summary, detail, hint=hint, address=address))
        self.retryable = retryable


def reason_of(failure: Exception) -> str:
    """Return why a request of urllib3 failed, without the pools and connections that its words begin with."""
    while isinstance(inner := getattr(failure, "reason", None), Exception):
        failure = inner
    said = str(failure)
    return said.partition("): ")[2] or said
