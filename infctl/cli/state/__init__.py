"""The commands `state ...`: what infctl remembers, looked at and mended by hand."""

from __future__ import annotations

from infctl.cli.command import LazyGroup

TABLE = {
    "list": ("infctl.cli.state.list", "List the addresses in state."),
    "show": ("infctl.cli.state.show", "Show objects as state knows them."),
    "mv": ("infctl.cli.state.mv", "Say that an object or a model is found at another address."),
    "rm": ("infctl.cli.state.rm", "Forget objects; they go on running."),
    "pull": ("infctl.cli.state.pull", "Print the whole state."),
    "push": ("infctl.cli.state.push", "Replace the whole state by a file's."),
    "recover": ("infctl.cli.state.recover", "Rebuild a lost or damaged state from what runs."),
    "migrate": ("infctl.cli.state.migrate", "Copy state to where the file says now."),
}
command = LazyGroup("state", table=TABLE, help="Look at state, and mend it by hand.", subcommand_metavar="COMMAND")
