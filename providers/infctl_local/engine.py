"""Owns one llama.cpp server in this process: from a config file to an OpenAI-compatible API on a port.

`python -m infctl_local.engine CONFIG.json`, usually under a supervisor. Serves until SIGTERM, or until the
supervisor is gone. Knows nothing of stacks, revisions or who asked for it.
"""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import xllamacpp

from infctl_local.engine_config import ENGINE_ARGS, EngineConfig, Value
from infctl_local.lifeline import die_with_parent, inherited
from infctl_local.record import CONFIG_ERROR

PORT_TAKEN = 75  # EX_TEMPFAIL of sysexits.h: who holds the port may leave
MAGIC = b"GGUF"
HTTP_THREADS = 64  # each open connection holds one, a waiting request too; health and metrics must not wait
CORS_ORIGINS = "localhost"  # llama.cpp's default lets any web page that the user visits talk to the model


class CannotServe(Exception):  # noqa: N818  -- it is what the log line says
    """The server cannot come up; `code` is the exit code that a supervisor reads."""

    def __init__(self, text: str, code: int = CONFIG_ERROR) -> None:
        super().__init__(text)
        self.code = code


def serve(config: EngineConfig) -> Any:
    """Load the model and listen; returns the running server. Raises CannotServe with the cause."""
    check_model_file(Path(config.model))
    check_port(config.host, config.port)
    said = ""
    try:
        with captured_stderr() as said_file:
            try:
                return xllamacpp.Server(common_params(config))
            finally:
                said = read_all(said_file)
    except RuntimeError as error:
        cause = first_error(said) or str(error)
        if re.search("alloc|memory", cause):
            cause = f"not enough memory for a context of {config.n_ctx} tokens: {cause}"
        raise CannotServe(f"cannot load {config.model}: {cause}") from error
    finally:
        sys.stderr.write(said)


def common_params(config: EngineConfig) -> Any:
    """Return llama.cpp's parameters for this config; its `args` win over what we choose.

    Threads: half the cores. llama.cpp's threads spin while they wait for each other, so two engines with
    as many threads as cores, as during a rollout, stall: measured on 2 cores with a 0.5 MB model, 100
    requests/s in place of 2,000.
    """
    params = xllamacpp.CommonParams()
    params.model.path = config.model
    params.hostnames = [config.host]
    params.port = config.port
    params.n_ctx = config.n_ctx
    params.n_parallel = config.n_parallel
    params.model_alias = set(config.alias)
    params.endpoint_metrics = True
    params.cors_origins = CORS_ORIGINS
    params.ui = False
    params.fit_params = False  # a context that does not fit is an error, not a smaller context
    params.n_threads_http = HTTP_THREADS
    params.cpuparams.n_threads = max(1, usable_cores() // 2)
    params.embedding = config.embedding
    if config.embedding:  # an input is embedded in one go, so it must fit one physical batch
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        params.n_batch = params.n_ubatch = max(512, config.n_ctx // config.n_parallel)
    for name, value in config.args.items():
        set_arg(params, name, value)
    return params


def usable_cores() -> int:
    """Return how many CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_arg(params: Any, name: str, value: Value) -> None:
    known = ENGINE_ARGS[name]
    *path, attribute = known.attribute.split(".")
    target = params
    for step in path:
        target = getattr(target, step)
    if known.choices:
        value = getattr(getattr(xllamacpp, known.enum), known.choices[str(value)])
    setattr(target, attribute, value)


def check_model_file(path: Path) -> None:
    """Say what is wrong with the file in words; llama.cpp says "failed to load model" to all of it."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise CannotServe(f"cannot read the model file {path}: {error.strerror}") from error
    if magic != MAGIC:
        raise CannotServe(f"{path} is not a GGUF file: it begins with {magic!r}")


def check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            code = PORT_TAKEN if error.errno == errno.EADDRINUSE else CONFIG_ERROR
            raise CannotServe(f"cannot listen on {host}:{port}: {error.strerror}", code) from error


@contextmanager
def captured_stderr() -> Iterator[IO[bytes]]:
    """Send what native code writes to stderr to a file: only there does llama.cpp name the cause."""
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(real, 2)
            os.close(real)


def read_all(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def first_error(said: str) -> str:
    """Return llama.cpp's first error line, which is the most exact, without its clock; empty without one."""
    errors = re.findall(r"^[\d.]+ E +(.*)$", said, re.MULTILINE)
    return str(errors[0]) if errors else ""


def wait_for_end(lifeline: int | None) -> None:
    """Sleep until SIGTERM or SIGINT, or until the supervisor is gone."""
    wake, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    select.select([wake, *([] if lifeline is None else [lifeline])], [], [])


def main() -> int:
    die_with_parent()
    lifeline = inherited()
    try:
        config = EngineConfig.from_json(Path(sys.argv[1]).read_text("utf-8"))
        say(f"loading {config.model}")
        server = serve(config)
    except (CannotServe, ValueError, OSError) as error:
        say(f"error: {error}")
        return error.code if isinstance(error, CannotServe) else CONFIG_ERROR
    say(f"serving {', '.join(config.alias)} at {server.listening_address}")
    wait_for_end(lifeline)
    os._exit(0)  # llama.cpp's own shutdown waits for every open stream, for 30 s each


def say(text: str) -> None:
    sys.stderr.write(f"infctl: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
