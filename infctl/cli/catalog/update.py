"""The command `catalog update`."""

from __future__ import annotations

from pathlib import Path

import click

from infctl.cli.command import Command, flag, option
from infctl.cli.terminal import Terminal

CLOUDS = ("aws", "gcp", "azure")


@click.command("update", cls=Command)
@click.argument("clouds", nargs=-1, metavar="[aws|gcp|azure]...", type=click.Choice(CLOUDS))
@option("url", "URL", "Another list than the usual one: a CSV or YAML of prices.", default="")
@option("region", "REGION", "Prices of this region only; may be given several times.", multiple=True)
@option("catalog", "FILE", "Your catalogue file; default: inference.catalog.yaml.", default="")
@flag("json", "Print one JSON document.")
@click.pass_obj
def command(  # noqa: PLR0917  # click passes by name
    terminal: Terminal, clouds: tuple[str, ...], url: str, region: tuple[str, ...], catalog: str, json: bool
) -> int:
    """Fetch today's list prices of GPU instances into your own catalogue file, and say what changed.

    Nothing else of infctl's catalogue goes to a network. Without a cloud: all of them.
    """
    if url and len(clouds) != 1:
        raise click.UsageError("-url=URL needs one cloud: infctl catalog update aws -url=URL")
    from datetime import UTC, datetime

    from infctl.ops.catalog import update_prices
    from infctl.spec.which import CATALOG_FILE
    from infctl.views import catalog as view

    path = Path(catalog or CATALOG_FILE)
    today = datetime.now(UTC).date().isoformat()
    done = update_prices(path, clouds or CLOUDS, url=url, regions=region, today=today, tell=terminal.complain)
    if json:
        from json import dumps

        terminal.say(dumps(view.updated_json(done, str(path)), indent=2, ensure_ascii=False))
    else:
        terminal.say_lines(view.show_updated(done, str(path)))
    return 0
