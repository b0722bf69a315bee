"""A model's whole life on AWS through the command: made, left alone, changed, scaled, taken down, with nothing left."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.acceptance.stack import Stack
from tests.testbed.aws.cloud import AMI_PARAMETER, REGION, Cloud
from tests.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.xdist_group("aws")
FILE = """\
apiVersion: infctl/v1
name: acme
targets:
  burst:
    type: aws
    region: {region}
    subnets: [{subnets}]
    instance_types: [g5.xlarge, g5.12xlarge]
    ami: ssm:{ami}
    max_instances: 6
models:
  chat:
    engine: custom
    image: registry.example/engine@sha256:{digest}
    command: [serve, --port, "{{port}}"]
    health: /health
    port: 9000
    gpu: {{count: 1}}
    replicas: 2
    tags: {{cost-center: "42"}}
"""
DIGEST = "a" * 64
DEFAULT = "default"  # the security group that every VPC has


@pytest.fixture
def stack(cloud: Cloud, tmp_path: Path) -> Stack:
    made = Stack(tmp_path, cloud.env)
    made.write(FILE.format(region=REGION, subnets=", ".join(cloud.subnets()), ami=AMI_PARAMETER, digest=DIGEST))
    return made


def left(cloud: Cloud) -> list[str]:
    """Return the names of everything that infctl made and that is still there."""
    ec2, elb, iam = cloud.client("ec2"), cloud.client("elbv2"), cloud.client("iam")
    groups = cloud.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    running = [
        one["InstanceId"]
        for reservation in ec2.describe_instances()["Reservations"]
        for one in reservation["Instances"]
        if one["State"]["Name"] not in {"terminated", "shutting-down"}
    ]
    return [
        *(one["AutoScalingGroupName"] for one in groups),
        *running,
        *(one["LaunchTemplateName"] for one in ec2.describe_launch_templates()["LaunchTemplates"]),
        *(one["GroupName"] for one in ec2.describe_security_groups()["SecurityGroups"] if one["GroupName"] != DEFAULT),
        *(one["LoadBalancerName"] for one in elb.describe_load_balancers()["LoadBalancers"]),
        *(one["TargetGroupName"] for one in elb.describe_target_groups()["TargetGroups"]),
        *(one["RoleName"] for one in iam.list_roles(PathPrefix="/infctl/")["Roles"]),
        *(one["InstanceProfileName"] for one in iam.list_instance_profiles()["InstanceProfiles"]),
        *(one["logGroupName"] for one in cloud.client("logs").describe_log_groups()["logGroups"]),
        *({one["Name"] for one in cloud.client("ssm").describe_parameters()["Parameters"]} - {AMI_PARAMETER}),
    ]  # fmt: skip


def groups(cloud: Cloud) -> dict[str, int]:
    return {one["AutoScalingGroupName"]: len(one["Instances"]) for one in cloud.groups()}


def test_a_model_lives_on_aws(stack: Stack, cloud: Cloud) -> None:
    done = stack.run("apply", "-auto-approve")
    assert done.code == 0, done.said
    assert groups(cloud) == {"acme-chat-r1": 2}, done.said
    again = stack.run("plan", "-detailed-exitcode")
    assert (again.code, "No changes" in again.out) == (0, True), again.said

    stack.change(DIGEST, "b" * 64)
    planned = stack.run("plan", "-json")
    assert planned.code == 0, planned.said
    changed = stack.run("apply", "-auto-approve")
    assert changed.code == 0, changed.said
    assert groups(cloud) == {"acme-chat-r2": 2}, changed.said

    stack.change("replicas: 2", "replicas: 3")
    scaled = stack.run("apply", "-auto-approve")
    assert "0 to add, 1 to change, 0 to destroy" in scaled.out, scaled.said
    assert groups(cloud) == {"acme-chat-r2": 3}
    told = json.loads(stack.run("status", "-json").out)
    assert (told["models"][0]["ready"], told["models"][0]["desired"]) == (3, 3)
    assert stack.run("plan", "-detailed-exitcode").code == 0

    gone = stack.run("destroy", "-auto-approve")
    assert gone.code == 0, gone.said
    assert left(cloud) == []


def test_a_revision_that_never_answers_is_taken_back_and_says_why(stack: Stack, cloud: Cloud) -> None:
    made = stack.run("apply", "-auto-approve")
    assert made.code == 0, made.said
    cloud.hold()
    stack.change("serve, --port", "serve, --wrong")
    running = stack.start("apply", "-auto-approve")
    client = cloud.client("logs")
    while not (waiting := cloud.waiting()):
        assert running.poll() is None, running.communicate()
        time.sleep(0.1)
    [log_group] = [one["logGroupName"] for one in client.describe_log_groups()["logGroups"]]
    ours = {one["AutoScalingGroupName"]: one["Tags"] for one in cloud.groups()}["acme-chat-r2"]
    ident = next(tag["Value"] for tag in ours if tag["Key"] == "infctl:id")
    stream = f"boot/{ident}/{waiting[0]}"
    lines = ["infctl: given up: the engine ended again and again", "error: unrecognized arguments: --wrong"]
    client.create_log_stream(logGroupName=log_group, logStreamName=stream)
    events = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
    client.put_log_events(logGroupName=log_group, logStreamName=stream, logEvents=events)
    cloud.answer_hooks("ABANDON")

    out, err = running.communicate(timeout=90)
    assert running.returncode == 1
    assert "error: unrecognized arguments: --wrong" in out + err
    assert groups(cloud) == {"acme-chat-r1": 2}, "the revision before goes on serving"


def test_what_the_account_may_not_have_is_said_before_anything_is_made(stack: Stack, cloud: Cloud) -> None:
    cloud.limit(L_DB2E81BA=4)
    planned = stack.run("plan")
    assert planned.code == 1, planned.said
    assert "error[no-room]" in planned.err, planned.said
    assert "allows 4 vCPU, 0 are used, 4 for g5.xlarge, 48 for g5.12xlarge: request an increase" in " ".join(
        planned.err.split()
    ), planned.said
    assert left(cloud) == []


def test_the_rights_that_infctl_needs_are_printed(stack: Stack) -> None:
    done = stack.run("access", "bootstrap", "burst")
    assert done.code == 0, done.said
    policy = json.loads(done.out)
    assert "autoscaling:CreateAutoScalingGroup" in json.dumps(policy)
    wrong = stack.run("access", "bootstrap", "rack")
    assert (wrong.code, "error[unknown-target]" in wrong.err) == (1, True), wrong.said


def test_the_stack_burst_runs_as_its_readme_says(cloud: Cloud, tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")
    cloud.client("s3").create_bucket(Bucket="acme-models")
    cloud.client("s3").upload_file(str(tmp_path / "tiny.gguf"), "acme-models", "chat/tiny.gguf")
    stack = Stack(tmp_path, cloud.env)
    assert stack.run("init", "-stack", "burst").code == 0
    given = {"subnets": list(cloud.subnets()), "uri": "s3://acme-models/chat/tiny.gguf", "ami": f"ssm:{AMI_PARAMETER}"}
    image = f"ghcr.io/ggml-org/llama.cpp@sha256:{DIGEST}"
    (tmp_path / "lab.yaml").write_text(json.dumps({**given, "image": image}))
    said = ("-var-file", "lab.yaml")
    looked = stack.run("doctor", "burst", *said)
    assert (looked.code, "account 123456789012" in looked.out) == (0, True), looked.said
    done = stack.run("apply", "-auto-approve", *said)
    assert done.code == 0, done.said
    assert groups(cloud) == {"burst-chat-r1": 1}
    assert stack.run("output", "-raw", "chat.url").out.strip().endswith(":8000/v1")
    [role] = cloud.client("iam").list_roles(PathPrefix="/infctl/burst/")["Roles"]
    policy = cloud.client("iam").get_role_policy(RoleName=role["RoleName"], PolicyName="infctl")["PolicyDocument"]
    assert "arn:aws:s3:::acme-models/chat/tiny.gguf" in json.dumps(policy)
    assert stack.run("plan", "-detailed-exitcode", *said).code == 0
    gone = stack.run("destroy", "-auto-approve", *said)
    assert (gone.code, left(cloud)) == (0, []), gone.said


def test_a_revision_waits_for_the_old_one_to_go_where_both_are_not_allowed(stack: Stack, cloud: Cloud) -> None:
    stack.change("max_instances: 6", "max_instances: 2")
    assert stack.run("apply", "-auto-approve").code == 0
    stack.change(DIGEST, "b" * 64)
    planned = stack.run("plan")
    assert planned.code == 0, planned.said
    assert "each old replica goes before its successor comes" in " ".join(planned.out.split()), planned.said
    done = stack.run("apply", "-auto-approve")
    assert (done.code, groups(cloud)) == (0, {"acme-chat-r2": 2}), done.said
    assert stack.run("plan", "-detailed-exitcode").code == 0
    stack.change("replicas: 2", "replicas: 3")
    refused = stack.run("plan")
    assert (refused.code, "max_instances is 2, 2 run" in " ".join(refused.err.split())) == (1, True), refused.said
