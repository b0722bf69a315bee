"""Owns what goes wrong on AWS in words: the SDK's errors as ProviderError that says what helps.

Knows no kind of resource. Codes are of docs.aws.amazon.com (EC2 API, "Error codes for the Amazon EC2 API"; IAM, ELB,
Auto Scaling and STS references, "Common errors").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from infctl.provider.errors import ProviderError
from infctl_aws.session import THROTTLED, error_code

EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "AuthFailure",
     "UnrecognizedClientException", "InvalidToken"}
)  # fmt: skip
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedAccess"})
CAPACITY = frozenset({"InsufficientInstanceCapacity", "InsufficientCapacity", "UnfulfillableCapacity"})
QUOTA = frozenset(
    {"VcpuLimitExceeded", "InstanceLimitExceeded", "MaxSpotInstanceCountExceeded", "LimitExceeded",
     "TooManyLoadBalancers", "TooManyTargetGroups", "TooManyListeners", "SecurityGroupLimitExceeded",
     "RulesPerSecurityGroupLimitExceeded", "ServiceQuotaExceededException", "LimitExceededException"}
)  # fmt: skip
_SERVER = 500
_ACTION = re.compile(r"perform: ([\w-]+:\w+)")
_KINDS = (
    (EXPIRED, "log in again (aws sso login, or new keys), then run the same command: it goes on where it was"),
    (CAPACITY, "add subnets of other zones or other instance_types to the target, or try again later"),
    (QUOTA, "ask for more under Service Quotas, or take what is not needed away"),
    (THROTTLED, "others of this account call AWS too: run the same command again, it goes on where it was"),
)


@contextmanager
def in_words(doing: str, address: str = "", target: str = "TARGET") -> Iterator[None]:
    """Turn what the SDK raises into a ProviderError that begins with `doing`."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  -- as in session

    try:
        yield
    except ClientError as failure:
        raise _of_answer(doing, failure, address, target) from failure
    except BotoCoreError as failure:
        hint = _without_answer(failure)
        passing = "Connect" in type(failure).__name__ or "Timeout" in type(failure).__name__
        raise ProviderError(doing, str(failure), hint=hint, address=address, retryable=passing) from failure


def _of_answer(doing: str, failure: Exception, address: str, target: str) -> ProviderError:
    response = getattr(failure, "response", {})
    code, said = error_code(failure), str((response.get("Error") or {}).get("Message", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    operation = getattr(failure, "operation_name", "")
    detail = f"{operation}: {code}: {said}" if said else f"{operation}: {code}"
    if code in DENIED:
        action = found[1] if (found := _ACTION.search(said)) else operation
        hint = f"{action} must be allowed; `infctl access bootstrap {target}` prints the whole policy"
    else:
        hint = next((way for codes, way in _KINDS if code in codes), "")
    passing = status >= _SERVER or code in THROTTLED
    return ProviderError(doing, detail, hint=hint, address=address, retryable=passing)


def _without_answer(failure: Exception) -> str:
    name = type(failure).__name__
    if name in {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}:
        return "give AWS credentials: aws configure sso, AWS_PROFILE, or AWS_ACCESS_KEY_ID and its like"
    if "SSO" in name or "Token" in name:
        return "log in again: aws sso login"
    if name == "ParamValidationError":
        return ""
    return "see the target's region, the network, and AWS_ENDPOINT_URL if it is set"
