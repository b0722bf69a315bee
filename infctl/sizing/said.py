"""Owns reading values out of a config.json that anybody may have written: numbers of a sensible kind, or none. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_NESTED: Final = ("text_config", "llm_config", "language_config", "thinker_config", "llm", "decoder")
_BESIDE: Final = ("attn_config", "ffn_config")  # of MPT and DBRX: parts of the same model
MOST = 1 << 31  # no length of a model is longer
MOST_LAYERS = 1024  # the deepest published model has 126


class Said:
    """A config.json, the part about the language model on top where there are several."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.whole_config = config
        self.values: Mapping[str, Any] = _flat(config)
        self.kind = self.word("model_type")
        named = self.values.get("architectures") or config.get("architectures")
        self.family = str(named[0]) if isinstance(named, list) and named else ""

    def number(self, *names: str, default: int = 0) -> int:
        """Return the first positive whole number under one of `names`; of a list of numbers, one for each layer, their
        mean.
        """
        for name in names:
            value = self.values.get(name)
            if isinstance(value, list) and value and all(map(_sensible, value)):
                value = round(sum(value) / len(value))
            if _sensible(value) and value:
                return int(value)
        return default

    def gave(self, name: str) -> bool:
        """Return whether there is a sensible number under `name`, zero among them."""
        return _sensible(self.values.get(name))

    def word(self, name: str) -> str:
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    def truth(self, name: str, *, default: bool = False) -> bool:
        value = self.values.get(name)
        return value if isinstance(value, bool) else default

    def words(self, *names: str) -> tuple[str, ...]:
        """Return the first list of words under one of `names`, cut to as many as a model may have layers."""
        for name in names:
            value = self.values.get(name)
            if isinstance(value, list) and value and all(isinstance(each, str) for each in value[:MOST_LAYERS]):
                return tuple(value[:MOST_LAYERS])
        return ()

    def numbers(self, name: str) -> tuple[int, ...]:
        value = self.values.get(name)
        return tuple(each for each in value[:MOST_LAYERS] if type(each) is int) if isinstance(value, list) else ()

    def part(self, name: str) -> Mapping[str, Any]:
        """Return a nested object, of the whole file or of the language model; an empty one where there is none."""
        value = self.values.get(name) or self.whole_config.get(name)
        return value if isinstance(value, Mapping) else {}


def _flat(config: Mapping[str, Any]) -> Mapping[str, Any]:
    flat = dict(config)
    for _ in range(2):  # Qwen-Omni nests twice
        inner = next((flat[name] for name in _NESTED if isinstance(flat.get(name), Mapping)), None)
        if inner is None:
            break
        flat = {**{name: value for name, value in flat.items() if name not in _NESTED}, **inner}
    for name in _BESIDE:
        if isinstance(part := flat.get(name), Mapping):
            flat = {**part, **flat}
    return flat


def _sensible(value: object) -> bool:
    return type(value) is int and 0 <= value < MOST
