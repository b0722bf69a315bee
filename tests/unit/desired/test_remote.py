"""What is found out about models that are elsewhere, from a real server, and what is said when nothing is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from infctl.desired.remote import Remote, look
from infctl.diagnostics import InfctlError
from tests.unit.desired.hub import Hub, hub

SHA = "ab" * 32


def repository(*names: str) -> dict[str, Any]:
    """Return a hub's answer about files of 100 bytes, 101 and so on."""
    files = [{"rfilename": name, "size": 100 + index} for index, name in enumerate(names)]
    return {"sha": "c0ffee", "siblings": files}


@pytest.fixture
def server() -> Iterator[Hub]:
    with hub() as running:
        yield running


def ask(
    server: Hub,
    uri: str,
    *,
    one_file: bool = False,
    quantization: str = "auto",
    token: str = "",
    rights: Mapping[str, str] | None = None,
) -> Remote:
    env = {"HF_ENDPOINT": f"{server.address}/", "HF_TOKEN": token, "AWS_ENDPOINT_URL": server.address, **(rights or {})}
    return look(uri.replace("SERVER", server.address), one_file=one_file, quantization=quantization, env=env)


def refused(server: Hub, uri: str, **asked: Any) -> str:
    with pytest.raises(InfctlError) as failed:
        ask(server, uri, **asked)
    (told,) = failed.value.diagnostics
    assert told.code == "model-unreachable"
    return f"{told.detail} | {told.hint}".replace(server.address, "SERVER").replace(server.address[7:], "SERVER")


def test_a_repository_has_a_commit_and_the_size_of_its_weights(server: Hub) -> None:
    server.repositories["a/b/revision/main"] = repository("config.json", "m-1.safetensors", "m-2.safetensors")
    server.repositories["a/b/revision/v1"] = {**repository("model.onnx"), "sha": "beef"}
    assert ask(server, "hf://a/b") == Remote("hf://a/b", "c0ffee", bytes=101 + 102)
    assert ask(server, "hf://a/b@v1") == Remote("hf://a/b@v1", "beef", bytes=100)
    assert server.asked == [
        "GET /api/models/a/b/revision/main?blobs=true",
        "GET /api/models/a/b/revision/v1?blobs=true",
    ]


def test_one_file_of_a_repository_is_chosen_by_its_quantization(server: Hub) -> None:
    files = repository("README.md", "x.Q8_0.gguf", "x.Q4_K_M.gguf", "x.Q4_K_S.gguf")
    files["siblings"][2]["lfs"] = {"sha256": SHA, "size": 102}
    server.repositories["a/x-GGUF/revision/main"] = files
    chosen = Remote("hf://a/x-GGUF/x.Q4_K_M.gguf", "c0ffee", SHA, 102)
    assert ask(server, "hf://a/x-GGUF", one_file=True, quantization="gguf:Q4_K_M") == chosen
    assert ask(server, "hf://a/x-GGUF/x.Q4_K_M.gguf", one_file=True) == chosen
    several = "it has 3 GGUF files | name one: it has x.Q8_0.gguf, x.Q4_K_M.gguf, x.Q4_K_S.gguf"
    assert refused(server, "hf://a/x-GGUF", one_file=True) == several
    assert refused(server, "hf://a/x-GGUF", one_file=True, quantization="gguf:Q4_K").startswith(
        "it has no GGUF file of Q4_K | it has x.Q8_0.gguf"
    )
    assert refused(server, "hf://a/x-GGUF/x.Q4_KM.gguf", one_file=True) == (
        'the repository has no x.Q4_KM.gguf | did you mean "x.Q4_K_M.gguf"?'
    )


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("m.safetensors",), "it has no GGUF file | name a repository that has one"),
        (("m-00001-of-00002.gguf",), "it is cut into parts | name a repository that has the file in one piece"),
    ],
)
def test_a_repository_without_one_gguf_file_is_no_use_to_llama_cpp(server: Hub, files: tuple[str], said: str) -> None:
    server.repositories["a/b/revision/main"] = repository(*files)
    assert refused(server, "hf://a/b", one_file=True) == said


def test_a_private_repository_needs_a_token_that_may_read_it(server: Hub) -> None:
    server.repositories["a/b/revision/main"], server.token = repository("m.safetensors"), "hf_right"
    assert ask(server, "hf://a/b", token="hf_right").revision == "c0ffee"
    assert refused(server, "hf://a/b") == (
        "SERVER answered 401 Unauthorized | see that a/b has a revision main; if it is private or gated, accept its"
        " terms and set HF_TOKEN to a token that may read it"
    )
    assert "the token in HF_TOKEN may read it" in refused(server, "hf://a/b", token="hf_wrong")
    assert "hf_wrong" not in refused(server, "hf://a/b", token="hf_wrong")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"sha": "x"}', b'{"sha": "x", "siblings": [1]}'])
def test_something_else_than_a_hub_is_said_so(server: Hub, body: bytes) -> None:
    server.repositories["a/b/revision/main"] = body
    assert refused(server, "hf://a/b") == "SERVER did not answer as a hub does | see HF_ENDPOINT"


