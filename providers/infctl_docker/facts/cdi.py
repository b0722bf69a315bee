"""Owns what Container Device Interface files name: the devices that Docker gives to containers by `VENDOR/CLASS=NAME`.

Pure; reads only kinds and names (CNCF, Container Device Interface specification 0.8).
"""

from __future__ import annotations

import re

FILE = re.compile(r"^file (\S+)$")
WORD = re.compile(r'"?(kind|name)"?\s*:\s*"?([^",\s]+)')
NVIDIA = "nvidia.com/gpu"


def parse_cdi(text: str) -> tuple[str, ...]:
    """Return the full names of the devices in lines `file PATH`, each followed by that file's `kind:` and `name:`."""
    found: list[str] = []
    kind, names = "", list[str]()
    for line in (*text.splitlines(), "file end"):
        if FILE.match(line):
            found += [f"{kind}={name}" for name in names if kind]
            kind, names = "", []
        elif said := WORD.search(line):
            if said[1] == "kind":
                kind = said[2]
            else:
                names.append(said[2])
    return tuple(dict.fromkeys(found))
