"""Owns the fields of a target of type aws. Imports pydantic and no SDK; what is said here is asked of AWS elsewhere."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field, field_validator, model_validator

Port = Annotated[int, Field(ge=1, le=65_535)]
Name = Annotated[str, Field(min_length=1)]
PORTS = (8_000, 8_999)
DISK = 200 * 1000**3  # bytes: an engine's image has 10-20 GB, the weights of a model of 70B parameters 140 GB
# The base GPU image: driver, Docker, NVIDIA's container toolkit, AWS CLI. Source: docs.aws.amazon.com/dlami, "Base
# OSS Nvidia Driver GPU AMI (Ubuntu 22.04)", whose id AWS publishes under this parameter.
AMI = "ssm:/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id"


class Purchase(BaseModel):
    """How instances are paid."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reservation: str = Field(
        "", pattern=r"^(cr-[0-9a-f]+)?$", description="a capacity reservation that is used up first"
    )
    on_demand_base: int = Field(0, ge=0, description="instances of each group that are never spot")
    spot_policy: Literal["none", "auto"] = Field(
        "none", description="auto: all above the base are spot instances, from the pools least likely to be taken back"
    )
    max_price: float | None = Field(None, gt=0, description="most dollars an hour for a spot instance")

    @model_validator(mode="after")
    def _price_is_of_spot(self) -> Purchase:
        if self.max_price is not None and self.spot_policy == "none":
            raise ValueError("max_price is a price of spot instances: say spot_policy: auto")
        return self


class AwsTarget(BaseModel):
    """The fields of a target of type aws, besides `type`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: Name = Field(description="where: us-east-1")
    subnets: tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-z]+$")], ...] = Field(
        min_length=1, description="the subnets of one VPC that instances start in, best one of each zone"
    )
    instance_types: tuple[Name, ...] = Field(min_length=1, description="the types to choose from, as g6e.xlarge")
    ami: str = Field(
        AMI,
        pattern=r"^(ami-[0-9a-z]+|ssm:/\S+)$",
        description="the image of the instances: an id, or ssm:PARAMETER, read when a revision is made",
    )
    disk: ByteSize = Field(ByteSize(DISK), ge=8 * 1000**3, description="the size of an instance's disk, as 200GB")
    purchase: Purchase = Field(default_factory=Purchase, description="how instances are paid")
    max_instances: int | None = Field(None, ge=1, description="most instances of this target, of all models together")
    clients: tuple[str, ...] = Field(
        (), description="networks that may reach the models, as 10.0.0.0/8; without it those of the VPC"
    )
    public: bool = Field(False, description="whether the models' addresses can be reached from outside the VPC")
    ports: tuple[Port, Port] = Field(PORTS, description="first and last port to choose from where none is given")
    profile: str = Field("", description="the profile of ~/.aws/config that infctl uses")
    assume_role: str = Field("", pattern=r"^(arn:\S+:iam::\d{12}:role/\S+)?$", description="a role to take on")

    @field_validator("subnets", "instance_types", "clients")
    @classmethod
    def _each_once(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((each for each in given if given.count(each) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} is given twice")
        return given

    @field_validator("clients")
    @classmethod
    def _networks(cls, clients: tuple[str, ...]) -> tuple[str, ...]:
        for each in clients:
            ip_network(each)  # its ValueError says what is wrong
        return clients

    @model_validator(mode="after")
    def _whole(self) -> AwsTarget:
        first, last = self.ports
        if first > last:
            raise ValueError("ports: the first must not be above the last")
        if self.public and not self.clients:
            raise ValueError("a public target says its clients: nothing is opened to the whole world by itself")
        return self
