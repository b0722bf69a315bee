"""Owns what a supervisor is told to run for an object: argv, environment, config file, delivered secrets.

Knows nothing of when anything is started, stopped or asked.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from infctl.provider.errors import ProviderError
from infctl.provider.values import Values
from infctl.secrets import Secret
from infctl_local.engine_config import EngineConfig
from infctl_local.objects import SECRETS, Found
from infctl_local.process import Spec
from infctl_local.record import write_private

HOST = "127.0.0.1"  # engines are reached through the relay; only its routes may be bound elsewhere
ENGINE = "llama.cpp"
DISTRIBUTION = "xllamacpp"  # the Python package that brings it
ENGINE_CONFIG = "engine.json"
LIFELINE = (sys.executable, "-P", "-m", "infctl_local.lifeline")  # it becomes the command, and ends with its supervisor

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # POSIX.1-2017, 3.235 Name


@dataclass(frozen=True, slots=True)
class Delivery:
    """An object's environment: `plain` may be on disk, `secret` goes to the process only.

    `hidden` are the values of secrets that went as files.
    """

    plain: Mapping[str, str]
    secret: Mapping[str, str]
    hidden: tuple[str, ...] = ()


def deliver(run_dir: Path, env: Values) -> Delivery:
    """Write the secrets that go as files, 0600, and return the environment that names them (NAME_FILE).

    Raises ProviderError for a name that no environment variable can have, and that could leave the folder.
    """
    plain: dict[str, str] = {}
    secret: dict[str, str] = {}
    hidden: list[str] = []
    folder = run_dir / SECRETS
    for name, value in env.items():
        if not VARIABLE.fullmatch(name):
            raise ProviderError(f"{name!r} cannot name an environment variable", hint="letters, digits and _ can")
        if not isinstance(value, Secret):
            plain[name] = str(value)
        elif value.ref is not None and value.ref.delivery == "env":
            secret[name] = value.reveal()
        else:
            folder.mkdir(mode=0o700, exist_ok=True)
            write_private(folder / name, value.reveal())
            plain[f"{name}_FILE"] = str(folder / name)
            hidden.append(value.reveal())
    return Delivery(plain, secret, tuple(hidden))


def withdraw(run_dir: Path) -> None:
    """Remove the delivered secrets."""
    if (run_dir / SECRETS).exists():
        shutil.rmtree(run_dir / SECRETS)


def engine_spec(found: Found, root: Path, delivery: Delivery) -> Spec:
    """Return what runs a replica; for the embedded engine its config file is written on the way."""
    values, port = found.record.values, int(found.record.outputs["port"])
    env = {**delivery.plain, "PORT": str(port)}
    if values["command"]:
        argv = tuple(word.replace("{port}", str(port)) for word in values["command"])
        return Spec((*LIFELINE, *argv), env, cwd=str(root))
    if values["engine"] != ENGINE:
        raise ProviderError(
            f"Targets of type local cannot run the engine {values['engine']!r}",
            hint=f"say engine: {ENGINE}, or engine: custom with a command",
        )
    _check_version(values["engine_version"])
    config = found.path / ENGINE_CONFIG
    write_private(config, engine_config(values, found.record.labels.model, port, root).to_json())
    return Spec((sys.executable, "-P", "-m", "infctl_local.engine", str(config)), env)


def _check_version(pinned: str) -> None:
    """Refuse to run another engine than the one that was pinned. Raises ProviderError."""
    try:
        installed = version(DISTRIBUTION)
    except PackageNotFoundError:
        installed = "no version"
    if pinned and pinned != installed:
        raise ProviderError(
            f"{ENGINE} {pinned} is pinned, but {installed} is installed",
            hint=f"run `infctl lock -upgrade` to pin what is installed, or: pip install {DISTRIBUTION}=={pinned}",
        )


def engine_config(values: Values, model: str, port: int, root: Path) -> EngineConfig:
    """Return the embedded engine's config: `ctx_size` and `parallel` have places of their own there."""
    args: dict[str, Any] = dict(values["args"])
    return EngineConfig(
        model=str(model_path(values["model"], root)),
        port=port,
        host=HOST,
        n_ctx=args.pop("ctx_size", 0),
        n_parallel=args.pop("parallel", 1),
        alias=(model,),
        embedding=values["task"] == "embed",
        args=args,
    )


def model_path(uri: str, root: Path) -> Path:
    """Return the file that a `file:` uri names; a relative one starts at the stack's folder."""
    return root / uri.removeprefix("file:").removeprefix("//")
