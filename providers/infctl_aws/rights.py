"""Owns IAM policies, as data: what a model's instances may do, and what infctl itself needs. Pure.

Least privilege: no action has a star, and where AWS lets a resource be named it is. Source of which actions take
which resources and conditions: docs.aws.amazon.com/service-authorization (EC2, Auto Scaling, ELB, IAM, Logs, SSM).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from infctl.provider.values import Labels, Values

VERSION = "2012-10-17"
Statement = dict[str, Any]
Policy = dict[str, Any]


class Realm(NamedTuple):
    """Whose rights are meant: "aws", us-east-1, and the account's number."""

    partition: str
    region: str
    account: str

    def arn(self, service: str, what: str, *, region: bool = True) -> str:
        return f"arn:{self.partition}:{service}:{self.region if region else ''}:{self.account}:{what}"


def trust() -> Policy:
    """Return who may take a model's role on: instances."""
    who = {"Service": "ec2.amazonaws.com"}
    return _policy([{"Effect": "Allow", "Principal": who, "Action": "sts:AssumeRole"}])


def of_model(labels: Labels, values: Values, realm: Realm) -> Policy:
    """Return what a model's instances may do: read its files and its secrets, write its log, say that they are ready.

    `values` are those of the role's kind. Nothing of another model is in it.
    """
    tags = {f"aws:ResourceTag/infctl:{name}": getattr(labels, name) for name in ("lineage", "model")}
    log_group = realm.arn("logs", f"log-group:{values['log_group']}")
    return _policy(
        [
            _allow(
                "Ready",
                ("autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"),
                realm.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*"),
                Condition={"StringEquals": tags},
            ),
            _allow("Log", ("logs:CreateLogStream", "logs:PutLogEvents"), f"{log_group}:log-stream:*"),
            _allow("Secrets", ("ssm:GetParameter",), realm.arn("ssm", f"parameter{values['secrets']}/*")),
            *(_reads(values["reads"], realm)),
        ]
    )


def _reads(prefixes: Sequence[str], realm: Realm) -> Sequence[Statement]:
    if not prefixes:
        return ()
    objects, statements = [], []
    for number, each in enumerate(prefixes):
        bucket, _, path = each.partition("/")
        path = path.rstrip("/")
        store = f"arn:{realm.partition}:s3:::{bucket}"
        objects += [f"{store}/{path}", f"{store}/{path}/*"]
        below = {"StringLike": {"s3:prefix": [path, f"{path}/*"]}}
        statements.append(_allow(f"List{number}", ("s3:ListBucket",), store, Condition=below))
    return (_allow("Read", ("s3:GetObject",), *objects), *statements)


def _allow(name: str, actions: Sequence[str], *resources: str, **more: Any) -> Statement:
    what = resources[0] if len(resources) == 1 else list(resources)
    return {"Sid": name, "Effect": "Allow", "Action": list(actions), "Resource": what, **more}


def _policy(statements: Sequence[Statement]) -> Policy:
    return {"Version": VERSION, "Statement": list(statements)}
