"""A slow cable, as a process: `delay.py PORT` joins PORT and a tap of the same switch, each frame after a while.

Its stdin says how many milliseconds each way a frame takes; at its end the tap is gone. Stands in for netem, which
not every kernel has. Frames keep their virtio-net header, so checksums and segments stay the kernel's business
(Linux, packet(7) PACKET_VNET_HDR and tuntap IFF_VNET_HDR).
"""

from __future__ import annotations

import collections
import fcntl
import os
import select
import socket
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 0x0002, 0x1000, 0x4000
SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
EVERY_PROTOCOL = 3
LARGEST = 70_000  # bytes: a segmented frame of 64 KiB and its headers


def open_port(name: str) -> int:
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(EVERY_PROTOCOL))
    port.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    port.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    port.bind((name, EVERY_PROTOCOL))
    return port.detach()


def open_tap(name: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    return tap


def carry(port: int, tap: int) -> None:
    """Carry frames both ways until stdin ends."""
    seconds = 0.0
    waiting: collections.deque[tuple[float, int, bytes]] = collections.deque()
    while True:
        left = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select([port, tap, sys.stdin], [], [], left)
        if sys.stdin in readable:
            line = sys.stdin.readline()
            if not line:
                return
            seconds = float(line) / 1000
        due = time.monotonic() + seconds
        for end, other in ((port, tap), (tap, port)):
            if end in readable:
                waiting.extend((due, other, frame) for frame in frames(end))
        while waiting and waiting[0][0] <= time.monotonic():
            _, other, frame = waiting.popleft()
            send(other, frame)


def frames(end: int) -> list[bytes]:
    """Return the frames that wait at an end, a bunch at most."""
    found = []
    try:
        for _ in range(256):
            found.append(os.read(end, LARGEST))  # noqa: PERF401  # what was read before the end ran dry is kept
    except BlockingIOError:
        pass
    return found


def send(end: int, frame: bytes) -> None:
    try:
        os.write(end, frame)
    except OSError:
        return  # a cable drops what it cannot take; TCP sends again


if __name__ == "__main__":
    ends = open_port(sys.argv[1]), open_tap(f"{sys.argv[1]}t")
    print(flush=True)
    carry(*ends)
