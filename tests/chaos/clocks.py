"""Owns wall clocks that are wrong: a library to preload, and the file that it reads how wrong from.

Knows nothing of infctl.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.needs import need_command

SOURCE = Path(__file__).with_name("jumping_clock.c")


def build_clock(folder: Path) -> Path:
    """Return the library; skips the test where no compiler is."""
    need_command("gcc")
    made = folder / "clock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", made, SOURCE], check=True)
    return made


def set_clock(file: Path, seconds: int) -> None:
    """Set the clocks that read `file` to that many seconds from the true time, at once for every process."""
    staged = file.with_name(f".{file.name}")
    staged.write_text(str(seconds))
    staged.replace(file)


def clock_env(library: Path, file: Path) -> dict[str, str]:
    return {"LD_PRELOAD": str(library), "JUMPING_CLOCK": str(file)}
