"""IndexRequest: one name for the images of several platforms, which builds of their own have pushed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from strake_api.models.document import Document
from strake_api.models.form import Note
from strake_api.requests.base import PodRequest
from strake_api.requests.output import Named
from strake_api.values.attestations import AttestationForm
from strake_api.values.digest import DigestText

MOST_IMAGES = 64
"""Of an index. Images for every platform that Go knows for Linux are some fifteen."""


class IndexImage(Document):
    """An image that becomes an entry of the index. It is in the repository of each destination."""

    platform: Annotated[str, Field(max_length=64)]
    """`os/arch[/variant]`, which the image's config must tell, too."""
    digest: DigestText
    """Of its manifest."""
    attestation: DigestText | None = None
    """Of its attestation's manifest. An index that is signed is attested by it, too."""
    attestation_form: AttestationForm = "index"
    """`index`: the attestation becomes an entry, too."""


class IndexOutput(Named):
    """Where the index goes."""

    annotations: Annotated[dict[str, Note], Field(max_length=128)] = Field(default_factory=dict)
    """Annotations of the index."""


class IndexRequest(PodRequest):
    """To push the index of images, sign it, and move the tags to it, in this order."""

    kind: Literal["IndexRequest"] = "IndexRequest"
    images: Annotated[tuple[IndexImage, ...], Field(min_length=1, max_length=MOST_IMAGES)]
    """Each for another platform."""
    output: IndexOutput
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")] | None = None
    """The commit that the images were built from, for the fields of destinations; not given without one."""

    @property
    def paths(self) -> dict[str, str | None]:
        """The paths in it that must be absolute, by field."""
        return super().paths | self.output.paths
