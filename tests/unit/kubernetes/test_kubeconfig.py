"""Where a cluster is, as kubeconfig files say: merged, with paths of their own, and what is missing said by name."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from infctl.provider.errors import ProviderError
from infctl_kubernetes.kubeconfig import read_access

PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"


def config(name: str, **more: Any) -> dict[str, Any]:
    return {
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}:6443/", **more}}],
        "users": [{"name": name, "user": {"token": f"t-{name}"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "models"}}],
    }


def write(path: Path, *configs: dict[str, Any]) -> str:
    for index, each in enumerate(configs):
        (path / f"c{index}").write_text(yaml.safe_dump(each), "utf-8")
    return ":".join(str(path / f"c{index}") for index in range(len(configs)))


def test_the_first_file_says_which_context_is_current_and_all_are_there(tmp_path: Path) -> None:
    files = write(tmp_path, config("a"), config("b"))
    access = read_access("", "", {"KUBECONFIG": files})
    assert (access.server, access.context, access.namespace) == ("https://a:6443", "a", "models")
    assert access.login == {"token": "t-a"}
    assert read_access("", "b", {"KUBECONFIG": files}).server == "https://b:6443"


def test_the_targets_own_file_wins_over_the_environments(tmp_path: Path) -> None:
    files = write(tmp_path, config("a"), config("b"))
    assert read_access(str(tmp_path / "c1"), "", {"KUBECONFIG": files}).context == "b"


def test_certificates_are_read_from_the_file_or_beside_it(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(PEM, "utf-8")
    path = write(tmp_path, config("a", **{"certificate-authority": "ca.pem"}))
    assert read_access(path, "", {}).authority == PEM
    data = base64.b64encode(PEM.encode()).decode()
    path = write(tmp_path, config("a", **{"certificate-authority-data": data, "tls-server-name": "kube"}))
    access = read_access(path, "", {})
    assert (access.authority, access.server_name, access.verify) == (PEM, "kube", True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"current-context": "c"}, "There is no context c"),
        ({"current-context": ""}, "No context is chosen"),
        ({"users": []}, "There is no user a"),
        ({"clusters": []}, "There is no cluster a"),
        (
            {"clusters": [{"name": "a", "cluster": {"server": "https://a", "certificate-authority": "no.pem"}}]},
            "cannot be read",
        ),
    ],
)
def test_what_is_missing_is_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = write(tmp_path, {**config("a"), **change})
    with pytest.raises(ProviderError, match=said):
        read_access(path, "", {})


def test_no_file_is_an_error_that_says_where_one_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="There is no kubeconfig") as caught:
        read_access(str(tmp_path / "none"), "", {})
    assert str(tmp_path / "none") in caught.value.diagnostics[0].detail
    (tmp_path / "c0").write_text("- a list", "utf-8")
    with pytest.raises(ProviderError, match="is no kubeconfig"):
        read_access(str(tmp_path / "c0"), "", {})


def test_secrets_of_an_access_are_not_printed(tmp_path: Path) -> None:
    assert "t-a" not in repr(read_access(write(tmp_path, config("a")), "", {}))
