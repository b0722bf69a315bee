"""What a test needs from the machine: missing, it is skipped with the reason; INFCTL_TEST_REQUIRE=all forbids that."""

from __future__ import annotations

import os
import shutil

import pytest


def need(there: bool, what: str) -> None:
    """Skip the test unless `there`; fail it instead when nothing may be missing."""
    if there:
        return
    if os.environ.get("INFCTL_TEST_REQUIRE") == "all":
        pytest.fail(f"needs {what}, and INFCTL_TEST_REQUIRE=all allows no skip")
    pytest.skip(f"needs {what}")


def need_command(name: str) -> None:
    need(shutil.which(name) is not None, f"the command {name!r}")


def need_root() -> None:
    need(os.geteuid() == 0, "root")
