"""Owns what a failure looks like and its exit code: a user's mistake points, our own says that it is ours.

Imported only when something failed.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from infctl import __version__
from infctl.cli.command import one_dash
from infctl.cli.terminal import Terminal
from infctl.diagnostics import Code, Diagnostic, InfctlError, error
from infctl.secrets import redact
from infctl.views.diagnostics import show_diagnostics
from infctl.views.style import Style

USAGE = Code(
    "usage",
    "The command line is not one that infctl understands.",
    "`infctl -help` lists the commands, `infctl COMMAND -help` the flags of one.",
)
BUG = Code(
    "bug",
    "Something happened that infctl does not expect: a mistake in infctl, not in your files.",
    "Report it with the file that the message names; state is safe, and the same command may be run again.",
)
DISK = Code(
    "os-error",
    "The operating system refused something that infctl needs: a file, a folder, a port.",
    "The message has the system's own words and the path.",
)
_OS_HINTS: Final = {
    errno.ENOENT: "check the name, and the folder that the command runs in (-chdir=DIR)",
    errno.EACCES: "check who may read and write there",
    errno.EROFS: "choose a folder that can be written (-chdir=DIR)",
    errno.ENOSPC: "make room on the disk, then run the same command again",
}


def explain(failure: Exception, terminal: Terminal, env: Mapping[str, str]) -> int:
    """Show `failure` on standard error and return the exit code, which is always 1."""
    if isinstance(failure, click.exceptions.Exit):
        return failure.exit_code
    if env.get("INFCTL_LOG"):
        terminal.complain(redact("".join(traceback.format_exception(failure))))
    if isinstance(failure, InfctlError):
        complain(failure.diagnostics, terminal)
    elif isinstance(failure, click.exceptions.Abort):
        terminal.complain("\nNot confirmed: nothing was changed.")
    elif isinstance(failure, click.ClickException):
        complain((_usage(failure),), terminal)
    elif isinstance(failure, OSError) and failure.filename is not None:
        complain((_os_error(failure),), terminal)
    else:
        complain((_bug(failure),), terminal)
    return 1


def complain(diagnostics: Iterable[Diagnostic], terminal: Terminal) -> None:
    """Print diagnostics on standard error."""
    lines = show_diagnostics(diagnostics, Style(terminal.width, terminal.color_errors))
    if lines:
        terminal.complain("\n".join(lines))


def _usage(failure: click.ClickException) -> Diagnostic:
    hint = ""
    path = failure.ctx.command_path if isinstance(failure, click.UsageError) and failure.ctx else "infctl"
    summary = failure.message
    if isinstance(failure, click.NoSuchOption):
        name = one_dash(failure.option_name)
        summary = f"{path} has no flag {name}"
        hint = _nearest(one_dash(word) for word in failure.possibilities or ())
    elif isinstance(failure, click.NoSuchCommand):
        summary = f"{path} has no command {failure.command_name!r}"
        hint = _nearest(failure.possibilities or ())
    elif isinstance(failure, click.BadParameter):
        summary = failure.format_message()
    summary = summary.replace(" --", " -").replace("'--", "'-")
    return error(USAGE, summary, hint=hint or f"see: {path} -help")


def _nearest(words: Iterable[str]) -> str:
    first = next((word for word in words if not word.startswith("-no-") or word == "-no-color"), "")
    return f'did you mean "{first}"?' if first else ""


def _os_error(failure: OSError) -> Diagnostic:
    hint = _OS_HINTS.get(failure.errno or 0, "")
    return error(DISK, f"{failure.filename}: {failure.strerror}", hint=hint)


def _bug(failure: Exception) -> Diagnostic:
    where = write_crash(failure)
    return error(
        BUG,
        f"This is a bug in infctl {__version__}: {type(failure).__name__}",
        f"details: {where}" if where else "details: run again with INFCTL_LOG=debug",
        hint="please report it with that file; state is safe, and the same command may be run again",
    )


def write_crash(failure: BaseException) -> Path | None:
    """Write what a report needs to a 0600 file, secrets redacted, and return its path; None where nothing can be."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    words = [Path(sys.argv[0]).name, *(_flag_only(word) for word in sys.argv[1:])]
    head = f"infctl {__version__} · python {sys.version.split()[0]} · {sys.platform}\n{' '.join(words)}\n\n"
    text = redact(head + "".join(traceback.format_exception(failure)))
    for folder in (Path(".infctl"), Path(tempfile.gettempdir())):
        path = folder / f"infctl-crash-{stamp}-{os.getpid()}.log"
        with suppress(OSError), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            return path
    return None


def _flag_only(word: str) -> str:
    """Return a word of argv without a value that may be private: `-var=...`."""
    name, given, _ = word.partition("=")
    return f"{name}=…" if given else word
