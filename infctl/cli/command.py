"""Owns what all commands share: flags as Terraform writes them, help that shows them so, the lazy group.

A command's callback returns its exit code. Imports click only; knows no command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
_TRUE = frozenset({"true", "1", "t"})
_FALSE = frozenset({"false", "0", "f"})


def one_dash(name: str) -> str:
    """Return a flag as users write it: `-out`."""
    return name[1:] if name.startswith("--") else name


class Flag(click.Option):
    """A boolean flag that also takes a value: `-refresh=false`."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        name = one_dash(self.opts[0])
        return (f"{name}=false" if self.default is True else name), self.help or ""


class Option(click.Option):
    """A flag with a value: `-out=FILE`."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        if self.hidden:
            return None
        return f"{one_dash(self.opts[0])}={self.metavar or 'VALUE'}", self.help or ""


def flag(name: str, help_text: str, *, default: bool = False) -> Callable[[Decorated], Decorated]:
    """Declare the boolean flag `name`, without dashes."""
    return click.option(f"--{name}/--no-{name}", cls=Flag, default=default, help=help_text)


def option(name: str, metavar: str, help_text: str, **more: Any) -> Callable[[Decorated], Decorated]:
    """Declare a flag with a value; `name` without dashes."""
    return click.option(f"--{name}", cls=Option, metavar=metavar, help=help_text, **more)


class Command(click.Command):
    """A command whose boolean flags take Go's values and whose help shows single dashes."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        flags = {name for param in self.params if isinstance(param, Flag) for name in param.opts}
        return super().parse_args(ctx, [_spell_out(word, flags) for word in args])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the flags that begin so, with one dash; else what click finds."""
        if not incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        from click.shell_completion import CompletionItem

        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option) and not param.hidden]
        names = [(one_dash(name), param.help) for param in options for name in param.opts]
        return [CompletionItem(name, help=text) for name, text in names if name.startswith(one_dash(incomplete))]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_options(self.get_params(ctx), ctx, formatter)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[options]", *(piece for param in self.get_params(ctx) for piece in param.get_usage_pieces(ctx))]


def _spell_out(word: str, flags: set[str]) -> str:
    """Return `--refresh=false` as `--no-refresh`. Raises click.BadOptionUsage for a value that is no boolean."""
    name, given, value = word.partition("=")
    if not given or name not in flags:
        return word
    if value.lower() in _TRUE:
        return name
    if value.lower() in _FALSE:
        return f"--no-{name[2:]}"
    raise click.BadOptionUsage(name, f"{one_dash(name)} takes true or false, not {value!r}")


def write_options(params: list[click.Parameter], ctx: click.Context, formatter: click.HelpFormatter) -> None:
    records = [
        ("-help", "Show this text.") if "--help" in param.opts else record
        for param in params
        if isinstance(param, click.Option) and (record := param.get_help_record(ctx)) is not None
    ]
    if records:
        with formatter.section("Options"):
            formatter.write_dl(records)


class LazyGroup(click.Group):
    """A group that knows its commands' names and help, and imports a command only when it is called.

    `table` maps a command to (module, one line of help); the module's `command` is the click command.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        command: click.Command = import_module(self.table[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.table and not args[0].startswith("-"):
            raise click.NoSuchCommand(args[0], possibilities=self.table, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in self.table.items()])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        write_options(self.get_params(ctx), ctx, formatter)
