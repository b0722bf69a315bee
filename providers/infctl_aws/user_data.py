"""Owns what an instance does by itself when it starts: cloud-init's user data, from fixed scripts and settings.

No word of a user gets into a script: settings are quoted for the shell, and secrets are not among them. Pure.
"""

from __future__ import annotations

import base64
import gzip
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from infctl.provider.errors import ProviderError
from infctl.provider.values import Values
from infctl.secrets import Secret, SecretRef
from infctl.templating import render

LONGEST = 16_384  # bytes of user data before base64 (EC2 User Guide, "Run commands at launch")
MODELS, SECRETS = "/models", "/run/secrets"  # in the container
HUB = "https://huggingface.co"
SHARED_MEMORY = 8 << 30  # bytes of /dev/shm for engines on GPUs, as on Docker hosts
_SCRIPTS = ("common", "start", "ready", "drain")
_UNITS = ("engine", "ready", "drain")
_ANSWERS = {"completions": '"choices"', "embeddings": '"embedding"', "http": ""}
_BODIES = {
    "completions": lambda model: {"model": model, "prompt": "Hello", "max_tokens": 1, "temperature": 0},
    "embeddings": lambda model: {"model": model, "input": "Hello"},
}


def user_data(values: Values, *, group: str, ident: str, region: str, secrets: str, drain: int) -> str:
    """Return the user data of a group's instances, in base64. Raises ProviderError where it is too long.

    `values` and `ident` are a group's, `secrets` is the folder of its secrets in the parameter store, `drain` seconds.
    """
    text = cloud_config(values, group=group, ident=ident, region=region, secrets=secrets, drain=drain)
    packed = gzip.compress(text.encode(), 9, mtime=0)  # cloud-init unpacks it
    if len(packed) > LONGEST:
        raise ProviderError(
            "An instance cannot be told all that it is to run",
            f"its user data have {len(packed):,} bytes, {LONGEST:,} are allowed",
            hint="shorten the model's command, engine_args or env",
        )
    return base64.b64encode(packed).decode()


def cloud_config(values: Values, *, group: str, ident: str, region: str, secrets: str, drain: int) -> str:
    """Return the same as text."""
    told = {
        "REGION": region,
        "GROUP": group,
        "OBJECT": ident,
        "LOG_GROUP": values["log_group"],
        "SECRETS_HOME": secrets,
        "IMAGE": values["image"],
        "PORT": str(values["port"]),
        "READY_SECONDS": str(values["ready_timeout"]),
        "DRAIN_SECONDS": str(drain),
        **_model(values),
        **_probe(values["probe"]),
    }
    env = values["env"]
    lists = {
        "DOCKER": _docker(values),
        "ARGV": _arguments(values),
        "SECRET_ENV": [name for name, value in env.items() if _delivery(value) == "env"],
        "SECRET_FILES": [name for name, value in env.items() if _delivery(value) == "file"],
    }
    lines = [f"{name}={shlex.quote(str(value))}" for name, value in told.items()]
    lines += [f"{name}=({' '.join(map(shlex.quote, words))})" for name, words in lists.items()]
    return render(
        "aws/cloud-config.yaml.j2",
        settings="\n".join([*lines, ""]),
        scripts=[(name, render(f"aws/{name}.sh")) for name in _SCRIPTS],
        units=[(f"infctl-{name}.service", render(f"aws/{name}.service")) for name in _UNITS],
    )


def _delivery(value: Any) -> str:
    ref = value.ref if isinstance(value, Secret) else value
    return ref.delivery if isinstance(ref, SecretRef) else ""


def _probe(probe: Mapping[str, Any]) -> dict[str, str]:
    body = _BODIES.get(probe["kind"])
    return {
        "PROBE_PATH": probe["path"],
        "PROBE_BODY": json.dumps(body(probe["model"])) if body else "",
        "PROBE_WANTS": _ANSWERS[probe["kind"]],
        "PROBE_REQUESTS": str(max(1, probe["requests"])),
    }


# ---------------------------------------------------------------- the model's files


def _model(values: Values) -> dict[str, str]:
    source = "" if values["sandbox"].get("download") else source_of(values)
    return {
        "MODEL_SOURCE": source,
        "MODEL_FILE": _file(source),
        "MODEL_SHA256": values["model_sha256"] if source and not source.endswith("/") else "",
    }


def source_of(values: Values) -> str:
    """Return where an instance fetches the model: a file's address, or s3://BUCKET/FOLDER/; "" for none.

    Raises ProviderError for a repository of a hub whose engine does not fetch it by itself.
    """
    uri, one_file = str(values["model"]).partition("#")[0], values["engine"] == "llama.cpp"
    if uri.startswith("s3://"):
        return uri if one_file else f"{uri.rstrip('/')}/"
    if not uri.startswith("hf://"):
        return uri
    owner, _, rest = uri.removeprefix("hf://").partition("/")
    name, _, file = rest.partition("/")
    repository, _, asked = name.partition("@")
    revision = str(values["sandbox"].get("model_revision", "")) or asked or "main"
    if not file:
        raise ProviderError(
            f"{uri} is a whole repository, which {values['engine']} does not fetch by itself",
            hint="copy it into a bucket and name it there: s3://BUCKET/PATH",
        )
    return f"{HUB}/{owner}/{repository}/resolve/{quote(revision, safe='')}/{quote(file)}"


def _file(source: str) -> str:
    return unquote(urlsplit(source).path.rstrip("/").rpartition("/")[2]) or "model" if source else ""


# ---------------------------------------------------------------- the container


def _docker(values: Values) -> list[str]:
    """Return the flags of docker run, without what only the instance knows."""
    more: Values = values["sandbox"]
    caps = tuple(more.get("caps", ()))
    flags = ["--cap-drop", "ALL", *(word for cap in caps for word in ("--cap-add", cap))]
    flags += ["--security-opt", "no-new-privileges"]
    flags += ["--read-only"] if more.get("read_only") else []
    flags += [word for folder in more.get("tmpfs", ()) for word in ("--tmpfs", f"{folder}:exec")]
    flags += ["--volume", f"infctl-cache:{more['cache']}"] if more.get("cache") else []
    if values["gpus"]:
        flags += ["--gpus", str(values["gpus"])]
    if size := more.get("shm_size") or (SHARED_MEMORY if values["gpus"] else 0):
        flags += ["--shm-size", str(size)]
    plain = {name: str(value) for name, value in values["env"].items() if not _delivery(value)}
    env = {"PORT": str(values["port"]), **more.get("env", {}), **plain}
    flags += [word for name, value in sorted(env.items()) for word in ("--env", f"{name}={value}")]
    command = _command(values)
    return [*flags, "--entrypoint", command[0]] if _replaces_entrypoint(values) else flags


def _arguments(values: Values) -> list[str]:
    command = _command(values)
    return command[1:] if _replaces_entrypoint(values) else command


def _replaces_entrypoint(values: Values) -> bool:
    return bool(values["command"]) and not values["sandbox"].get("arguments_only")


def _command(values: Values) -> list[str]:
    source = "" if values["sandbox"].get("download") else source_of(values)
    model = f"{MODELS}/{_file(source)}" if source else str(values["model"]).partition("://")[2]
    meant: Sequence[tuple[str, str]] = (("{port}", str(values["port"])), ("{model}", model), ("{gpu_share}", "1"))
    words = []
    for word in values["command"]:
        for placeholder, stands_for in meant:
            word = word.replace(placeholder, stands_for)  # noqa: PLW2901  -- filled in step by step
        words.append(word)
    return words
