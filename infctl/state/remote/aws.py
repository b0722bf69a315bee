"""Owns clients of AWS for what a state needs, with credentials as boto3 finds them. Imports boto3 when it is asked.

Times are such that several tries end within half a lease.
"""

from __future__ import annotations

from typing import Any

from infctl.state.remote.place import forbidden, missing_extra

TRIES = 3
_CONNECT, _READ = 5, 15  # seconds


def client_of(
    service: str, region: str | None, profile: str | None, endpoint: str | None = None, *, path_style: bool = False
) -> Any:
    """Return a client. Raises InfctlError (extra-missing, state-forbidden)."""
    try:
        import boto3  # noqa: PLC0415  -- a fifth of a second, and only a state at AWS needs it
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ImportError as failure:
        raise missing_extra("s3", "boto3", "aws") from failure
    config = Config(
        connect_timeout=_CONNECT,
        read_timeout=_READ,
        retries={"mode": "standard", "max_attempts": TRIES},
        s3={"addressing_style": "path"} if path_style else None,
        user_agent_extra="infctl",
    )
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        return session.client(service, endpoint_url=endpoint, config=config)
    except (BotoCoreError, ValueError) as failure:  # no such profile, no region, an endpoint that is no address
        hint = "correct state.profile, state.region or state.endpoint"
        raise forbidden(f"state at AWS ({service})", str(failure), hint) from failure


def refusal(answer: Any) -> tuple[str, str]:
    """Return code and message of botocore's ClientError."""
    told = answer.response.get("Error", {})
    return told.get("Code", ""), told.get("Message", "") or str(answer)
