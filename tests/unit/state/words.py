"""What an act is refused with, as one text that a test can look into."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from infctl.diagnostics import InfctlError


def refused(act: Callable[[], object]) -> str:
    """Return code, summary, detail and hint of the one error that `act` raises."""
    with pytest.raises(InfctlError) as failure:
        act()
    (problem,) = failure.value.diagnostics
    return f"{problem.code}: {problem.summary}; {problem.detail}; {problem.hint}"
