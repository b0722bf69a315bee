"""Owns the numbered points at which a test may kill infctl: INFCTL_FAULT=list prints them, kill:N dies at the Nth.

`point` stands before and after everything that changes a disk or the world; unset, it does nothing. A provider whose
one change takes many calls has points around each of them. The variable is read at the first point, so that a test may
fork runs from one warm process. Heartbeats have no points, for their number depends on time. Knows nothing of what is
being done.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
from collections.abc import Callable
from functools import cache

from infctl.diagnostics import Code, InfctlError, error

BAD_FAULT = Code(
    "bad-fault",
    "INFCTL_FAULT holds something else than a fault.",
    "Set it to list or kill:N, or unset it: it is for tests only.",
)
_NUMBER = re.compile(r"kill:([1-9]\d*)")


def point(name: str) -> None:
    """Pass the point `name`: it is counted where a fault is set, and the run may end here."""
    _passer()(name)


def active() -> bool:
    """Return whether a fault is set; then writes are cut in two, so that a torn one can be had."""
    return bool(os.environ.get("INFCTL_FAULT"))


@cache
def _passer() -> Callable[[str], None]:
    fault = os.environ.get("INFCTL_FAULT", "")
    if not fault:
        return lambda _name: None
    numbers = itertools.count(1)
    kill = _NUMBER.fullmatch(fault)

    def pass_point(name: str) -> None:
        if fault != "list" and not kill:
            raise InfctlError(error(BAD_FAULT, f"INFCTL_FAULT={fault} is not a fault", hint=BAD_FAULT.remedy))
        number = next(numbers)
        if not kill:
            os.write(2, f"fault {number} {name}\n".encode())
        elif number == int(kill[1]):
            os.kill(os.getpid(), signal.SIGKILL)

    return pass_point
