"""What RUN may use and no layer keeps: Secrets as files or variables, and SSH keys behind an agent."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from strake_api.models.document import Document
from strake_api.spec.named import KeyReference, LocalReference

MountID = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][-A-Za-z0-9_.]*$", max_length=128)]
_BY_ID = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]}


class RunSecret(Document):
    """A secret for `RUN --mount=type=secret,id=ID`."""

    id: MountID
    secret_ref: KeyReference


class RunKey(Document):
    """An SSH key for `RUN --mount=type=ssh,id=ID`."""

    id: MountID = "default"
    secret_ref: LocalReference
    """A Secret of type kubernetes.io/ssh-auth: its key `ssh-privatekey`, without a passphrase."""


RunSecrets = Annotated[tuple[RunSecret, ...], Field(max_length=64, json_schema_extra=_BY_ID)]
RunKeys = Annotated[tuple[RunKey, ...], Field(max_length=16, json_schema_extra=_BY_ID)]
