"""What a child prints of its secrets is left out, however the output is cut."""

from __future__ import annotations

import pytest

from infctl_local.censor import HIDDEN, Censor

SECRETS = ("hunter2-hunter2", "-----BEGIN KEY-----\nQUJDREVG\n  xyzw\n", "ab", "hunter2", "2-huge")
SAID = b"in hunter2-hunter2 out\n> QUJDREVG <\nhunter2-huge hunter2-hunt\nxyzw ab \xc3\xa4 hunter"
SHOWN = SAID.replace(b"hunter2-hunter2", HIDDEN).replace(b"QUJDREVG", HIDDEN).replace(b"hunter2", HIDDEN)
SHOWN = SHOWN.replace(b"xyzw", HIDDEN)


@pytest.mark.parametrize("size", range(1, len(SAID) + 1))
def test_output_cut_anywhere_has_no_secret_and_everything_else(size: int) -> None:
    censor = Censor(SECRETS)
    pieces = [censor.read(SAID[at : at + size]) for at in range(0, len(SAID), size)]
    assert b"".join((*pieces, censor.rest())) == SHOWN


def test_what_cannot_be_the_beginning_of_a_secret_is_shown_at_once() -> None:
    censor = Censor(SECRETS)
    assert censor.read(b"loading\n") == b"loading\n"
    assert censor.read(b"hunt") == b""
    assert censor.read(b"ing hunter2") == b"hunting "
    assert censor.rest() == HIDDEN
    assert Censor(()).read(b"hunter2") == b"hunter2"
