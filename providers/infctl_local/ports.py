"""Owns the choice of TCP ports on this machine: free, ours alone, and the same one for as long as can be.

Ports come from a range below those that the system gives to outgoing connections (32768 and up on Linux,
49152 and up elsewhere: RFC 6335), so that no stranger's connection takes one while its engine restarts.
"""

from __future__ import annotations

import errno
import hashlib
import socket
from collections.abc import Set as AbstractSet

from infctl.provider.errors import ProviderError

Range = tuple[int, int]  # first and last, both in it
DEFAULT: Range = (20_000, 29_999)


def choose_port(bind: str, seed: str, taken: AbstractSet[int], between: Range, kept: int = 0) -> int:
    """Return `kept` where it is free, else the first free port from a place in the range that `seed` gives.

    Seeds spread what several stacks choose at the same moment. Raises ProviderError when no port is free.
    """
    if kept and kept not in taken and is_free(bind, kept):
        return kept
    first, last = between
    count = last - first + 1
    start = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") % count
    for step in range(count):
        port = first + (start + step) % count
        if port not in taken and is_free(bind, port):
            return port
    raise ProviderError(
        f"No port is free on {bind}",
        f"all of {first}-{last} are in use",
        hint="give the target another range: ports: [FIRST, LAST]",
    )


def is_free(bind: str, port: int) -> bool:
    """Tell whether a server could listen there now. Raises OSError for an address that is not this machine's."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as failure:
            if failure.errno == errno.EADDRINUSE:
                return False
            raise
    return True
