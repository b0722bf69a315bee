"""AWS's SDK is loaded when AWS is asked, and not before: it costs more than a plan of a small stack."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from pathlib import Path
from infctl.provider.protocol import Context
from infctl.provider.values import Inventory, TargetWant
from infctl_aws.config import AwsTarget
from infctl_aws.provider import AwsProvider
target = AwsTarget(region="us-east-1", subnets=("subnet-0a",), instance_types=("g6e.xlarge",))
provider = AwsProvider(target, Context("burst", "acme", "default", "lineage", Path(), Path()))
assert provider.lower(TargetWant("burst"), Inventory()) == ()
provider.close()
print(*sorted(sys.modules.keys() & {"boto3", "botocore", "urllib3"}))
"""


def test_nothing_of_the_sdk_is_loaded_before_aws_is_asked() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
