"""The commands `catalog ...`: the facts that infctl ships."""

from __future__ import annotations

from infctl.cli.command import LazyGroup

TABLE = {
    "list": ("infctl.cli.catalog.list", "List what the catalogue knows of one kind."),
    "show": ("infctl.cli.catalog.show", "Show one row, by any of its names."),
    "update": ("infctl.cli.catalog.update", "Fetch today's list prices of GPU instances."),
}
command = LazyGroup("catalog", table=TABLE, help="Look at the facts that infctl ships.", subcommand_metavar="COMMAND")
