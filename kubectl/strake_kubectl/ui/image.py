"""Layers and attestations of an image, read from its registry with the caller's own credentials.

The registry is asked only when a person asks for this page: a cluster's builds name registries of anybody's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from strake_kubectl.errors import CommandError

if TYPE_CHECKING:
    from strake_oci.registry.client import RegistryClient
    from strake_oci.registry.settings import ClientSettings
    from strake_oci.spec.reference import Repository

_MOST: Final = 64
"""Attestations that are listed."""
_LONGEST: Final = 200_000
"""Characters of a statement that are shown."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What is attested of an image. Who wrote it is not checked.

    Attributes:
        kind: The predicate type.
        subject: Digest of the manifest that it is about.
        digest: Of the statement.
        text: The statement as JSON, where it is provenance; else empty.
    """

    kind: str
    subject: str
    digest: str
    text: str


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image.

    Attributes:
        described: As `strake inspect --format json` prints it.
        statements: Beside it or in its index.
    """

    described: Mapping[str, Any]
    statements: tuple[Statement, ...]


ReadImage = Callable[[str], ImageFacts]
"""Reads an image by `repository@digest`."""


def read_image(name: str, settings: ClientSettings) -> ImageFacts:
    """Return what an image is. Layers are not read.

    Args:
        name: `repository@digest`.
        settings: How registries are reached.

    Raises:
        CommandError: It cannot be read.
    """
    from strake_builder.cli.registries.command import read_reference
    from strake_builder.cli.registries.registry_credentials import user_credentials
    from strake_builder.errors import BuildError
    from strake_oci.description import describe
    from strake_oci.errors import OCIError
    from strake_oci.registry.client import RegistryClient
    from strake_oci.registry.images import RegistryImages
    from strake_oci.selection import find_manifest

    try:
        image = read_reference(name)
        with RegistryClient(settings, user_credentials()) as client:
            images = RegistryImages(client, image.repository)
            found = find_manifest(images, image.identifier)
            statements = _statements(client, image.repository, found.descriptor.digest)
            return ImageFacts(describe(images, found), statements)
    except (BuildError, OCIError) as error:
        raise CommandError(
            f"cannot read {name}: {error.message}", hint=error.hint or "strake login REGISTRY"
        ) from error


def _statements(client: RegistryClient, repository: Repository, digest: Any) -> tuple[Statement, ...]:
    from strake_oci.attestations import PROVENANCE, find_attestations, read_statement

    found = []
    for each in find_attestations(client, repository, digest)[:_MOST]:
        text = ""
        if each.predicate_type == PROVENANCE:
            text = _readable(read_statement(client, repository, each.statement))
        found.append(Statement(each.predicate_type, str(each.image), str(each.statement.digest), text))
    return tuple(found)


def _readable(content: bytes) -> str:
    try:
        text = json.dumps(json.loads(content), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "This statement is no JSON."
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "\n… the rest is left out"
