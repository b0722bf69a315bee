"""A bucket passes the conformance kit that every store passes, and says what is wrong with it."""

from __future__ import annotations

import re

import pytest

from infctl.state.remote.s3 import S3Place
from infctl.state.remote.seal import Seal
from infctl.state.remote.store import RemoteStore
from infctl.state.testkit import CHECKS, Check, sample
from tests.contract.servers import Server
from tests.testbed.buckets import Bucket, S3Server, client_of
from tests.unit.state.words import refused

pytestmark = pytest.mark.xdist_group("buckets")


def store_in(bucket: Bucket, workspace: str = "default", lease: float = 60.0) -> RemoteStore:
    place = S3Place(client_of(bucket.server), bucket.name, "prod/chat", workspace, {})
    return RemoteStore(place, workspace, Seal(), lease=lease)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: str(check.__name__))
def test_s3_store(check: Check, any_bucket: Bucket) -> None:
    check(Server(lambda workspace, lease: store_in(any_bucket, workspace, lease)))


def test_what_lies_in_the_bucket(bucket: Bucket) -> None:
    with store_in(bucket).lock("ops", "apply") as lease:
        for serial in range(15):
            lease.commit(sample(serial))
    with store_in(bucket, "blue").lock("ops", "apply") as lease:
        lease.commit(sample())
    listed = client_of(bucket.server).list_objects_v2(Bucket=bucket.name)["Contents"]
    names = [each["Key"] for each in listed]
    assert [re.sub(r"-[0-9a-f]{6}\.", ".", name) for name in names if "workspaces" not in name] == [
        "prod/chat",
        *(f"prod/chat.history/{serial:010}-0000000001.json" for serial in range(4, 15)),
    ]


def test_a_bucket_that_is_not_there_is_said(moto_s3: S3Server) -> None:
    words = refused(lambda: store_in(Bucket(moto_s3, "nobody-made-it")).load())
    assert "no-such-place: s3://nobody-made-it/prod/chat is not there" in words
    assert "aws s3 mb s3://nobody-made-it" in words
