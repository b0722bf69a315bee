"""Owns `catalog update`: fetches published price lists, and puts what is of use into the user's own catalogue file.

The only part of the catalogue that goes to a network, and only when asked. Knows no flag and no terminal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import Request, urlopen

from infctl.catalog.gpus import gpus
from infctl.catalog.instances import Instances, instances
from infctl.catalog.own import read_own
from infctl.catalog.prices import Change, changes, merge, pick, read_list, splice
from infctl.diagnostics import Code, InfctlError, error
from infctl.frozen import dataclass

PRICES_NOT_FETCHED = Code(
    "prices-not-fetched",
    "A list of prices could not be fetched, or is not one that infctl can read; the catalogue file is as it was.",
    "See that the address answers from here; -url=URL names another list, such as one on a server of your own.",
)
# Lists that others keep up to date, by cloud. Overridden by -url.
SKYPILOT: Final = "https://raw.githubusercontent.com/skypilot-org/skypilot-catalog/master/catalogs/v8"
LISTS: Final[Mapping[str, str]] = {
    "aws": f"{SKYPILOT}/aws/vms.csv",
    "azure": f"{SKYPILOT}/azure/vms.csv",
    "gcp": "https://raw.githubusercontent.com/Cyclenerd/google-cloud-pricing-cost-calculator/master/pricing.yml",
}
# Regions whose prices are kept where none is named: those that the shipped catalogue has.
REGIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "aws": ("us-east-1", "us-east-2", "us-west-2"),
    "azure": ("eastus", "westus3"),
    "gcp": ("us-central1",),
}
TIMEOUT: Final = 60.0  # seconds without a byte
LONGEST: Final = 64_000_000  # bytes of a list; the longest of SkyPilot's has 4 million


@dataclass(frozen=True, slots=True)
class Updated:
    """What became of one list. `kept` of its prices are of use, `changed` of these new or others than before."""

    cloud: str
    url: str
    read: int
    kept: int
    changed: tuple[Change, ...]


def update_prices(
    path: Path,
    clouds: Sequence[str],
    *,
    url: str = "",
    regions: Sequence[str] = (),
    today: str,
    tell: Callable[[str], None] = lambda _said: None,
) -> tuple[Updated, ...]:
    """Fetch the lists of `clouds` and write their prices into the catalogue file at `path`, made where there is none.

    `url` names another list than the usual one. `today` is the date that the prices carry, as 2026-11-21. `tell` hears
    what is fetched, before it is. The file is written once, after all lists were read. Raises InfctlError; then nothing
    was written.
    """
    own = str(path.absolute()) if path.is_file() else ""
    known = instances(own)
    fetched: dict[str, Any] = dict(read_own(own).get("fetched") or {}) if own else {}
    done = []
    for cloud in clouds:
        address = url or LISTS[cloud]
        wanted = frozenset(regions or REGIONS[cloud])
        tell(f"Fetching {_shown(address)}")
        listed = _read(address, _fetch(address))
        rows = pick(listed, known, gpus(own), wanted)
        if not rows:
            detail = f"none of its {len(listed):,} prices is of a known instance in {', '.join(sorted(wanted))}"
            raise _refuse(address, detail, "name other regions with -region=REGION")
        fetched = merge(fetched, rows, _shipped(known, fetched), cloud=cloud, say=_shown(address), date=today)
        done.append(Updated(cloud, _shown(address), len(listed), len(rows), changes(rows, known)))
    _write(path, fetched)
    for keeps in (read_own, instances):
        keeps.cache_clear()  # what they read of it is no longer so
    return tuple(done)


def _shipped(known: Instances, fetched: Mapping[str, Any]) -> Instances:
    """Return the instances without those that only an earlier list brought: theirs are written whole again."""
    brought = {name for name, row in fetched.get("instances", {}).items() if "gpu" in row}
    return Instances({name: row for name, row in known.rows.items() if name not in brought}, known.as_of)


def _fetch(address: str) -> bytes:
    if urlsplit(address).scheme not in {"http", "https"}:
        raise _refuse(address, "only http:// and https:// are fetched", "name a file on a web server with -url=URL")
    try:
        request = Request(address, headers={"User-Agent": "infctl"})  # noqa: S310  -- http(s), see above
        with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            body: bytes = answer.read(LONGEST + 1)
    except HTTPError as failure:
        failure.close()
        raise _refuse(address, f"the server answered {failure.code} {failure.reason}") from failure
    except (URLError, OSError, HTTPException, ValueError) as failure:
        reason = failure.reason if isinstance(failure, URLError) else failure
        raise _refuse(address, f"no answer: {reason}") from failure
    if len(body) > LONGEST:
        raise _refuse(address, f"it is larger than {LONGEST // 1_000_000} MB")
    return body


def _read(address: str, body: bytes) -> Any:
    try:
        return read_list(body)
    except ValueError as failure:
        raise _refuse(address, str(failure), "see the shapes that infctl reads in docs/catalog.md") from failure


def _write(path: Path, fetched: Mapping[str, Any]) -> None:
    """Put the fetched part into the file, whole or not at all."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        made = splice(before, fetched)
        staged.write_text(made, encoding="utf-8")
        if path.is_file():
            staged.chmod(path.stat().st_mode & 0o7777)
        staged.replace(path)
    except (OSError, ValueError) as failure:
        with suppress(OSError):  # the first failure is the one to tell
            staged.unlink()
        detail = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
        hint = (
            "see the rights of its folder" if isinstance(failure, OSError) else "put both marks back, or take both out"
        )
        raise InfctlError(error(PRICES_NOT_FETCHED, f"{path} cannot be written", detail, hint=hint)) from failure


def _shown(address: str) -> str:
    """Return an address without what may be secret in it: a user's name and password, and a query."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _refuse(address: str, detail: str, hint: str = "") -> InfctlError:
    said = hint or PRICES_NOT_FETCHED.remedy
    return InfctlError(error(PRICES_NOT_FETCHED, f"{_shown(address)} gives no prices", detail, hint=said))
