"""Owns how one value looks in a plan: as JSON without references or secrets, and as a short word."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from infctl.provider.values import Ref
from infctl.secrets import SecretRef, Unknown

KNOWN_AFTER_APPLY: Final = "(known after apply)"
SENSITIVE: Final = "(sensitive)"
_SHORT: Final = 60  # characters of a value that are shown beside an arrow
_DIGEST: Final = 40  # hex digits from which on a text is a checksum, of which twelve are enough
_SHOWN: Final = 12
_AT_DIGEST: Final = "@sha256:"
_HASH: Final = 7  # hex digits of an image's digest, as git shows them
_BEFORE, _AFTER = 12, 40  # characters that are shown before and after the place where two long values differ


def reference_text(ref: Ref) -> str:
    """Return a reference as the address and output it points at."""
    return f"{ref.address}.{ref.path}"


def plain(value: Any) -> Any:
    """Return `value` as JSON a reader understands: references and secrets by what they name."""
    if isinstance(value, Ref):
        return reference_text(value)
    if isinstance(value, SecretRef):
        return f"secret://{value.name}"
    if isinstance(value, Unknown):
        return None
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def unknown(value: Any, before: Any = None) -> Any:
    """Return Terraform's `after_unknown`: true where only apply can tell; a reference that stays is known."""
    if isinstance(value, Unknown):
        return True
    if isinstance(value, Ref):
        return value != before
    if isinstance(value, Mapping):
        known = before if isinstance(before, Mapping) else {}
        found = {key: unknown(item, known.get(key)) for key, item in value.items()}
        return {key: item for key, item in found.items() if item not in (False, {}, [])}
    if isinstance(value, (list, tuple)):
        past = before if isinstance(before, (list, tuple)) else ()
        found_list = [unknown(item, past[i] if i < len(past) else None) for i, item in enumerate(value)]
        return found_list if any(item not in (False, {}, []) for item in found_list) else []
    return False


def sensitive(value: Any) -> Any:
    """Return Terraform's `before_sensitive` and `after_sensitive`: true where a secret stands."""
    if isinstance(value, SecretRef):
        return True
    if isinstance(value, Mapping):
        found = {key: sensitive(item) for key, item in value.items()}
        return {key: item for key, item in found.items() if item not in (False, {}, [])}
    if isinstance(value, (list, tuple)):
        items = [sensitive(item) for item in value]
        return items if any(item not in (False, {}, []) for item in items) else []
    return False


def image_word(image: str) -> str:
    """Return an image's name with the beginning of its digest."""
    name, at, digest = image.partition(_AT_DIGEST)
    return f"{name}{at}{digest[:_HASH]}…" if at else image


def word(value: Any) -> str:
    """Return one JSON value as a short word: `none`, `8192`, `"chat"`, `["a", "b"]`, a checksum's beginning."""
    if value is None:
        return "none"
    if isinstance(value, str):
        if len(value) >= _DIGEST and all(char in "0123456789abcdef" for char in value):
            return f"{value[:_SHOWN]}…"
        text = value if value and " " not in value else json.dumps(value, ensure_ascii=False)
    else:
        text = json.dumps(value, ensure_ascii=False)
    if len(text) > _SHORT and isinstance(value, (list, tuple, Mapping)):
        return f"{{{len(value)} entries}}" if isinstance(value, Mapping) else f"[{len(value)} items]"
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def change_words(before: Any, after: Any) -> str:
    """Return `before → after` in short words; of long values that begin alike, the parts where they differ."""
    if _pinned(before) and _pinned(after):
        left, right = image_word(before), image_word(after)
        same = left.partition(_AT_DIGEST)[0] == right.partition(_AT_DIGEST)[0]
        return f"{left} → {right.rpartition('@')[2] if same else right}"
    left, right = word(before), word(after)
    if left == right:
        texts = [_text(before), _text(after)]
        alike = next((at for at, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
        start = max(0, alike - _BEFORE)
        end = start + _BEFORE + _AFTER
        left, right = (f"{'…' * (start > 0)}{text[start:end]}{'…' * (len(text) > end)}" for text in texts)
    return f"{left} → {right}"


def _pinned(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and _AT_DIGEST in value


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return shlex.join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
