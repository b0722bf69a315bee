"""Owns where secrets come from: the environment, a file, a command. The stack holds sources, never values.

A value is read when it is needed, and leaves this module only as a `Secret`. No message repeats what a file or a
command gave, not even its error output.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from infctl.diagnostics import Code, InfctlError, error
from infctl.frozen import dataclass
from infctl.secrets import Secret

SECRET_UNAVAILABLE = Code(
    "secret-unavailable",
    "The value of a secret could not be had from where the configuration says.",
    "Set the variable, write the file, or run the command by hand to see what it says.",
)
MOST_BYTES = 1024 * 1024  # of one secret; a certificate chain has some 10 kB
COMMAND_TIMEOUT = 30.0  # seconds; a password manager may ask a server on the way


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where one secret comes from: exactly one of `env`, `file`, `command` is set. `command` is argv."""

    name: str
    env: str = ""
    file: str = ""
    command: tuple[str, ...] = ()


def resolve_secret(
    source: SecretSource,
    root: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = COMMAND_TIMEOUT,
) -> Secret:
    """Return the value now. Relative files start at `root`, where commands run too; one final newline is dropped.

    `env` is the environment to look into, the process's own by default; `timeout` in seconds.
    Raises InfctlError (secret-unavailable).
    """
    if source.env:
        found = (os.environ if env is None else env).get(source.env)
        if found is None:
            raise _unavailable(source, f"the environment variable {source.env} is not set", f"export {source.env}=…")
        data = found.encode(errors="surrogateescape")
    elif source.file:
        data = _read(source, root)
    else:
        data = _run(source, root, env, timeout)
    return Secret(_checked(source, data))


def _read(source: SecretSource, root: Path) -> bytes:
    try:
        path = root / Path(source.file).expanduser()
        with path.open("rb") as opened:
            return opened.read(MOST_BYTES + 1)
    except (OSError, RuntimeError, ValueError) as failure:
        reason = (failure.strerror if isinstance(failure, OSError) else "") or "the name cannot be used"
        raise _unavailable(source, f"{source.file}: {reason}", "write the file, or let this user read it") from failure


def _run(source: SecretSource, root: Path, env: Mapping[str, str] | None, timeout: float) -> bytes:
    """Return what the command prints. Killed with all its children when it takes too long or prints too much."""
    program = source.command[0]
    try:
        process = subprocess.Popen(
            source.command, cwd=root, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as failure:
        reason = (failure.strerror if isinstance(failure, OSError) else "") or "the command cannot be used"
        raise _unavailable(source, f"{program}: {reason}", f"install {program}, or give its whole path") from failure
    with process:
        try:
            printed, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as late:
            detail = f"{program} did not end within {timeout:g} seconds"
            raise _unavailable(source, detail, "run it by hand: it may wait for an answer") from late
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise _unavailable(source, f"{program} ended with {process.returncode}", "run it by hand to see what it says")
    return printed


def _checked(source: SecretSource, data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise _unavailable(source, "it has more than 1 MiB", "name what holds the secret and nothing else")
    try:
        value = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as failure:
        raise _unavailable(source, "it is not UTF-8 text", "encode it, for example with base64") from failure
    if not value or "\0" in value:
        raise _unavailable(source, "it is empty" if not value else "it has a NUL character", "store the value there")
    return value


def _unavailable(source: SecretSource, detail: str, hint: str) -> InfctlError:
    path = f"secrets.{source.name}"
    return InfctlError(
        error(SECRET_UNAVAILABLE, f"The secret {source.name} cannot be had", detail, hint=hint, path=path)
    )
