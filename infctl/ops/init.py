"""Owns the first minute: a runnable stack written into an empty folder.

Returns what it wrote, prints nothing. Overwrites nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import infctl
from infctl.diagnostics import Code, InfctlError, did_you_mean, error

NO_SUCH_STACK = Code(
    "no-such-stack",
    "`init -stack` names a stack that infctl does not carry.",
    "`infctl init -help` lists the stacks.",
)
IN_THE_WAY = Code(
    "file-in-the-way",
    "A file that `init` would write is there already, and it is not overwritten.",
    "Choose an empty folder, or move the file.",
)
CONFIG = "inference.yaml"
IGNORED = "# What infctl keeps here is for this machine only; inference.lock.yaml belongs in git.\n.infctl/\n*.plan\n"


def stacks() -> Mapping[str, Path]:
    """Return the stacks that come with infctl, by name: from the wheel, or from the source tree."""
    package = Path(infctl.__file__).parent
    shipped = package / "_data" / "stacks"
    root = shipped if shipped.is_dir() else package.parent / "stacks"
    return {path.name: path for path in sorted(root.iterdir()) if (path / CONFIG).is_file()}


def describe(stack: Path) -> str:
    """Return the first comment of a stack's file: what it shows."""
    first = (stack / CONFIG).read_text().partition("\n")[0]
    return first.removeprefix("#").strip()


def write_stack(name: str, folder: Path) -> tuple[Path, ...]:
    """Write the stack `name` into `folder` and return the files written.

    Raises InfctlError (no-such-stack, file-in-the-way) before anything is written.
    """
    known = stacks()
    if name not in known:
        hint = did_you_mean(name, known) or f"there are: {', '.join(known)}"
        raise InfctlError(error(NO_SUCH_STACK, f"infctl carries no stack {name!r}", hint=hint))
    source = known[name]
    files = {path.relative_to(source): path for path in sorted(source.rglob("*")) if path.is_file()}
    there = [str(relative) for relative in files if (folder / relative).exists()]
    if there:
        raise InfctlError(error(IN_THE_WAY, f"{', '.join(there)} would be overwritten", hint=IN_THE_WAY.remedy))
    written = []
    for relative, path in files.items():
        to = folder / relative
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
        written.append(to)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text(IGNORED)
        written.append(ignore)
    return tuple(written)
