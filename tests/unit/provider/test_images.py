"""What an image's tag stands for, asked of registries that do not tell."""

from __future__ import annotations

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.images import resolve_image


def test_a_registry_that_is_not_there_is_told_in_plain_words() -> None:
    with pytest.raises(ProviderError) as caught:
        resolve_image("127.0.0.1:9/serve:1")
    (said,) = caught.value.diagnostics
    assert said.summary == "The registry of 127.0.0.1:9/serve:1 does not answer"
    assert said.detail.startswith("Failed to establish a new connection")
    assert "mend the way to the registry" in said.hint
