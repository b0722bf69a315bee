"""What an instance does by itself: its own scripts, run for real, up to an engine that answers or never will."""

from __future__ import annotations

import json
import stat
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Thread

import pytest

from infctl.provider.kinds import Role
from infctl.provider.testbench import LOUD, Bench, bench_of, seen_as
from infctl.provider.values import Deployment, Do, Probe, Template
from infctl.secrets import SecretRef
from tests.contract.aws.harness import IMAGE, AwsHarness
from tests.testbed.aws.cloud import Cloud
from tests.testbed.aws.instance import Instance
from tests.testbed.buckets import free_port
from tests.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.xdist_group("aws")
BUCKET = "acme-models"


@pytest.fixture
def closing_all() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def wish_of(port: int, program: str) -> Deployment:
    template = Template(
        engine="llama.cpp", engine_version="1", model_uri=f"s3://{BUCKET}/tiny.gguf", model_sha256="", task="generate",
        image=IMAGE, command=(program, "-m", "{model}", "--port", "{port}"), port=port,
        env={"TOKEN": SecretRef("kit"), "PASSWORD": SecretRef("kit", "env")},
        probe=Probe("completions", "/v1/completions", "tiny", 2),
    )  # fmt: skip
    return Deployment("tiny", 1, template, (0,), ("tiny",), ready_timeout=60.0)


def started(cloud: Cloud, root: Path, program: str, closing_all: ExitStack) -> tuple[Bench, Instance, Thread, int]:
    """Return an instance that waits at its launch hook, its files laid out and its engine under way."""
    cloud.hold()
    write_tiny_gguf(root / "tiny.gguf")
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    cloud.client("s3").upload_file(str(root / "tiny.gguf"), BUCKET, "tiny.gguf")
    harness = closing_all.enter_context(closing(AwsHarness(cloud, root)))
    bench, port = bench_of(harness), free_port()
    making = Thread(target=make, args=(bench, wish_of(port, program)))
    making.start()  # and it waits until the instance has fetched all that it needs
    while not (waiting := cloud.waiting()):
        assert making.is_alive()
    [template] = cloud.client("ec2").describe_launch_templates()["LaunchTemplates"]
    found = cloud.client("ec2").describe_launch_template_versions(LaunchTemplateId=template["LaunchTemplateId"])
    data = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    instance = Instance(root / "instance", waiting[0], data["UserData"], cloud.env)
    made = closing_all.enter_context(closing(instance))
    made.boot()
    return bench, made, making, port


def make(bench: Bench, wish: Deployment) -> None:
    for want in bench.lower(wish):
        if bench.kinds[want.address.kind].role is not Role.ROUTER:
            bench.do(bench.change(Do.CREATE, want))


def test_an_instance_serves_and_says_so(cloud: Cloud, tmp_path: Path, closing_all: ExitStack) -> None:
    bench, instance, making, port = started(cloud, tmp_path, "llama-server", closing_all)
    making.join()
    group = seen_as(bench, Role.REPLICA)
    waiting = bench.provider.probe(group)
    assert (waiting.ready, waiting.dead, waiting.detail) == (False, False, "0 of 1 instances in service: Pending:Wait")

    done = instance.run("ready")
    assert done.returncode == 0, done.stderr + (instance.root / "journal").read_text()
    assert bench.provider.probe(group).ready
    body = json.dumps({"model": "tiny", "prompt": "infctl is", "max_tokens": 4}).encode()
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/completions", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        assert json.loads(answer.read())["choices"][0]["text"]

    secret = instance.root / "run/infctl/secrets/TOKEN"
    assert (secret.read_text().rstrip("\n"), stat.S_IMODE(secret.stat().st_mode)) == (LOUD, 0o600)
    said = (instance.root / "docker.log").read_text() + json.dumps(instance.config)
    assert LOUD not in said, "no secret is in user data or on a command line"
    assert '"--env", "PASSWORD"' in said
    assert '"TOKEN_FILE=/run/secrets/TOKEN"' in said


def test_an_instance_that_never_answers_says_why_and_is_given_up(
    cloud: Cloud, tmp_path: Path, closing_all: ExitStack
) -> None:
    bench, instance, making, _ = started(cloud, tmp_path, "no-such-server", closing_all)
    done = instance.run("ready")
    making.join()
    assert done.returncode == 1, done.stderr
    health = bench.provider.probe(seen_as(bench, Role.REPLICA))
    assert (health.dead, health.detail) == (True, "the engine ended again and again")
    assert "error: exec: no such file or directory" in health.log
    gone = cloud.client("ec2").describe_instances(InstanceIds=[instance.metadata.said["instance-id"]])
    assert gone["Reservations"][0]["Instances"][0]["State"]["Name"] == "terminated"


def test_an_instance_that_is_to_go_waits_until_nobody_is_connected(
    cloud: Cloud, tmp_path: Path, closing_all: ExitStack
) -> None:
    _, instance, making, _ = started(cloud, tmp_path, "llama-server", closing_all)
    making.join()
    connections = instance.root / "connections"
    connections.write_text("0 0 10.0.0.1:8000 10.0.0.2:41000\n")
    instance.metadata.said["autoscaling/target-lifecycle-state"] = "Terminated"
    drain = closing_all.enter_context(instance.begin("drain"))
    while "autoscaling:RecordLifecycleActionHeartbeat" not in cloud.calls():
        assert drain.poll() is None
    assert "autoscaling:CompleteLifecycleAction" not in cloud.calls()
    connections.write_text("")
    assert drain.wait(timeout=60) == 0
    assert "autoscaling:CompleteLifecycleAction" in cloud.calls()
