"""Owns what goes wrong on this machine in words: the operating system's errors and ours as ProviderError.

Knows nothing of how anything is done.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Values
from infctl_local.kinds import KINDS
from infctl_local.process import SpawnError
from infctl_local.relay_client import RelayError

HINTS = {
    errno.ENOSPC: "the disk is full: free some space, then run the same command again",
    errno.EDQUOT: "the disk quota is used up: free some space, then run the same command again",
    errno.EROFS: "the folder is on a read-only file system: mount it writable, or move the stack",
    errno.EACCES: "make the folder writable for the user that runs infctl",
    errno.EPERM: "run infctl as the user that started this stack",
    errno.EMFILE: "raise the limit of open files: ulimit -n 4096",
    errno.EAGAIN: "the limit of processes is reached: end some, or raise it with ulimit -u",
    errno.ENOMEM: "free some memory, or ask for a smaller context",
}
RETRYABLE = frozenset({errno.EAGAIN, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


@contextmanager
def in_words(change: Change) -> Iterator[None]:
    """Turn what goes wrong during a change into a ProviderError that says what was being done, and the way on."""
    doing, address = f"{change.do} of {change.address} failed", str(change.address)
    try:
        yield
    except OSError as failure:
        passing = failure.errno in RETRYABLE
        raise ProviderError(doing, say(failure), hint=hint(failure), address=address, retryable=passing) from failure
    except RelayError as failure:
        way_on = HINTS.get(failure.errno, "the next `infctl apply` starts the relay again where it is gone")
        passing = failure.errno not in HINTS or failure.errno in RETRYABLE
        raise ProviderError(doing, str(failure), hint=way_on, address=address, retryable=passing) from failure
    except (SpawnError, ValueError) as failure:
        raise ProviderError(doing, str(failure), address=address) from failure


def wanted_values(change: Change) -> Values:
    """Return the values that the object must have. Raises ProviderError when they are not those of its kind."""
    fields = set(KINDS[change.address.kind].fields)
    if change.after is None or set(change.after) != fields:
        wrong = ", ".join(sorted(fields ^ set(change.after or ())))
        raise ProviderError(f"{change.address} cannot be made from these values", f"missing or unknown: {wrong}")
    return change.after


def say(failure: OSError) -> str:
    """Return the error as one phrase: `No space left on device: /srv/stack/.infctl`."""
    text = failure.strerror or str(failure)
    return f"{text}: {failure.filename}" if failure.filename else text


def hint(failure: OSError) -> str:
    return HINTS.get(failure.errno or 0, "")
