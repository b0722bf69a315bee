"""A cluster's refusals in words, each with what to do next."""

from __future__ import annotations

import json

import pytest

from infctl_kubernetes.errors import in_words, read_refusal

MAY_NOT = (
    'deployments.apps is forbidden: User "jane" cannot patch resource "deployments" in API group "apps" in the '
    'namespace "models"'
)
QUOTA = 'pods "a" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=4, used: 8, limited: 8'
GOING = (
    'serviceaccounts "a" is forbidden: unable to create new content in namespace models because it is being terminated'
)
DENIED = 'admission webhook "images.acme" denied the request: images need a digest'
POLICY = (
    "deployments.apps \"a\" is forbidden: ValidatingAdmissionPolicy 'pinned' with binding 'b' denied request: no tags"
)


@pytest.mark.parametrize(
    ("status", "message", "summary", "hint"),
    [
        (403, MAY_NOT, "jane may not patch deployments", "grant patch on deployments (API group apps) to jane"),
        (403, QUOTA, "a quota of the namespace is used up", "raise the ResourceQuota"),
        (403, GOING, "its namespace is being deleted", "wait until the namespace is gone"),
        (400, DENIED, "refused by an admission rule", "change what the rule names"),
        (422, POLICY, "refused by an admission rule", "change what the rule names"),
        (401, "Unauthorized", "does not know who asks", "renew the token"),
        (409, "the object has been modified", "somebody else changed it", "run the same command again"),
        (
            500,
            'failed calling webhook "x": refused',
            "cannot do it now",
            "the webhook that the detail names does not answer",
        ),
        (422, "spec.replicas: must be positive", "refused", ""),
    ],
)
def test_a_refusal_is_said_with_what_mends_it(status: int, message: str, summary: str, hint: str) -> None:
    body = json.dumps({"kind": "Status", "message": message, "reason": "R"}).encode()
    said = in_words(read_refusal(status, body, "/x"), "create of a").diagnostics[0]
    assert said.summary.startswith("create of a: ")
    assert summary in said.summary
    assert said.detail == message
    assert hint in said.hint


def test_what_is_no_status_is_passed_on() -> None:
    failure = read_refusal(502, b"<html>\nBad Gateway</html>", "/x", "soon")
    assert (failure.message, failure.after) == ("<html> Bad Gateway</html>", 0.0)
    assert in_words(failure, "x").retryable
