"""What RUN may use and no layer keeps: Secrets as files or variables, and SSH keys behind an agent."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from strake_api.models.document import Document
from strake_api.models.rule import keyed
from strake_api.spec.named import KeyReference, LocalReference

MountID = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][-A-Za-z0-9_.]*$", max_length=128)]


class RunSecret(Document):
    """A secret for `RUN --mount=type=secret,id=ID`."""

    id: MountID
    secret_ref: KeyReference


class RunKey(Document):
    """An SSH key for `RUN --mount=type=ssh,id=ID`."""

    id: MountID = "default"
    secret_ref: LocalReference
    """A Secret of type kubernetes.io/ssh-auth: its key `ssh-privatekey`, without a passphrase."""


RunSecrets = Annotated[tuple[RunSecret, ...], *keyed("id", most=64)]
RunKeys = Annotated[tuple[RunKey, ...], *keyed("id", most=16)]
