"""A stack whose state is in a bucket: every command finds it there, and a place that changed is no empty one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infctl.state.remote import aws
from tests.shell import Shell
from tests.testbed.buckets import Bucket, client_of, environment
from tests.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.xdist_group("buckets")
HERE = "apiVersion: infctl/v1\nname: acme\ntargets: {here: {type: memory}}\n"
MODEL = "chat: {uri: 'file:m.gguf'}"


def head(bucket: Bucket, more: str = "") -> str:
    state = f"state: {{backend: s3, bucket: {bucket.name}, key: prod/chat, endpoint: '{bucket.server.url}'{more}}}\n"
    return f"{HERE}{state}models:\n"


def keys(bucket: Bucket) -> list[str]:
    found = client_of(bucket.server).list_objects_v2(Bucket=bucket.name)
    return [each["Key"] for each in found.get("Contents", ())]


@pytest.fixture
def shell(tmp_path: Path, bucket: Bucket) -> Shell:
    write_tiny_gguf(tmp_path / "m.gguf")
    return Shell(tmp_path, dict(bucket.server.env))


def test_plan_apply_and_every_look_at_state_use_the_bucket(shell: Shell, bucket: Bucket) -> None:
    shell.write(MODEL, head(bucket))
    done = shell("apply", "-auto-approve")
    assert done.code == 0, done.out + done.err
    assert keys(bucket)[0] == "prod/chat"
    assert not (shell.folder / ".infctl/default/state.json").exists()
    assert "No changes" in shell("plan").out
    assert "chat" in shell("state", "list").out
    assert json.loads(shell("state", "pull").out)["stack"] == "acme"
    assert f"s3://{bucket.name}/prod/chat" in shell("init").out
    (shell.folder / "inference.yaml").unlink()
    assert "chat" in shell("state", "list").out, "it is found where the file is gone"
    assert shell("destroy", "-auto-approve").code == 0


def test_workspaces_and_locks_are_in_the_bucket(shell: Shell, bucket: Bucket) -> None:
    shell.write(MODEL, head(bucket))
    assert shell("workspace", "new", "blue").code == 0
    assert shell("apply", "-auto-approve").code == 0
    assert "prod/chat.workspaces/blue" in keys(bucket)
    assert shell("workspace", "select", "default").code == 0
    assert shell("state", "list").code == 1
    assert shell("workspace", "list").out.split() == ["blue", "*", "default"]


def test_a_state_that_stayed_behind_is_not_taken_for_an_empty_one(shell: Shell, bucket: Bucket) -> None:
    shell.write(MODEL, f"{HERE}models:\n")
    assert shell("apply", "-auto-approve").code == 0
    shell.write(MODEL, head(bucket))
    refused = shell("plan")
    assert (refused.code, "state-moved" in refused.err) == (1, True), refused.err
    assert "infctl state migrate" in refused.err
    moved = shell("state", "migrate")
    assert moved.code == 0, moved.err
    assert f"to s3://{bucket.name}/prod/chat" in moved.out
    assert "No changes" in shell("plan").out
    assert "nothing-to-migrate" in shell("state", "migrate").err
    assert (shell.folder / ".infctl/default/state.json").exists(), "the source keeps its copy"


def test_a_bucket_with_another_lineage_is_left_alone(shell: Shell, bucket: Bucket, tmp_path: Path) -> None:
    other = Shell(tmp_path / "other", shell.env)
    other.folder.mkdir()
    write_tiny_gguf(other.folder / "m.gguf")
    other.write(MODEL, head(bucket))
    assert other("apply", "-auto-approve").code == 0
    shell.write(MODEL, f"{HERE}models:\n")
    assert shell("apply", "-auto-approve").code == 0
    shell.write(MODEL, head(bucket))
    before = other("state", "pull").out
    assert "state-moved" in shell("plan").err
    assert "state-conflict" in shell("state", "migrate").err
    assert other("state", "pull").out == before
    assert shell("init", "-reconfigure").code == 0
    assert "chat" in shell("state", "list").out


def test_a_key_of_kms_seals_what_is_in_the_bucket(shell: Shell, bucket: Bucket) -> None:
    shell.env["AWS_ENDPOINT_URL_KMS"] = bucket.server.url
    with environment({**bucket.server.env, "AWS_ENDPOINT_URL_KMS": bucket.server.url}):
        kms = aws.client_of("kms", "us-east-1", None)
        name = kms.create_key()["KeyMetadata"]["KeyId"]
        other = kms.create_key()["KeyMetadata"]["KeyId"]
    shell.write(MODEL, head(bucket, f", encryption: {{key: {{aws_kms: {name}}}}}"))
    done = shell("apply", "-auto-approve")
    assert done.code == 0, done.err
    assert "No changes" in shell("plan").out
    for key in keys(bucket):
        text = client_of(bucket.server).get_object(Bucket=bucket.name, Key=key)["Body"].read()
        assert b"m.gguf" not in text
    shell.write(MODEL, head(bucket, f", encryption: {{key: {{aws_kms: {other}}}}}"))
    assert "No changes" in shell("plan").out, "KMS knows which of its keys wrapped what"
    shell.write(MODEL, head(bucket))
    assert "it is encrypted under a key of KMS; no key is given" in " ".join(shell("plan").err.split())
    shell.write(MODEL, head(bucket, ", encryption: {key: {aws_kms: alias/nobodys}}"))
    assert shell("workspace", "new", "blue").code == 0
    refused = shell("apply", "-auto-approve")
    assert (refused.code, "error[state-forbidden]: the KMS key alias/nobodys" in refused.err) == (1, True), refused.err
