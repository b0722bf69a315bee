"""The command `schema`."""

from __future__ import annotations

import click

from infctl.cli.command import Command
from infctl.cli.terminal import Terminal

HELP = """Print the JSON Schema of inference.yaml, for an editor to complete and check with.

\b
For editors that run yaml-language-server:
  infctl schema > .infctl/schema.json
  and as the first line of inference.yaml:
  # yaml-language-server: $schema=.infctl/schema.json
"""


@click.command("schema", cls=Command, help=HELP)
@click.pass_obj
def command(terminal: Terminal) -> int:
    from json import dumps

    from infctl.spec.schema import json_schema
    from infctl.spec.types import InstalledTypes

    terminal.say(dumps(json_schema(InstalledTypes()), indent=2, ensure_ascii=False))
    return 0
