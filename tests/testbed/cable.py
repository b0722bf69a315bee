"""Owns the cable between one host and the switch of its bed, and what can be wrong with it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.testbed.bed import Bed, run
from tests.testbed.leash import Leashed

DELAY = str(Path(__file__).resolve().parent / "delay.py")


class Cable:
    """Not plugged in when made."""

    def __init__(self, bed: Bed, index: int) -> None:
        self._bed, self._port, self._index = bed, f"p{index}", index
        self._delay: Leashed | None = None
        self._cut = False

    def plug(self, pid: int) -> None:
        """Join the network namespace of `pid` to the switch as eth0."""
        bed, index = self._bed, self._index
        mac = f"02:77:00:00:{bed.number:02x}:{index:02x}"  # the same after a crash: nobody's ARP entry goes stale
        eth0 = ("name", "eth0", "address", mac, "netns", str(pid))
        bed.in_switch("ip", "link", "add", self._port, "type", "veth", "peer", *eth0)
        bed.in_switch("ip", "link", "set", self._port, "master", "br0", "up")
        inside = ("nsenter", f"--target={pid}", "--net", "ip")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "address", "add", f"{bed.network}.{index}/24", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")

    def unplug(self) -> None:
        """Remove it, with its faults."""
        self._end_delay()
        self._cut = False
        with suppress(subprocess.CalledProcessError):  # gone with the namespace of its other end
            self._bed.in_switch("ip", "link", "del", self._port)

    def pull(self) -> None:
        """Pull the plug: open connections hang, new ones find no route to the host after 3 seconds."""
        self._cut = True
        self._bed.in_switch("ip", "link", "set", self._port, "down")

    def slow_down(self, ms: float) -> None:
        """Let each frame take `ms` each way: a round trip takes twice that. Again with another `ms` changes it."""
        if not self._delay:
            self._bed.in_switch("ip", "link", "set", self._port, "nomaster")
            argv = ["nsenter", f"--target={self._bed.switch_pid}", "--net", sys.executable, "-I", DELAY, self._port]
            self._delay = Leashed(argv, log=self._bed.folder / "delay.log")
            self._delay.hear()
            self._bed.in_switch("ip", "link", "set", f"{self._port}t", "master", "br0", "up")
        self._delay.tell(str(ms))

    def mend(self) -> None:
        """Make it whole again; connections that survived go on."""
        if self._delay:
            self._end_delay()
            self._bed.in_switch("ip", "link", "set", self._port, "master", "br0")
        if self._cut:
            self._cut = False
            self._bed.in_switch("ip", "link", "set", self._port, "up")

    def _end_delay(self) -> None:
        if self._delay:
            self._delay.kill()
            self._delay = None
