"""Two thousand requests through a model's one address while its context size and its file change: none fails."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from tests.acceptance.stack import ONE_MODEL, Stack
from tests.tiny_gguf import write_tiny_gguf

REQUESTS = 2_000
CLIENTS = 4


@dataclass
class Load:
    """Clients that ask one address over and over: some keep their connection, some read a stream to its end."""

    url: str
    failed: list[str] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)  # when, in monotonic seconds
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> list[threading.Thread]:
        kinds = [{"keep": bool(number % 2), "stream": number >= CLIENTS // 2} for number in range(CLIENTS)]
        threads = [threading.Thread(target=self._ask, kwargs=kind) for kind in kinds]
        for thread in threads:
            thread.start()
        return threads

    def _ask(self, *, keep: bool, stream: bool) -> None:
        where = urlsplit(self.url)
        assert where.hostname
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
        body = json.dumps({"model": "chat", "prompt": "a", "max_tokens": 4, "stream": stream})
        while not self.stopped.is_set():
            try:
                connection.request("POST", f"{where.path}/completions", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                text = answer.read().decode()
                whole = text.rstrip().endswith("[DONE]") if stream else bool(json.loads(text)["choices"])
                if answer.status != http.client.OK or not whole:
                    self.failed.append(f"{answer.status} {text}")
            except (OSError, http.client.HTTPException, ValueError, KeyError) as failure:
                self.failed.append(repr(failure))
                connection.close()
            self.answered.append(time.monotonic())
            if not keep:
                connection.close()
        connection.close()

    def since(self, then: float) -> int:
        return sum(when >= then for when in self.answered)


@pytest.mark.timeout(240)
def test_no_request_fails_while_context_and_model_file_change(small: Stack) -> None:
    small.infctl("apply", "-auto-approve")
    load = Load(small.url())
    threads = load.start()
    served = {1}
    try:
        for number in range(1, 100):
            for change in ("context", "file"):
                began = time.monotonic()
                if change == "context":
                    small.write(ONE_MODEL.replace("512", str(512 + number)))
                else:
                    new = write_tiny_gguf(small.folder / "new.gguf", seed=number)
                    new.replace(small.folder / "m.gguf")
                said = small.infctl("apply", "-auto-approve")
                assert "Downtime: none." in said
                served.add(small.state()["models"]["chat"]["revision"])
                assert load.since(began) > CLIENTS, "nobody asked meanwhile"
            if len(load.answered) >= REQUESTS:
                break
    finally:
        load.stopped.set()
        for thread in threads:
            thread.join()
    assert not load.failed, (len(load.failed), load.failed[:3])
    assert len(load.answered) >= REQUESTS
    assert served == set(range(1, max(served) + 1))
    assert max(served) > 2
