"""A build context that a registry has, as an OCI artifact."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from strake_api.models.document import Document
from strake_api.models.rule import Rule, checked
from strake_api.spec.paths import inside

_REFERENCE = r"^[a-zA-Z0-9][^\s:/@]*(:[0-9]+)?(/[^\s:/@]+)+(:[^\s:/@]+)?(@sha256:[0-9a-f]{64})?$"
AN_ARTIFACT: Rule[str] = Rule(
    "self.matches('" + _REFERENCE.replace("\\", "\\\\") + "')",
    "oci.reference is written REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@sha256:…, without oci://",
    lambda text: re.fullmatch(_REFERENCE, text) is not None,
)


class OCIArtifact(Document):
    """An artifact whose layers are archives (ORAS, flux push artifact), unpacked over each other."""

    reference: Annotated[str, Field(max_length=512), *checked(AN_ARTIFACT)]
    """Where it is, by tag or digest; read with pullSecret."""
    path: Annotated[str, Field(max_length=1024), *checked(inside("oci.path"))] = "."
    """The directory of the artifact that is the build context."""
