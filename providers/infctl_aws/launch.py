"""Owns what an instance of a group is made of: its image, disk, rights, user data, as a launch template says it."""

from __future__ import annotations

from typing import Any

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Values
from infctl_aws.labels import as_list, launch_tags
from infctl_aws.parts import Cloud
from infctl_aws.rights import PARAMETER
from infctl_aws.session import error_code
from infctl_aws.user_data import user_data

GB = 1000**3


def secrets_home(stack: str, workspace: str, target: str) -> str:
    """Return the folder of a target's secrets in the parameter store."""
    return f"/infctl/{stack}/{workspace}/{target}"


def secrets_of(cloud: Cloud, change: Change) -> str:
    """Return the folder of a revision's secrets: below its model's, which is all that the model's role may read."""
    home = secrets_home(change.labels.stack, change.labels.workspace, cloud.context.target)
    return f"{home}/{change.labels.model}/{change.labels.id}"


def template_data(cloud: Cloud, change: Change, values: Values, drain: int) -> dict[str, Any]:
    """Return the body of a launch template. Raises ProviderError where the image cannot be found."""
    image = find_image(cloud, str(values["ami"]))
    script = user_data(
        values,
        group=change.name,
        ident=change.labels.id,
        region=cloud.session.region,
        secrets=secrets_of(cloud, change),
        drain=drain,
    )
    disk = {"VolumeSize": max(1, values["disk"] // GB), "VolumeType": "gp3", "Encrypted": True,
            "DeleteOnTermination": True}  # fmt: skip
    tags = as_list(launch_tags(change, values))
    return {
        "ImageId": image["ImageId"],
        "InstanceType": values["instance_types"][0],
        "IamInstanceProfile": {"Name": values["profile"]},
        "SecurityGroupIds": [values["security_group"]],
        "BlockDeviceMappings": [{"DeviceName": image.get("RootDeviceName") or "/dev/sda1", "Ebs": disk}],
        # A container has no business with the instance's credentials: its packets need one hop more.
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"},
        "UserData": script,
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
    }


def find_image(cloud: Cloud, ami: str) -> dict[str, Any]:
    """Return the machine image that an id or a parameter of the parameter store means now."""
    hint = "name an image of this region in the target's `ami`: an id, or ssm:PARAMETER"
    if ami.startswith(PARAMETER):
        name = ami.removeprefix(PARAMETER)
        try:
            ami = cloud.ssm().get_parameter(Name=name)["Parameter"]["Value"]
        except Exception as failure:
            if error_code(failure) != "ParameterNotFound":
                raise
            raise ProviderError(
                f"There is no parameter {name} in {cloud.session.region}", "it is to name the machine image", hint=hint
            ) from failure
    try:
        found = cloud.ec2().describe_images(ImageIds=[ami])["Images"]
    except Exception as failure:
        if not error_code(failure).startswith("InvalidAMIID"):
            raise
        found = []
    if not found:
        raise ProviderError(f"There is no machine image {ami} in {cloud.session.region}", hint=hint)
    return dict(found[0])
