"""Who asks a cluster: tokens, files, plug-ins that are run when they must be and say themselves why they failed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from infctl.provider.errors import ProviderError
from infctl_kubernetes.credentials import Credentials
from infctl_kubernetes.kubeconfig import Access

VERSION = "client.authentication.k8s.io/v1"


def access(**login: Any) -> Access:
    return Access("https://a", "prod", login=login)


def plugin(tmp_path: Path, status: dict[str, Any], code: int = 0) -> dict[str, Any]:
    """Return a plug-in that counts how often it was run."""
    script = tmp_path / "login.py"
    text = json.dumps({"kind": "ExecCredential", "status": status})
    script.write_text(
        f"import os, sys\nopen({str(tmp_path / 'runs')!r}, 'a').write('x')\n"
        f"print({text!r}); print('no such role: ' + os.environ['ROLE'], file=sys.stderr); sys.exit({code})\n",
        "utf-8",
    )
    env = [{"name": "ROLE", "value": "ops"}]
    return {"apiVersion": VERSION, "command": sys.executable, "args": [str(script)], "env": env}


@pytest.mark.parametrize(
    ("login", "headers"),
    [
        ({"token": "t"}, {"Authorization": "Bearer t"}),
        ({"username": "u", "password": "p"}, {"Authorization": "Basic dTpw"}),
        ({"token": "t", "as": "jane"}, {"Authorization": "Bearer t", "Impersonate-User": "jane"}),
        ({"as": "jane", "as-groups": ["a", "b"]}, {"Impersonate-User": "jane", "Impersonate-Group": ("a", "b")}),
        ({}, {}),
    ],
)
def test_a_user_is_a_header(login: dict[str, Any], headers: dict[str, str]) -> None:
    assert Credentials(access(**login)).login().headers == headers


def test_a_plugin_is_run_once_while_its_token_holds(tmp_path: Path) -> None:
    who = Credentials(access(exec=plugin(tmp_path, {"token": "t", "expirationTimestamp": "2999-01-01T00:00:00Z"})))
    assert who.login().headers == {"Authorization": "Bearer t"}
    assert who.login() is who.login()
    assert (tmp_path / "runs").read_text("utf-8") == "x"
    assert who.forget(who.login())
    who.login()
    assert (tmp_path / "runs").read_text("utf-8") == "xx"


def test_a_token_that_has_ended_is_had_again(tmp_path: Path) -> None:
    who = Credentials(access(exec=plugin(tmp_path, {"token": "t", "expirationTimestamp": "2001-01-01T00:00:00Z"})))
    who.login()
    who.login()
    assert (tmp_path / "runs").read_text("utf-8") == "xx"


def test_a_plugin_may_give_a_certificate(tmp_path: Path) -> None:
    run = plugin(tmp_path, {"clientCertificateData": "C", "clientKeyData": "K"})
    login = Credentials(access(exec=run)).login()
    assert (login.certificate, login.key, dict(login.headers)) == ("C", "K", {})
    assert "K" not in repr(login)


def test_a_plugin_that_fails_says_why_itself(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="gave no login") as caught:
        Credentials(access(exec=plugin(tmp_path, {}, code=1))).login()
    assert caught.value.diagnostics[0].detail == "no such role: ops"
    missing = {"apiVersion": VERSION, "command": "no-such-plugin", "installHint": "get it from us"}
    with pytest.raises(ProviderError) as caught:
        Credentials(access(exec=missing)).login()
    assert caught.value.diagnostics[0].hint == "get it from us"


def test_a_plugin_without_a_token_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="gave no login"):
        Credentials(access(exec=plugin(tmp_path, {}))).login()


@pytest.mark.parametrize("login", [{"auth-provider": {"name": "oidc"}}, {"as-uid": "1", "token": "t"}])
def test_what_is_not_served_is_refused_rather_than_left_out(login: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="not served"):
        Credentials(access(**login)).login()


def test_a_token_file_is_read_again_when_it_is_no_longer_taken(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n", "utf-8")
    who = Credentials(access(tokenFile=str(file)))
    first = who.login()
    file.write_text("two\n", "utf-8")
    assert who.login() is first
    assert who.forget(first)
    assert who.login().headers == {"Authorization": "Bearer two"}
    assert not Credentials(access(token="t")).forget(first)
