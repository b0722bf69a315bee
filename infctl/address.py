"""Owns what a resource is called, and how `-target` selects it.

An address is `KIND.NAME` or `KIND.NAME["KEY"]`: `docker_container.chat["rack/0"]`. NAME is a model or a target,
KEY is TARGET/SLOT, where SLOT is a stable replica number. Knows nothing of what stands at an address.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from infctl.diagnostics import Code, InfctlError, error

NAME_PATTERN = r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?"
BAD_ADDRESS = Code(
    "bad-address",
    "A word given as an address is not one.",
    'Write model.NAME, target.NAME or KIND.NAME["TARGET/SLOT"]; `infctl state list` prints every address.',
)
_ADDRESS = re.compile(r'^([a-z][a-z0-9_]*)\.([a-z][a-z0-9-]*)(?:\["([^"\]]+)"\])?$')  # kind, name, key


class Address(NamedTuple):
    """A tuple, for a plan of ten thousand resources looks each up by it a dozen times."""

    kind: str
    name: str
    key: str = ""

    def __str__(self) -> str:
        return f'{self.kind}.{self.name}["{self.key}"]' if self.key else f"{self.kind}.{self.name}"

    @property
    def target(self) -> str:
        """The target part of a TARGET/SLOT key; the key itself where it names a target only."""
        return self.key.partition("/")[0]

    @property
    def slot(self) -> int:
        """The replica number of a TARGET/SLOT key. Raises ValueError when the address has none."""
        return int(self.key.rpartition("/")[2])


@lru_cache(maxsize=65536)
def parse_address(text: str) -> Address:
    """Return the address that `text` spells. Raises InfctlError (bad-address)."""
    found = _ADDRESS.match(text)
    if not found:
        hint = f"if {text} is a model, write model.{text}; if it is a target, write target.{text}"
        raise InfctlError(
            error(
                BAD_ADDRESS,
                f"{text!r} is not an address",
                hint=hint if re.fullmatch(NAME_PATTERN, text) else BAD_ADDRESS.remedy,
            )
        )
    return Address._make(found.groups(""))


def selects(selector: Address, address: Address, *, model: str, target: str) -> bool:
    """Return whether `selector` covers `address`, a resource of `model` on `target`.

    `model.NAME` and `target.NAME` cover all that belongs to them; an address without a key covers every
    instance of its kind and name.
    """
    if selector.kind == "model":
        return selector.name == model
    if selector.kind == "target":
        return selector.name == target
    return (selector.kind, selector.name) == (address.kind, address.name) and selector.key in {
        "",
        address.key,
    }
