"""Owns saying which rights infctl itself needs for a target. Reads only; what they are its provider knows."""

from __future__ import annotations

from infctl.diagnostics import Code, InfctlError, error
from infctl.ops.adopt import require_target
from infctl.ops.session import Session
from infctl.ops.where import Where
from infctl.provider.protocol import SupportsBootstrap

NO_BOOTSTRAP = Code(
    "no-bootstrap",
    "A target has no rights of its own to give: whoever reaches it may do all that infctl does.",
    "See the target's guide for what infctl needs there.",
)


def rights_for(where: Where, name: str) -> str:
    """Return the rights for a target as it takes them. Raises InfctlError (unknown-target, no-bootstrap)."""
    with Session.open(where, stack=False) as session:
        providers = session.open_providers(session.state())
        require_target(name, providers)
        provider = providers[name]
        if not isinstance(provider, SupportsBootstrap):
            kind = session.reaches[name].type
            raise InfctlError(
                error(NO_BOOTSTRAP, f"Targets of type {kind} have no rights to be given", hint=NO_BOOTSTRAP.remedy)
            )
        return provider.bootstrap()
