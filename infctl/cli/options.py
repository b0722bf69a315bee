"""Owns the flags that several commands share, and the values they make."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from infctl.cli import tab
from infctl.cli.command import flag, option
from infctl.cli.locking import Seconds, lock_timeout

if TYPE_CHECKING:
    from infctl.address import Address
    from infctl.diagnostics import Diagnostic
    from infctl.ops.where import Where
    from infctl.plan.request import Request

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Given = Mapping[str, Any]  # a command's flags, by name


def stacked(*decorators: Callable[[Any], Any]) -> Callable[[Decorated], Decorated]:
    """Return one decorator that adds `decorators` in the order of the help text."""

    def decorate(decorated: Decorated) -> Decorated:
        for decorator in reversed(decorators):
            decorated = decorator(decorated)
        return decorated

    return decorate


which_stack = stacked(
    option(
        "file", "FILE", "Read FILE instead of inference.yaml; repeatable, a folder is all its files.", multiple=True
    ),
    option("var", "'NAME=VALUE'", "Set a variable; repeatable.", multiple=True),
    option("var-file", "FILE", "Set variables from a YAML file; repeatable.", multiple=True),
)
working = stacked(
    which_stack,
    flag("allow-unreachable", "Plan the rest when a place cannot be read."),
    flag("input", "Ask nothing and pin nothing anew.", default=True),
    flag("lock", "Hold no lock of state; refused by commands that write it.", default=True),
    lock_timeout,
    option("parallelism", "N", "Do so many steps at a time (10).", type=click.IntRange(1, 1000), default=10),
    flag("concise", "Leave out the lines about reading targets."),
    flag("json", "Print one JSON object a line."),
    option("json-into", "FILE", "Also write the JSON lines to FILE.", default=""),
)
selecting = stacked(
    flag("refresh", "Take the world to be as state remembers it.", default=True),
    option(
        "target",
        "ADDRESS",
        "Only this address and what it needs; repeatable.",
        multiple=True,
        shell_complete=tab.selectors,
    ),
    option(
        "exclude",
        "ADDRESS",
        "Not this address nor what needs it; repeatable.",
        multiple=True,
        shell_complete=tab.selectors,
    ),
    option("target-file", "FILE", "Read addresses for -target from FILE, one a line.", multiple=True),
    option("exclude-file", "FILE", "Read addresses for -exclude from FILE, one a line.", multiple=True),
)
planning = stacked(
    flag("destroy", "Plan to remove everything."),
    flag("refresh-only", "Plan to change nothing but state, so that it says what the world is."),
    selecting,
    option(
        "replace",
        "ADDRESS",
        "Make this object anew though nothing asks for it; repeatable.",
        multiple=True,
        shell_complete=tab.selectors,
    ),
    option("release", "MODEL", "Let go of a rollback's hold; repeatable.", multiple=True, shell_complete=tab.models),
    option(
        "retry",
        "MODEL",
        "Try a revision again that failed its gate; repeatable.",
        multiple=True,
        shell_complete=tab.models,
    ),
    flag("upgrade", "Take the newest engines, images, models, and rendering of what does not change otherwise."),
    option(
        "evacuate",
        "HOST",
        "Make the replicas of HOST, which cannot be read, elsewhere; repeatable.",
        multiple=True,
    ),
    working,
)
approving = stacked(
    flag("auto-approve", "Do not ask."),
    option("timeout", "TIME", "Stop gently after TIME: 30m, 1h.", type=Seconds(), default=None),
)


def where_of(given: Given) -> Where:
    """Return which stack the flags mean. Raises click.UsageError for a `-var` without `=`."""
    from infctl.ops.where import Where

    variables = {}
    for pair in given["var"]:
        name, is_pair, value = pair.partition("=")
        if not is_pair or not name:
            raise click.UsageError(f"-var takes NAME=VALUE, not {name!r}")
        variables[name] = value
    return Where(
        files=tuple(map(Path, given["file"])),
        variables=variables,
        var_files=tuple(map(Path, given["var_file"])),
        env=os.environ,
    )


def request_of(given: Given, **more: Any) -> Request:
    """Return what the flags ask for. Raises click.UsageError for flags that contradict each other."""
    from infctl.ops.stores import who
    from infctl.ops.where import now
    from infctl.plan.model import Mode
    from infctl.plan.request import Request

    if given["destroy"] and given["refresh_only"]:
        raise click.UsageError("-destroy and -refresh-only exclude each other")
    if given["refresh_only"] and not given["refresh"]:
        raise click.UsageError("-refresh-only needs to look: leave out -refresh=false")
    if given["refresh_only"] and given["evacuate"]:
        raise click.UsageError("-evacuate makes replicas elsewhere, and -refresh-only makes nothing")
    mode = Mode.DESTROY if given["destroy"] else Mode.REFRESH_ONLY if given["refresh_only"] else Mode.NORMAL
    return Request(
        mode=mode,
        targets=addresses((*given["target"], *_lines(given["target_file"]))),
        excludes=addresses((*given["exclude"], *_lines(given["exclude_file"]))),
        replace=addresses(given["replace"]),
        release=tuple(map(model_name, given["release"])),
        retry=tuple(map(model_name, given["retry"])),
        by=who(),
        at=now(),
        upgrade=given["upgrade"],
        allow_unreachable=given["allow_unreachable"],
        evacuate=tuple(dict.fromkeys(given["evacuate"])),
        unattended=unattended(given),
        **more,
    )


def request_with(given: Given, **more: Any) -> Request:
    """Return the request of a command that has only some of the flags."""
    plain: dict[str, Any] = {"destroy": False, "refresh_only": False, "refresh": True, "upgrade": False}
    none: dict[str, Any] = dict.fromkeys(
        ("target", "exclude", "target_file", "exclude_file", "replace", "release", "retry", "evacuate"), ()
    )
    return request_of({**plain, **none, **given}, **more)


def unattended(given: Given) -> bool:
    """Return whether nobody is there to decide: -input=false, INFCTL_INPUT=false, or CI."""
    env = os.environ
    asked_not_to = env.get("INFCTL_INPUT", "").lower() in {"0", "false"}
    return not given["input"] or asked_not_to or env.get("CI", "").lower() not in {"", "0", "false"}


def model_name(word: str) -> str:
    """Return the model that `chat` or `model.chat` names."""
    return word.removeprefix("model.")


def addresses(words: Sequence[str]) -> tuple[Address, ...]:
    from infctl.address import parse_address
    from infctl.diagnostics import InfctlError

    found: list[Address] = []
    problems: list[Diagnostic] = []
    for word in words:
        try:
            found.append(parse_address(word))
        except InfctlError as failure:
            problems += failure.diagnostics
    if problems:
        raise InfctlError(*problems)
    return tuple(found)


def _lines(files: Sequence[str]) -> list[str]:
    """Return the addresses in files: one a line, `#` begins a comment."""
    found = []
    for name in files:
        for line in Path(name).read_text(encoding="utf-8").splitlines():
            word = line.partition("#")[0].strip()
            if word:
                found.append(word)
    return found
