"""Many GETs on one stream, against bytes as daemons and proxies write them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from infctl_docker.pipeline import Answer, Asked, ask
from infctl_docker.sockets import Plugged
from infctl_docker.streams import Stream

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
NOTHING = b"HTTP/1.1 304 Not Modified\r\n\r\n"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE
CLOSING = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbad"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\nto the end"


def asked(paths: int, *said: bytes, end: bool = True) -> Asked:
    """Ask for `paths` answers of a daemon that says this and, if `end`, hangs up."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"".join(said))
        if end:
            theirs.shutdown(socket.SHUT_WR)
        stream = Stream(ours, Plugged("h1", "h1"))
        stream.settimeout(0.2)
        return ask(stream, ["/x"] * paths)


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        ((WHOLE, WHOLE), (Answer(200, b"ok"),) * 2),
        ((CHUNKED, WHOLE), (Answer(200, b"abcde"), Answer(200, b"ok"))),
        ((NOTHING, CONTINUED), (Answer(304, b""), Answer(200, b"ok"))),
        ((WHOLE.replace(b"\r\n", b"\n"), WHOLE), (Answer(200, b"ok"),) * 2),
        ((WHOLE.replace(b"Content-Length", b"CONTENT-LENGTH"), WHOLE), (Answer(200, b"ok"),) * 2),
    ],
)
def test_answers_are_read_one_behind_the_other(said: tuple[bytes, ...], answers: tuple[Answer, ...]) -> None:
    assert asked(2, *said, end=False) == Asked(answers, whole=True)


@pytest.mark.parametrize(("said", "answer"), [(CLOSING, Answer(400, b"bad")), (ENDLESS, Answer(200, b"to the end"))])
def test_an_answer_that_closes_is_the_last_one(said: bytes, answer: Answer) -> None:
    assert asked(3, WHOLE, said) == Asked((Answer(200, b"ok"), answer), whole=False)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "no answer came"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "in the middle"),
        (WHOLE[:-1], "in the middle"),
        (CHUNKED[:-12], "in the middle"),
        (CHUNKED.replace(b"3\r\n", b"zz\r\n"), "in the middle"),
        (b"Welcome to rack1!\r\n", "not Docker: 'Welcome to rack1!'"),
    ],
)
def test_what_came_before_a_break_is_kept(said: bytes, words: str) -> None:
    found = asked(2, WHOLE, said)
    assert found.answers == (Answer(200, b"ok"),)
    assert not found.whole
    assert found.why
    assert words in found.why.reason


def test_a_daemon_that_says_nothing_costs_the_timeout() -> None:
    found = asked(1, end=False)
    assert found.why
    assert found.why.reason == "no answer from the Docker daemon within 0.2 s"


def test_more_questions_than_buffers_hold_do_not_block() -> None:
    """A daemon that reads a question only when its answer has gone: as long as nobody reads, it stands still."""
    ours, theirs = socket.socketpair()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + bytes(20_000)
    paths = [f"/containers/{number:064}/json" for number in range(3000)]

    def serve() -> None:
        with theirs, theirs.makefile("rb") as questions:
            for _ in paths:
                while questions.readline() != b"\r\n":
                    pass
                theirs.sendall(answer)

    server = threading.Thread(target=serve)
    server.start()
    with ours:
        found = ask(Stream(ours, Plugged("h1", "h1")), paths)
    server.join()
    assert [len(one.body) for one in found.answers] == [20_000] * 3000


@pytest.mark.parametrize("path", ["x", "/a b", "/a\r\nHost: x", "/ü", "/a\nb", ""])
def test_a_path_that_would_be_another_request_is_none(path: str, pair: tuple[Stream, socket.socket]) -> None:
    with pytest.raises(ValueError, match="not the path of a request"):
        ask(pair[0], [path])


@pytest.fixture
def pair() -> Iterator[tuple[Stream, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Stream(ours, Plugged("h1", "h1")), theirs


def test_a_reader_takes_no_byte_more_than_it_is_asked_for(pair: tuple[Stream, socket.socket]) -> None:
    stream, theirs = pair
    theirs.sendall(b"HTTP/1.1 101 UPGRADED\r\n\r\nraw bytes")
    reader = stream.makefile()
    assert reader.readline() == b"HTTP/1.1 101 UPGRADED\r\n"
    assert reader.readline() == b"\r\n"
    assert stream.recv(100) == b"raw bytes"
    reader.close()
