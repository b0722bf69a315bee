"""Signed addresses of S3, held against the example that Amazon publishes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from infctl.provider.s3 import Bucket, bucket_from
from infctl.secrets import Secret

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
DAY = datetime(2013, 5, 24, tzinfo=UTC)


def test_the_published_example() -> None:
    """docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html, "Example"."""
    address = Bucket("examplebucket", key=KEY, secret=Secret(SECRET)).address("test.txt", seconds=86_400, now=DAY)
    assert address.startswith("https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
    signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    assert parse_qs(urlsplit(address).query)["X-Amz-Signature"] == [signature]


@pytest.mark.parametrize(
    ("bucket", "path", "address"),
    [
        (Bucket("b"), "a b/ü.gguf", "https://b.s3.amazonaws.com/a%20b/%C3%BC.gguf"),
        (Bucket("b", "eu-west-1"), "m", "https://b.s3.eu-west-1.amazonaws.com/m"),
        (Bucket("models.example", "eu-west-1"), "m", "https://s3.eu-west-1.amazonaws.com/models.example/m"),
        (Bucket("b", endpoint="http://minio:9000/"), "m", "http://minio:9000/b/m"),
    ],
)
def test_where_a_bucket_is(bucket: Bucket, path: str, address: str) -> None:
    assert bucket.address(path) == address


def test_a_method_a_token_and_a_query_are_signed_too() -> None:
    plain = Bucket("b", key=KEY, secret=Secret(SECRET))
    token = Bucket("b", key=KEY, secret=Secret(SECRET), token=Secret("a-session-token"))
    made = [
        plain.address("m", now=DAY),
        plain.address("m", method="HEAD", now=DAY),
        plain.address("m", query={"versionId": "1"}, now=DAY),
        token.address("m", now=DAY),
    ]
    assert len({parse_qs(urlsplit(each).query)["X-Amz-Signature"][0] for each in made}) == len(made)
    assert SECRET not in "".join(made)
    assert SECRET not in repr(plain)


def test_rights_come_from_the_environment_or_the_profile(tmp_path: Path) -> None:
    env = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "the-env-secret", "AWS_REGION": "eu-west-1"}
    found = bucket_from("b", env)
    assert (found.key, found.secret.reveal(), found.region, found.endpoint) == ("a", "the-env-secret", "eu-west-1", "")
    (tmp_path / ".aws").mkdir()
    text = "[default]\naws_access_key_id = d\naws_secret_access_key = profile%secret\n[work]\naws_access_key_id = w\n"
    (tmp_path / ".aws/credentials").write_text(text)
    home = {"HOME": str(tmp_path), "AWS_ENDPOINT_URL_S3": "http://s3", "AWS_ENDPOINT_URL": "http://all"}
    assert (bucket_from("b", home).key, bucket_from("b", home).secret.reveal()) == ("d", "profile%secret")
    assert bucket_from("b", home).endpoint == "http://s3"
    assert bucket_from("b", {**home, "AWS_PROFILE": "work"}).key == "w"
    assert bucket_from("b", {**home, "AWS_PROFILE": "none"}).key == ""
    (tmp_path / ".aws/credentials").write_text("no profile")
    assert bucket_from("b", home).key == bucket_from("b", {}).key == ""
