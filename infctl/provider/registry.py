"""Owns which providers are installed: the entry-point group `infctl.providers`.

Finding a name costs no import of its package; loading one imports just that one. Knows no provider by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from infctl.diagnostics import Code, InfctlError, error
from infctl.installed import EntryPoint, entry_points
from infctl.provider.protocol import Provider

PROVIDER_BROKEN = Code(
    "provider-broken",
    "An installed provider cannot be loaded.",
    "Install what it needs: the hint names the package.",
)


@cache
def _found() -> Mapping[str, EntryPoint]:
    return entry_points("infctl.providers")


def installed() -> tuple[str, ...]:
    """Return the types that `targets.X.type` may say, sorted."""
    return tuple(sorted(_found()))


@cache
def load(type_name: str) -> type[Provider]:
    """Return the provider class of an installed type. Raises InfctlError (provider-broken)."""
    point = _found()[type_name]
    try:
        loaded: type[Provider] = point.load()
    except ImportError as failure:
        missing = failure.name or str(failure)
        raise InfctlError(
            error(
                PROVIDER_BROKEN,
                f"The provider for targets of type {type_name!r} cannot be loaded",
                f"its package needs {missing!r}, which is not installed",
                hint=f'run: pip install "infctl[{type_name}]"',
            )
        ) from failure
    return loaded
