"""Owns IAM policies, as data: what a model's instances may do, and what infctl itself needs. Pure.

Least privilege: no action has a star, and where AWS lets a resource be named it is. Source of which actions take
which resources and conditions: docs.aws.amazon.com/service-authorization (EC2, Auto Scaling, ELB, IAM, Logs, SSM).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from infctl.provider.values import Labels, Values

VERSION = "2012-10-17"
PARAMETER = "ssm:"  # how an image is named by a parameter
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
            *_reads(values["reads"], realm),
            *_pulls(values["pulls"], realm),
        ]
    )


def of_infctl(stack: str, realm: Realm, ami: str) -> Policy:
    """Return what infctl itself needs for a stack: to look at all, and to change what has the stack's name or tag.

    `ami` is the target's: a parameter that names the image is read too. Names of everything that infctl makes begin
    with the stack's; those of load balancers are cut, and it with them.
    """
    tagged = {"StringEquals": {"aws:ResourceTag/infctl:stack": stack}}
    tagging = {"StringEquals": {"aws:RequestTag/infctl:stack": stack}}
    ec2 = {kind: realm.arn("ec2", f"{kind}/*") for kind in (*_OF_INSTANCES, "launch-template", "vpc")}
    image = f"arn:{realm.partition}:ec2:{realm.region}::image/*"
    group = realm.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{stack}-*")
    short = stack[:18]
    balancing = [
        realm.arn("elasticloadbalancing", f"{kind}{short}*")
        for kind in ("loadbalancer/net/", "targetgroup/", "listener/net/")
    ]
    roles = [realm.arn("iam", f"{kind}/infctl/{stack}/*", region=False) for kind in ("role", "instance-profile")]
    logs = realm.arn("logs", f"log-group:/infctl/{stack}/*")
    services = {"StringEquals": {"iam:AWSServiceName": list(_SERVICES)}}
    passed = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    return _policy(
        [
            _allow("Look", _LOOK, "*"),
            _allow("MakeTagged", _MAKE_EC2, ec2["security-group"], ec2["launch-template"], Condition=tagging),
            _allow("MakeInNetwork", ("ec2:CreateSecurityGroup",), ec2["vpc"]),
            _allow("ChangeOwn", _CHANGE_EC2, ec2["security-group"], ec2["launch-template"], Condition=tagged),
            _allow("Tag", ("ec2:CreateTags",), *ec2.values(), Condition=tagging),
            _allow("Start", ("ec2:RunInstances",), *(ec2[kind] for kind in _STARTED), image),
            _allow("Groups", _GROUPS, group),
            _allow("Addresses", _ADDRESSES, *balancing),
            _allow("Roles", _ROLES, *roles),
            _allow("Give", ("iam:PassRole",), roles[0], Condition=passed),
            _allow("Services", ("iam:CreateServiceLinkedRole",), _linked(realm), Condition=services),
            _allow("Logs", _LOGS, logs, f"{logs}:log-stream:*"),
            _allow("Secrets", _SECRETS, realm.arn("ssm", f"parameter/infctl/{stack}/*")),
            *_image(ami, realm),
        ]
    )


def _image(ami: str, realm: Realm) -> Sequence[Statement]:
    if not ami.startswith(PARAMETER):
        return ()
    owned = (
        f"arn:{realm.partition}:ssm:{realm.region}:*:parameter{ami.removeprefix(PARAMETER)}"  # AWS's have no account
    )
    return (_allow("Image", ("ssm:GetParameter",), owned),)


def _linked(realm: Realm) -> str:
    return realm.arn("iam", "role/aws-service-role/*", region=False)


_OF_INSTANCES = ("instance", "volume", "network-interface", "security-group", "subnet")
_STARTED = (*_OF_INSTANCES, "launch-template")
_SERVICES = ("autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com", "spot.amazonaws.com")
_LOOK = (
    *(f"ec2:Describe{what}" for what in (
        "Images", "InstanceTypes", "InstanceTypeOfferings", "LaunchTemplates", "LaunchTemplateVersions",
        "SecurityGroups", "SpotPriceHistory", "Subnets", "Vpcs",
    )),
    *(f"autoscaling:Describe{what}" for what in ("AutoScalingGroups", "LoadBalancerTargetGroups", "ScalingActivities")),
    *(f"elasticloadbalancing:Describe{what}" for what in (
        "Listeners", "LoadBalancers", "Tags", "TargetGroups", "TargetHealth",
    )),
    "iam:ListRoles", "logs:DescribeLogGroups", "servicequotas:ListServiceQuotas",
)  # fmt: skip
_MAKE_EC2 = ("ec2:CreateLaunchTemplate", "ec2:CreateSecurityGroup")
_CHANGE_EC2 = (
    "ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteLaunchTemplate", "ec2:DeleteSecurityGroup", "ec2:DeleteTags",
    "ec2:RevokeSecurityGroupIngress",
)  # fmt: skip
_GROUPS = tuple(
    f"autoscaling:{what}"
    for what in (
        "AttachLoadBalancerTargetGroups", "CreateAutoScalingGroup", "CreateOrUpdateTags", "DeleteAutoScalingGroup",
        "DeleteTags", "DetachLoadBalancerTargetGroups", "PutLifecycleHook", "UpdateAutoScalingGroup",
    )
)  # fmt: skip
_ADDRESSES = tuple(
    f"elasticloadbalancing:{what}"
    for what in (
        "AddTags", "CreateListener", "CreateLoadBalancer", "CreateTargetGroup", "DeleteListener", "DeleteLoadBalancer",
        "DeleteTargetGroup", "ModifyListener", "ModifyLoadBalancerAttributes", "ModifyTargetGroup",
        "ModifyTargetGroupAttributes", "RemoveTags",
    )
)  # fmt: skip
_ROLES = tuple(
    f"iam:{what}"
    for what in (
        "AddRoleToInstanceProfile", "CreateInstanceProfile", "CreateRole", "DeleteInstanceProfile", "DeleteRole",
        "DeleteRolePolicy", "GetInstanceProfile", "ListRoleTags", "PutRolePolicy", "RemoveRoleFromInstanceProfile",
        "TagInstanceProfile", "TagRole", "UntagRole",
    )
)  # fmt: skip
_LOGS = tuple(
    f"logs:{what}"
    for what in (
        "CreateLogGroup", "DeleteLogGroup", "DescribeLogStreams", "FilterLogEvents", "GetLogEvents",
        "ListTagsForResource", "PutRetentionPolicy", "TagResource", "UntagResource",
    )
)  # fmt: skip
_SECRETS = ("ssm:AddTagsToResource", "ssm:DeleteParameters", "ssm:GetParametersByPath", "ssm:PutParameter")


def _pulls(images: Sequence[str], realm: Realm) -> Sequence[Statement]:
    """Return the right to pull from private registries of AWS; `images` are HOST/REPOSITORY."""
    if not images:
        return ()
    repositories = [_repository(each, realm) for each in images]
    pull = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
    # AWS lets no resource be named for a login.
    return _allow("Pull", pull, *repositories), _allow("Login", ("ecr:GetAuthorizationToken",), "*")


def _repository(image: str, realm: Realm) -> str:
    host, _, path = image.partition("/")
    account, _, _, region = host.split(".")[:4]
    return f"arn:{realm.partition}:ecr:{region}:{account}:repository/{path}"


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
