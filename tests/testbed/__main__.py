"""Hosts by hand: `python -m tests.testbed [old|current ...]` holds them until it is killed (see README.md)."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import signal
import sys
from typing import Any

from tests.testbed import images
from tests.testbed.bed import Bed
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.pool import Pool


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description=__doc__)
    parser.add_argument(
        "make", nargs="*", default=["current"], help='"old", "current", or a Make: "current,max_sessions=2"'
    )
    parser.add_argument("--load", action="append", default=[], choices=sorted(images.IMAGES))
    asked = parser.parse_args()
    bed = Bed()
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        hosts = Pool(bed).take([make_of(text) for text in asked.make], asked.load or ["busybox:1"])
        told = [{"name": h.name, "url": h.url, "docker": h.make.docker, "socket": str(h.socket)} for h in hosts]
        print(json.dumps({"HOME": str(bed.home), "hosts": told}, indent=1), flush=True)
        for line in sys.stdin:
            print(obey({host.name: host for host in hosts}, shlex.split(line)), flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        bed.close()


def make_of(text: str) -> Make:
    docker, *fields = re.split(r",(?=\w+=)", text)
    given: dict[str, Any] = {}
    for field in fields:
        name, value = field.split("=", 1)
        given[name] = int(value) if value.isdigit() else {"False": False, "True": True}.get(value, value)
    return Make(docker, **given)


def obey(hosts: dict[str, DockerHost], words: list[str]) -> str:
    """Run "HOST METHOD ARGUMENT..." as in "h1 crash", "h1 docker ps"."""
    if len(words) < 2 or words[0] not in hosts or not hasattr(hosts[words[0]], words[1]):
        return "say: HOST METHOD [ARGUMENT...], as in: h1 crash"
    try:
        return str(getattr(hosts[words[0]], words[1])(*words[2:]))
    except AssertionError as failed:
        return str(failed)


if __name__ == "__main__":
    main()
