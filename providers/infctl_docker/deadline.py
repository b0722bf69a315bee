"""Owns how long images and models may take to come to a host: asked whenever there is a word of progress."""

from __future__ import annotations

import time

from infctl.provider.errors import ProviderError
from infctl.provider.values import Emit, Progress


def within(seconds: float, place: str, emit: Emit) -> Emit:
    """Return an `emit` that raises ProviderError after so many seconds; 0 for as long as it takes."""
    if not seconds:
        return emit
    until = time.monotonic() + seconds

    def tell(word: Progress) -> None:
        if time.monotonic() > until:
            hint = "give it more time (timeouts: {pull: …}); what came stays, and the next apply continues"
            raise ProviderError(f"{place} did not get {word.detail} within {seconds:g} s", hint=hint)
        emit(word)

    return tell
