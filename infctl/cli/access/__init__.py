"""The commands `access ...`: who may do what."""

from __future__ import annotations

from infctl.cli.command import LazyGroup

TABLE = {
    "bootstrap": ("infctl.cli.access.bootstrap", "Print the rights that infctl itself needs for a target."),
}
command = LazyGroup("access", table=TABLE, help="See who may do what.", subcommand_metavar="COMMAND")
