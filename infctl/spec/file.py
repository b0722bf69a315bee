"""Owns the typed form of a whole file: every top-level key of the language.

What stands under `targets.X` belongs to the provider of its type, and is checked in `targets`. Imports pydantic.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from infctl.spec.later import Later
from infctl.spec.model import Model
from infctl.spec.parts import Part, Text

API_VERSION = "infctl/v1"


class VariableSpec(Part):
    noun: ClassVar[str] = "a variable"
    type: Literal["string", "integer", "number", "boolean", "list", "map"] = Field(
        "string", description="what kind of value it takes; string when left out"
    )
    default: Any = Field(None, description="its value when nobody sets it; without one it has to be set")
    description: str = Field("", description="what it is for; shown when it is missing")


class SecretSpec(Part):
    noun: ClassVar[str] = "a secret"
    env: Text | None = Field(None, description="an environment variable of whoever runs infctl")
    file: Text | None = Field(None, description="a file; ~ is the home folder")
    command: tuple[Text, ...] | None = Field(None, min_length=1, description="argv of a command that prints it")
    aws_secrets_manager: Text | None = Field(None, description="the name of a secret of AWS Secrets Manager")


class KeySpec(Part):
    noun: ClassVar[str] = "a key"
    env: Text | None = Field(None, description="an environment variable of whoever runs infctl")
    file: Text | None = Field(None, description="a file; ~ is the home folder")
    command: tuple[Text, ...] | None = Field(None, min_length=1, description="argv of a command that prints it")
    aws_kms: Text | None = Field(None, description="a key of AWS KMS that never leaves it: id, ARN or alias/NAME")


class Encryption(Part):
    noun: ClassVar[str] = "encryption"
    key: KeySpec = Field(description="where its key comes from: 32 bytes in base64 or in hex")
    previous: KeySpec | Literal["none"] | None = Field(
        None, description="the key before, which still reads; none for a state that was not encrypted"
    )


class StateSpec(Part):
    """Where state is kept; the fields besides `backend` and `encryption` are the backend's own."""

    model_config = ConfigDict(extra="allow")
    noun: ClassVar[str] = "state"
    backend: Literal["local", "s3", "postgres", "kubernetes", "http"] = Field(
        "local", description="what keeps it; local: a folder beside the file"
    )
    encryption: Encryption | None = Field(None, description="state that only a key opens")


class Moved(Part):
    noun: ClassVar[str] = "a move"
    from_: Text = Field(alias="from", description="the name that the model had")
    to: Text = Field(description="the name that it has now")


class File(Part):
    noun: ClassVar[str] = "a stack"
    apiVersion: Literal["infctl/v1"] = Field(description="infctl/v1")  # noqa: N815  -- the language's word, as in Kubernetes
    name: Text = Field(description="the stack's name; part of the name of all that it makes")
    requires: Text | None = Field(None, description='versions of infctl that may touch it, as ">=0.1"')
    variables: dict[str, VariableSpec] = Field(
        default_factory=dict, description="typed inputs: -var, -var-file, INFCTL_VAR_name"
    )
    secrets: dict[str, SecretSpec] = Field(
        default_factory=dict, description="references; a value is never written down"
    )
    state: StateSpec = Field(StateSpec(), description="where state is kept; default: .infctl/")
    targets: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="where things may run; default: this machine"
    )
    models: dict[str, Model] = Field(default_factory=dict, description="what must run")
    moved: tuple[Moved, ...] = Field((), description="models that were renamed")
    endpoints: Annotated[Any, Later("Endpoints")] = Field(None, description="addresses in front of several models")
    access: Annotated[Any, Later("Access")] = Field(None, description="who may do what")
    policies: Annotated[Any, Later("Policies")] = Field(None, description="what a plan may not do")
    observability: Annotated[Any, Later("Observability")] = Field(None, description="what is watched, and who is told")
