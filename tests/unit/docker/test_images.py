"""Names of images as people write them: whose registry they are of, and where a mirror has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.protocol import Context
from infctl_docker.config import RackTarget
from infctl_docker.hosts import Host, HostConfig
from infctl_docker.images import mirrored, resolve, split_registry

MIRRORS = {"docker.io": "mirror.example:5000", "ghcr.io": "mirror.example/ghcr/"}


@pytest.mark.parametrize(
    ("image", "registry", "rest"),
    [
        ("llama", "docker.io", "library/llama"),
        ("llama:1", "docker.io", "library/llama:1"),
        ("vllm/vllm-openai:v1", "docker.io", "vllm/vllm-openai:v1"),
        ("vllm/vllm-openai@sha256:0a", "docker.io", "vllm/vllm-openai@sha256:0a"),
        ("ghcr.io/a/b:c", "ghcr.io", "a/b:c"),
        ("localhost/a", "localhost", "a"),
        ("10.0.0.1:5000/a:1", "10.0.0.1:5000", "a:1"),
    ],
)
def test_a_name_begins_with_its_registry_or_is_of_the_hub(image: str, registry: str, rest: str) -> None:
    assert split_registry(image) == (registry, rest)


@pytest.mark.parametrize(
    ("image", "pulled"),
    [
        ("llama:1", "mirror.example:5000/library/llama:1"),
        ("vllm/vllm-openai@sha256:0a", "mirror.example:5000/vllm/vllm-openai@sha256:0a"),
        ("docker.io/vllm/vllm-openai:v1", "mirror.example:5000/vllm/vllm-openai:v1"),
        ("index.docker.io/a/b", "mirror.example:5000/a/b"),
        ("ghcr.io/a/b:c", "mirror.example/ghcr/a/b:c"),
        ("quay.io/a/b:c", "quay.io/a/b:c"),
    ],
)
def test_a_mirror_stands_in_its_registry_s_place(image: str, pulled: str) -> None:
    assert mirrored(image, MIRRORS) == pulled


def test_an_image_that_nobody_can_be_asked_for_says_what_is_wrong_with_the_host(tmp_path: Path) -> None:
    host = Host(HostConfig(url=f"unix://{tmp_path}/docker.sock", name="here"))
    config = RackTarget.model_validate({"hosts": [host.config.url]})
    with pytest.raises(ProviderError, match=r"llama:1 cannot be found") as said:
        resolve((host,), "llama:1", config, Context("rack", "test", "default", "3f0c", tmp_path, tmp_path))
    problem = said.value.diagnostics[0]
    assert "docker.sock" in problem.detail
    assert "registry" not in problem.hint
    assert "start docker" in problem.hint
