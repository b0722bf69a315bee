"""The command `version`."""

from __future__ import annotations

import click

from infctl import __version__
from infctl.cli.command import Command, flag


@click.command("version", cls=Command, help="Show the version of infctl.")
@flag("json", "Print one JSON document.")
def command(json: bool = False) -> int:
    if json:
        from json import dumps

        from infctl.provider.registry import installed

        click.echo(dumps({"infctl_version": __version__, "platform": _platform(), "providers": list(installed())}))
    else:
        click.echo(f"infctl v{__version__}\non {_platform()}")
    return 0


def _platform() -> str:
    import os
    import sys

    return f"{sys.platform}_{os.uname().machine}"
