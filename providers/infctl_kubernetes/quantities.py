"""Owns quantities in the form that an API server keeps: another form of the same would look like a change. Pure.

Source: kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity: no digit is lost, and the exponent is
as large as can be.
"""

from __future__ import annotations

import math
import re

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_SMALL = {"n": 1e-9, "u": 1e-6, "m": 1e-3}
_QUANTITY = re.compile(r"([+-]?[\d.]+(?:[eE][+-]?\d+)?)([A-Za-z]*)")


def write_bytes(size: int) -> str:
    """Return `size` bytes, rounded up to whole MiB."""
    amount, units = math.ceil(size / 2**20), ["Mi", "Gi", "Ti"]
    while amount % 1024 == 0 and amount and len(units) > 1:
        amount, units = amount // 1024, units[1:]
    return f"{amount}{units[0]}"


def write_cpus(cpus: float) -> str:
    """Return processors, rounded up to thousandths."""
    milli = math.ceil(cpus * 1000)
    return f"{milli}m" if milli % 1000 else str(milli // 1000)


def read_quantity(text: str | float) -> float:
    """Return the number that a quantity stands for; 0 where it is none."""
    found = _QUANTITY.fullmatch(str(text).strip())
    if not found:
        return 0.0
    unit = {**_UNITS, **_BINARY, **_SMALL}.get(found[2])
    return 0.0 if unit is None else float(found[1]) * unit
