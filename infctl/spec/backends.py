"""Owns the fields of each place that keeps state, as `state:` says them. Imports pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from infctl.spec.parts import Flag, Part, Seconds, Text

SecretName = Annotated[str, Field(pattern=r"^secret://[A-Za-z]", description="secret://NAME")]
HttpAddress = Annotated[str, Field(pattern=r"^https?://[^/@\s]+", description="an http or https address")]


class LocalState(Part):
    noun: ClassVar[str] = "a local state"


class S3State(Part):
    """Credentials are found as every AWS tool finds them."""

    noun: ClassVar[str] = "a state in S3"
    bucket: Text = Field(description="the bucket; infctl does not make it")
    key: Text = Field(description="the object that is the head of this stack's state, as prod/chat")
    region: Text | None = Field(None, description="its region; as AWS_REGION and the profile say when left out")
    profile: Text | None = Field(None, description="a profile of ~/.aws/config")
    endpoint: HttpAddress | None = Field(None, description="the address of another store that speaks S3")
    path_style: Flag = Field(False, description="put the bucket in the path of addresses, not in the host's name")
    sse: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(None, description="encryption by the bucket")
    kms_key: Text | None = Field(None, description="id or ARN of the KMS key, where sse is aws:kms")


class PostgresState(Part):
    noun: ClassVar[str] = "a state in PostgreSQL"
    url: Annotated[str, Field(pattern=r"^postgres(ql)?://")] = Field(
        description="postgresql://USER@HOST/DATABASE?sslmode=verify-full, without the password"
    )
    password: SecretName | None = Field(None, description="secret://NAME; as PGPASSWORD, PGPASSFILE say when left out")
    key: Text = Field(description="this stack's name in the table, as prod/chat")
    table: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?$")] = Field(
        "infctl_state",
        description="the table, made where it is missing; SCHEMA.TABLE for another schema than the first",
    )


class HttpState(Part):
    """Terraform's protocol: GET, POST and DELETE of one document, LOCK and UNLOCK."""

    noun: ClassVar[str] = "a state over HTTP"
    address: HttpAddress = Field(description="where the state is")
    lock_address: HttpAddress | None = Field(None, description="where it is locked; the address when left out")
    unlock_address: HttpAddress | None = Field(None, description="where it is unlocked; the lock_address when left out")
    update_method: Literal["POST", "PUT"] = Field("POST", description="how it is written")
    lock_method: Literal["LOCK", "POST", "PUT"] = Field("LOCK", description="how it is locked")
    unlock_method: Literal["UNLOCK", "DELETE", "POST", "PUT"] = Field("UNLOCK", description="how it is unlocked")
    username: Text | None = Field(None, description="for basic authentication")
    password: SecretName | None = Field(None, description="secret://NAME")
    timeout: Seconds = Field(15.0, description="longest wait for one answer")
    unsafe_no_fencing: Flag = Field(
        False,
        description="use a server that takes writes under a wrong lock id: two runs may then overwrite each other",
    )


class KubernetesState(Part):
    noun: ClassVar[str] = "a state in Kubernetes"
    key: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$")] = Field(
        description="this stack's name among the Secrets, as prod-chat"
    )
    namespace: Text | None = Field(
        None, description="the namespace of its Secrets, which infctl does not make; the context's when left out"
    )
    context: Text | None = Field(None, description="a context of the kubeconfig; the current one when left out")
    kubeconfig: Text | None = Field(None, description="the file; as KUBECONFIG says, else ~/.kube/config")


BACKENDS: Final[Mapping[str, type[Part]]] = {
    "local": LocalState,
    "s3": S3State,
    "postgres": PostgresState,
    "http": HttpState,
    "kubernetes": KubernetesState,
}
