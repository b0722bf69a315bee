"""An AWS of one's own for tests: started once per worker, emptied for every test."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REGION = "us-east-1"
AMI_PARAMETER = "/bed/ami"
KEYS: Mapping[str, str] = {"AWS_ACCESS_KEY_ID": "AKIABEDBEDBEDBEDBED0", "AWS_SECRET_ACCESS_KEY": "bed"}
_ROOT = Path(__file__).parents[3]
_UP = 60.0  # seconds


class Cloud:
    """The server at `url`. `env` is what whoever is to use it has in its environment."""

    def __init__(self) -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            port = listening.getsockname()[1]
        self.beyond: set[str] = set()  # what a test used that moto alone lacks
        self._image = ""
        self._clients: dict[str, Any] = {}
        self.url = f"http://127.0.0.1:{port}"
        self.env = {
            **KEYS,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.testbed.aws.server", str(port)],
            cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        self._await(port)

    def _await(self, port: int) -> None:
        deadline = time.monotonic() + _UP
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1.0).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the AWS of the testbed did not start") from None
                time.sleep(0.05)
            else:
                return

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def reset(self) -> None:
        """Empty the account, and put the parameter there that names a machine image."""
        self.beyond.clear()
        self._post("/moto-api/reset")
        self._post("/testbed/reset")
        if not self._image:
            self._image = self.client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        self.client("ssm").put_parameter(Name=AMI_PARAMETER, Value=self._image, Type="String")

    def fail(
        self, call: str, code: str, *, status: int = 400, times: int = 1, after: int = 0, message: str = ""
    ) -> None:
        """Answer calls that match `call` ("ec2:CreateLaunchTemplate", a pattern) so, so many times (-1: always)."""
        self.beyond.add("faults")
        more = {"message": message} if message else {}
        self._post(
            "/testbed/faults", [{"call": call, "code": code, "status": status, "times": times, "after": after, **more}]
        )

    def mend(self) -> None:
        """Answer everything as it should be again."""
        self._post("/testbed/mend")

    def refuse(self, why: str) -> None:
        """Start no instance any more, and have Auto Scaling say why."""
        self.beyond.add("scaling activities")
        self._post("/testbed/refuse", why)

    def limit(self, **quotas: float) -> None:
        self.beyond.add("quotas")
        self._post("/testbed/quotas", {code.replace("_", "-"): value for code, value in quotas.items()})

    def calls(self) -> list[str]:
        """Return every call since the last reset, as ec2:DescribeSubnets."""
        found: list[str] = json.loads(self._post("/testbed/calls"))
        return found

    def subnets(self) -> tuple[str, ...]:
        found = self.client("ec2").describe_subnets()["Subnets"]
        return tuple(sorted(one["SubnetId"] for one in found)[:2])

    def client(self, service: str) -> Any:
        if service not in self._clients:
            import boto3  # noqa: PLC0415  -- tests without AWS do without it

            keys = {"aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": "bed"}
            self._clients[service] = boto3.client(service, endpoint_url=self.url, region_name=REGION, **keys)
        return self._clients[service]

    def hold(self) -> None:
        """Have new instances wait at their launch hook."""
        self.beyond.add("lifecycle hooks")
        self._post("/testbed/hold")

    def groups(self) -> list[Any]:
        found: list[Any] = self.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        return found

    def waiting(self) -> list[str]:
        """Return the instances that wait at a launch hook."""
        every = (one for group in self.groups() for one in group["Instances"])
        return [one["InstanceId"] for one in every if one["LifecycleState"] == "Pending:Wait"]

    def answer_hooks(self, result: str = "CONTINUE") -> int:
        """Do what instances do: end the wait of all that wait at a launch hook. Return how many there were."""
        client, done = self.client("autoscaling"), 0
        for group in self.groups():
            for one in group["Instances"]:
                if one["LifecycleState"] == "Pending:Wait":
                    client.complete_lifecycle_action(
                        LifecycleHookName="infctl-launch", AutoScalingGroupName=group["AutoScalingGroupName"],
                        LifecycleActionResult=result, InstanceId=one["InstanceId"],
                    )  # fmt: skip
                    done += 1
        return done

    @contextmanager
    def enforcing(self) -> Iterator[None]:
        """Have IAM's policies hold for every call; moto's own word for it is a number of calls that may pass before."""
        self._auth(b"0")
        try:
            yield
        finally:
            self._auth(b"inf")

    def _auth(self, calls: bytes) -> None:
        asked = urllib.request.Request(f"{self.url}/moto-api/reset-auth", calls, {"Content-Type": "text/plain"})
        urllib.request.urlopen(asked, timeout=60).close()

    def _post(self, path: str, told: Any = None) -> bytes:
        asked = urllib.request.Request(self.url + path, json.dumps(told).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            body: bytes = answer.read()
        return body
