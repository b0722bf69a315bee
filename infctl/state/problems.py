"""Owns the codes of what can be wrong with a state, and the errors that several parts of it raise.

Knows nothing of any one store.
"""

from __future__ import annotations

from infctl.diagnostics import Code, InfctlError, Span, error

STATE_DAMAGED = Code(
    "state-damaged",
    "The state or its journal cannot be read as infctl wrote it.",
    "`infctl state recover` rebuilds it from what runs, with the help of the backup beside it.",
)
STATE_LOST = Code(
    "state-lost",
    "State is gone or empty, but what it was about is still there: running objects, backups, a journal.",
    "`infctl state recover` rebuilds state from what runs; nothing is changed until then.",
)
STATE_TOO_NEW = Code(
    "state-too-new",
    "The state was written by a newer infctl, in a format that this one does not know.",
    "Use the infctl that the message names, or a newer one.",
)
STATE_UNREADABLE = Code(
    "state-unreadable",
    "A file of the state is there but the operating system does not let it be read.",
    "Run as the user who owns the file.",
)
STATE_UNWRITABLE = Code(
    "state-unwritable",
    "The state could not be written. What was stored before is intact.",
    "Make room or give the right to write, as the message says, and run the same command again.",
)
STATE_CONFLICT = Code(
    "state-conflict",
    "The state to be stored does not follow the one that is stored.",
    "Run the command again: it starts from the newest state. `infctl state push -force` overrides on purpose.",
)
STATE_LOCKED = Code(
    "state-locked",
    "Another run holds the lock of this state.",
    "Wait with `-lock-timeout=5m`; if that run is surely dead, `infctl force-unlock ID`.",
)
LEASE_LOST = Code(
    "lease-lost",
    "This run lost its lease of the state: another may have taken over, so nothing more is done.",
    "See who holds the lock now, and run the same command again: it picks up where this one stopped.",
)
NO_SUCH_LOCK = Code(
    "no-such-lock",
    "The lock to be opened by force is not the one that is held.",
    "Use the ID that the error[state-locked] message shows.",
)


def damaged(file: str, problem: str, *, hint: str = "", path: str = "", span: Span | None = None) -> InfctlError:
    """Return error[state-damaged] about `file`; the hint names the way back."""
    return InfctlError(
        error(
            STATE_DAMAGED,
            f"{file} is damaged",
            problem,
            hint=hint or "infctl state recover rebuilds it from what runs and what the backups say",
            path=path,
            span=span,
        )
    )
