"""Owns the first minute: a runnable stack written into an empty folder.

Returns what it wrote, prints nothing. Overwrites nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from infctl.diagnostics import Code, InfctlError, did_you_mean, error
from infctl.frozen import dataclass
from infctl.state.workspaces import FOLDER
from infctl.templating import render, shipped

if TYPE_CHECKING:
    from infctl.ops.pins import Report
    from infctl.ops.session import Session
    from infctl.ops.where import Where

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
README = "README.md"


@dataclass(frozen=True, slots=True)
class Begun:
    """What was written where nothing was. `ignored` is whether git leaves out what infctl keeps in the folder."""

    stack: str
    about: str
    written: tuple[Path, ...]
    ignored: bool


def begin(name: str, where: Where, report: Report) -> Begun:
    """Write the stack `name` into the folder of `where` and pin its models, unless a place of theirs must be asked
    for that: the first plan pins them, once the file names the places.

    Raises InfctlError (no-such-stack, file-in-the-way) before anything is written.
    """
    from infctl.ops.lock import lock_models
    from infctl.ops.session import Session

    written = write_stack(name, where.root)
    with Session.open(where) as session:
        lock = () if _asks_places(session) else (lock_models(session, (), report).path,)
    ignored = FOLDER in (where.root / ".gitignore").read_text()
    return Begun(name, describe(stacks()[name]), (*written, *lock), ignored)


def _asks_places(session: Session) -> bool:
    """Return whether a target of the stack runs images: what a tag stands for, only a place can tell."""
    from infctl.provider import registry

    assert session.stack is not None  # noqa: S101  -- opened with its file
    return any("image" in registry.load(target.type).serves for target in session.stack.targets.values())


def stacks() -> Mapping[str, Path]:
    """Return the stacks that come with infctl, by name: from the wheel, or from the source tree."""
    return {path.name: path for path in sorted(shipped("stacks").iterdir()) if (path / CONFIG).is_file()}


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
    if (folder / README).exists():  # a repository has one of its own; nothing needs ours
        files.pop(Path(README), None)
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
        ignore.write_text(render("init/gitignore.j2", folder=FOLDER))
        written.append(ignore)
    return tuple(written)