@pytest.mark.parametrize(
    ("headers", "fragment", "found"),
    [
        ({"ETag": '"e1"', "Content-Length": "7"}, "", ("e1", "", 7)),
        ({"ETag": 'W/"e1"'}, "", ("e1", "", 0)),
        ({"Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}, "", ("Sat, 21 Nov 2026 10:00:00 GMT", "", 0)),
        ({}, f"#sha256={SHA}", ("", SHA, 0)),
        ({"ETag": '"e1"'}, f"#sha256={SHA}", ("e1", SHA, 0)),
    ],
)
def test_a_file_is_known_by_what_its_server_says(
    server: Hub, headers: dict[str, str], fragment: str, found: tuple[str, str, int]
) -> None:
    server.files["/model.gguf"] = headers
    uri = f"SERVER/model.gguf{fragment}"
    told = ask(server, uri, one_file=True)
    assert (told.uri, (told.revision, told.sha256, told.bytes)) == (uri.replace("SERVER", server.address), found)
    assert server.asked == ["HEAD /model.gguf"]


def test_a_server_that_refuses_head_is_asked_for_one_byte(server: Hub) -> None:
    server.refuses_head = True
    server.files["/model.gguf"] = {"ETag": '"e1"', "Content-Range": "bytes 0-0/700"}
    assert ask(server, "SERVER/model.gguf", one_file=True).bytes == 700
    assert server.asked == ["HEAD /model.gguf", "GET /model.gguf bytes=0-0"]


def test_a_file_that_moved_is_followed(server: Hub) -> None:
    server.files["/model.gguf"] = {"ETag": '"e1"'}
    assert ask(server, "SERVER/moved", one_file=True).revision == "e1"


PAGE = """<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
{}</ListBucketResult>"""
OBJECT = "<Contents><Key>{}</Key><ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>"


def page(*objects: tuple[str, str, int]) -> bytes:
    return PAGE.format("".join(OBJECT.format(*each) for each in objects)).encode()


def test_a_folder_of_a_bucket_is_known_by_all_its_objects(server: Hub) -> None:
    weights = ("m/model.safetensors", "e2", 700)
    server.repositories["/b/"] = page(("m/config.json", "e1", 10), weights)
    first = ask(server, "s3://b/m/")
    assert (first.uri, first.bytes, len(first.revision)) == ("s3://b/m/", 700, 64)
    assert server.asked == ["GET /b/?list-type=2&prefix=m%2F"]
    server.repositories["/b/"] = page(weights, ("m/config.json", "e1", 10))
    assert ask(server, "s3://b/m").revision == first.revision
    server.repositories["/b/"] = page(weights, ("m/config.json", "e3", 10))
    assert ask(server, "s3://b/m").revision != first.revision


def test_a_file_of_a_bucket_is_asked_for_with_a_signature_and_no_secret(server: Hub) -> None:
    server.files["/b/m.gguf"] = {"ETag": '"e1"', "Content-Length": "7"}
    rights = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI"}
    assert ask(server, "s3://b/m.gguf", one_file=True, rights=rights) == Remote("s3://b/m.gguf", "e1", "", 7)
    server.repositories["/b/"] = page(("m/x", "e", 1))
    ask(server, "s3://b/m", rights=rights)
    assert "X-Amz-Signature=" in server.asked[1]
    assert "wJalrXUtnFEMI" not in server.asked[1]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (page(), "nothing is there | name the folder that holds config.json and the weights"),
        (b"<html", "the store did not answer as S3 does | see AWS_ENDPOINT_URL"),
    ],
)
def test_a_bucket_that_has_no_such_folder_says_so(server: Hub, answer: bytes, said: str) -> None:
    server.repositories["/b/"] = answer
    assert refused(server, "s3://b/m") == said


def test_a_bucket_that_may_not_be_read_says_what_is_needed(server: Hub) -> None:
    said = "SERVER answered 404 Not Found | see that bucket and name are right, and set AWS_ACCESS_KEY_ID and its like"
    assert refused(server, "s3://b/m.gguf", one_file=True) == said


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("SERVER/none.gguf", "SERVER answered 404 Not Found | Mend the uri"),
        (
            "SERVER/bare.gguf",
            "the server tells neither ETag nor Last-Modified, so a change would not show | add #sha256=",
        ),
        ("SERVER/bare.gguf#sha256=abc", "#sha256=abc is not a checksum | write #sha256= and 64 hexadecimal digits"),
        ("http://127.0.0.1:1/m.gguf", "127.0.0.1:1 did not answer: "),
        ("hf://alone", "it is not OWNER/NAME | write hf://OWNER/NAME"),
        ("pvc://claim/m", "no code reads pvc: | name a file:, hf://, https:// or s3:// instead"),
    ],
)
def test_what_cannot_be_looked_at_says_why(server: Hub, uri: str, said: str) -> None:
    server.files["/bare.gguf"] = {}
    assert refused(server, uri, one_file=True).startswith(said)
