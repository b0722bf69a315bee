"""The commands `workspace ...`: several states of one stack."""

from __future__ import annotations

from infctl.cli.command import LazyGroup

TABLE = {
    "list": ("infctl.cli.workspace.list", "List the workspaces, the selected one marked."),
    "show": ("infctl.cli.workspace.show", "Print the name of the selected workspace."),
    "new": ("infctl.cli.workspace.new", "Make a workspace and select it."),
    "select": ("infctl.cli.workspace.select", "Select a workspace."),
    "delete": ("infctl.cli.workspace.delete", "Delete an empty workspace."),
}
command = LazyGroup("workspace", table=TABLE, help="Keep several states of one stack.", subcommand_metavar="COMMAND")
