"""Owns reading which TCP addresses are in use from the kernel's own tables, and whether one is still free. Pure.

A reload that meets a taken port pauses every address of the proxy for a second while it tries again (measured with
HAProxy 2.6), so it is looked up first.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

COMMAND = ("cat", "/proc/net/tcp", "/proc/net/tcp6")  # the second is not there without IPv6
_OVER = "06"  # TCP_TIME_WAIT of the kernel's include/net/tcp_states.h: nobody holds it any more


class Listener(NamedTuple):
    address: str
    port: int


def parse_listeners(text: str) -> frozenset[Listener]:
    """Return the addresses in use, from /proc/net/tcp and tcp6 one after the other (format: proc(5)).

    The local end of an outgoing connection is one too: nobody can listen there while it lasts.
    """
    rows = (line.split() for line in text.splitlines() if ":" in line)
    return frozenset(_listener(row[1]) for row in rows if row[0] != "sl" and row[3] != _OVER)


def is_taken(bind: str, port: int, listeners: Iterable[Listener]) -> bool:
    """Tell whether somebody holds that address, or the port on all of them."""
    wanted = ipaddress.ip_address(bind)
    found = (ipaddress.ip_address(one.address) for one in listeners if one.port == port)
    return any(one == wanted or one.is_unspecified or wanted.is_unspecified for one in found)


def _listener(text: str) -> Listener:
    """Return 127.0.0.1 and 8080 from 0100007F:1F90: 32-bit words in the byte order of the host (little-endian)."""
    words, _, port = text.partition(":")
    packed = b"".join(bytes.fromhex(words[at : at + 8])[::-1] for at in range(0, len(words), 8))
    address = ipaddress.ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return Listener(str(mapped or address), int(port, 16))
