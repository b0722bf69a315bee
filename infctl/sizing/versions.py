"""Owns which age of an engine a version belongs to, as people write versions: a number, a month, a product's. Pure.

A measurement often says only when it was made ("Jan 2024"); of vLLM it is then known which release that was. NVIDIA's
NIM carries its own numbers, all of them around TensorRT-LLM's C++ runtime.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# vLLM's releases: (year, month) of each minor one, the first whole month of it (github.com/vllm-project/vllm/releases;
# from 2026 on as logs in issues date them).
_VLLM: Final = (
    ((2023, 6), 1), ((2023, 9), 2), ((2024, 1), 3), ((2024, 3), 4), ((2024, 6), 5), ((2024, 9), 6), ((2025, 1), 7),
    ((2025, 3), 8), ((2025, 5), 9), ((2025, 8), 10), ((2025, 10), 11), ((2025, 12), 12), ((2026, 1), 14),
    ((2026, 2), 16), ((2026, 3), 18), ((2026, 4), 19), ((2026, 5), 21), ((2026, 6), 23), ((2026, 7), 25),
    ((2026, 8), 27), ((2026, 9), 29), ((2026, 10), 31), ((2026, 11), 33),
)  # fmt: skip
_LAST_NATIVE: Final = 2024  # the year before PyTorch became the default (1.0, September 2025)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NUMBER: Final = re.compile(r"^\W*v?(\d+)\.(\d+)")
_DATE: Final = re.compile(
    r"\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(20\d\d)\b|\b(20\d\d)-(\d\d)\b"
)


@lru_cache(1024)  # a search for the best GPU asks of one version thousands of times
def number(engine: str, version: str) -> tuple[int, int] | None:
    """Return the (major, minor) number that a version means, None where it does not say."""
    text = version.strip().lower()
    if found := _NUMBER.match(text):
        return int(found[1]), int(found[2])
    day = _DATE.search(text)
    if engine != "vllm" or not day:
        return None
    when = (int(day[2]), _MONTHS.index(day[1]) + 1) if day[1] else (int(day[3]), int(day[4]))
    minor = max((minor for since, minor in _VLLM if since <= when), default=1)
    return (0, max(minor, 8) if re.search(r"\bv1\b", text) else minor)


def before(engine: str, version: str, since: tuple[int, int]) -> bool:
    """Return whether a version is known to be older; one that does not say its number is not."""
    found = number(engine, version)
    return found is not None and found < since


def native(engine: str, version: str) -> bool:
    """Return whether this is TensorRT-LLM's C++ runtime: before 1.0, or inside of NIM."""
    if engine != "tensorrt-llm":
        return False
    day = _DATE.search(version.lower())
    old = day is not None and int(day[2] or day[3]) <= _LAST_NATIVE
    return old or version.strip().lower().startswith("nim") or before(engine, version, (1, 0))
