"""Owns a real S3 server for tests: versitygw, built once from its Go module into .cache/testbed/.

Knows the standard library only: scripts/test.py builds it before anything is installed. `python -m
tests.testbed.versitygw` builds it by hand, in some 45 s.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.testbed.packages import CACHE

MODULE = "github.com/versity/versitygw/cmd/versitygw"
VERSION = "v1.8.0"
PROGRAM = CACHE / f"versitygw-{VERSION}" / "versitygw"


def built() -> Path | None:
    return PROGRAM if PROGRAM.exists() else None


def build() -> None:
    """Build it unless it is there. Where that cannot be done, it is said, and tests that want it say so again.

    The module's checksum is that of Go's public database.
    """
    if built():
        return
    if not shutil.which("go"):
        print("versitygw was not built: there is no Go")
        return
    staged = CACHE / f".versitygw-{os.getpid()}"
    quiet = {**os.environ, "GOBIN": str(staged), "CGO_ENABLED": "0"}
    argv = ["nice", "go", "install", "-trimpath", "-ldflags=-s -w", f"{MODULE}@{VERSION}"]
    if subprocess.run(argv, env=quiet, check=False).returncode:
        print("versitygw was not built: see what Go says above")
        return
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    (staged / PROGRAM.name).replace(PROGRAM)
    staged.rmdir()


if __name__ == "__main__":
    build()
    sys.exit(0 if built() else 1)
