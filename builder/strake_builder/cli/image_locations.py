"""Names of image locations, as `strake copy` and its like take them: registries, layouts, archives."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from strake_builder.errors import InvalidRequestError
from strake_builder.output.targets import STANDARD_OUTPUT
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from strake_oci.images import ImageReader, ImageWriter
    from strake_oci.registry.client import RegistryClient
    from strake_oci.spec.platform import Platform
    from strake_oci.spec.reference import Reference

_FORMS: Final = {
    "oci": "oci:DIR[:TAG]",
    "oci-archive": "oci-archive:FILE[:TAG]",
    "docker-archive": "docker-archive:FILE:IMAGE",
}
DOCKER: Final = "docker-archive"


@dataclass(frozen=True, slots=True)
class ImageLocation:
    """Where an image is, or is to be.

    Attributes:
        kind: one of `_FORMS`, or empty for a registry.
        path: the directory or file.
        name: what the image is called in it.
        reference: in a registry.
        text: how a person named it, where that is none of `_FORMS`.
    """

    kind: str
    path: str = ""
    name: str = ""
    reference: Reference | None = None
    text: str = ""

    @property
    def registry(self) -> str:
        """The registry's host, or empty for a directory or file."""
        return self.reference.repository.registry if self.reference else ""

    def __str__(self) -> str:
        if self.reference is not None:
            return str(self.reference)
        return self.text or ":".join(filter(None, (self.kind, self.path, self.name)))


def parse_location(text: str) -> ImageLocation:
    """Read an image's name, or one of the forms for directories and files.

    Raises:
        InvalidRequestError: it is neither.
    """
    from strake_oci.errors import InvalidValueError
    from strake_oci.spec.reference import Reference

    kind, colon, rest = text.partition(":")
    if colon and kind in _FORMS:
        path, _, name = rest.partition(":")
        if not path:
            raise InvalidRequestError(f"{text!r} has no path", hint=f"write {_FORMS[kind]}")
        return ImageLocation(kind, path, name)
    try:
        return ImageLocation("", reference=Reference.parse(text.removeprefix("docker://")).with_default_tag())
    except InvalidValueError as error:
        forms = ", ".join(_FORMS.values())
        raise InvalidRequestError(
            error.message, hint=error.hint or f"name an image, or write {forms}"
        ) from error


def parse_path(text: str) -> ImageLocation | None:
    """Read a path of this machine, with or without the image's name after it; None where nothing is there.

    A directory is a layout. What a file is shows when it is opened.

    Args:
        text: DIR, DIR:TAG, FILE, FILE:TAG or FILE:IMAGE. The shortest path that is there counts.
    """
    ends = [at for at, letter in enumerate(text) if letter == ":"]
    for end in (*ends, len(text)):
        path = text[:end]
        if path and os.path.exists(path):
            kind = "oci" if os.path.isdir(path) else "oci-archive"
            return ImageLocation(kind, path, text[end + 1 :], text=text)
    return None


def read_platform(text: str) -> Platform:
    """Read OS/ARCH.

    Raises:
        InvalidRequestError: it is none.
    """
    from strake_oci.errors import InvalidPlatformError
    from strake_oci.spec.platform import Platform

    try:
        return Platform.parse(text)
    except InvalidPlatformError as error:
        raise InvalidRequestError(error.message, hint=error.hint) from error


def check_destination(location: ImageLocation) -> None:
    """Refuse what an image cannot be copied to.

    Raises:
        InvalidRequestError: with what to write instead.
    """
    if location.reference is not None and location.reference.digest is not None:
        raise InvalidRequestError(
            f"the destination {location} has a digest", hint="name a tag; the digest is the source's"
        )
    if location.kind == DOCKER and not location.name:
        raise InvalidRequestError(
            "an archive for docker load needs a name for the image", hint=f"write {_FORMS[DOCKER]}"
        )
    if location.path == STANDARD_OUTPUT and os.isatty(1):
        raise InvalidRequestError("an archive does not go to a terminal", hint="redirect it, or name a file")


def open_source(location: ImageLocation, client: RegistryClient) -> tuple[ImageReader, str]:
    """Return where to read, and what the image is called there; empty for the only one there is."""
    from strake_oci.registry.images import RegistryImages
    from strake_oci.stores.archive_reader import open_archive
    from strake_oci.stores.layout import Layout

    if location.reference is not None:
        return RegistryImages(client, location.reference.repository), location.reference.identifier
    opened = Layout(location.path) if location.kind == "oci" else open_archive(location.path)
    return opened, location.name


@contextmanager
def open_destination(
    location: ImageLocation, client: RegistryClient, source: ImageLocation
) -> Iterator[tuple[ImageWriter, str]]:
    """Give where to write, and the tag or name to write under; a file appears when the context ends well.

    Raises:
        OutputError: the file cannot be written.
    """
    from strake_builder.output.new_file import new_file
    from strake_oci.registry.images import RegistryImages
    from strake_oci.stores.archive import ArchiveWriter
    from strake_oci.stores.layout import Layout

    if location.reference is not None:
        mount_from = source.reference.repository if source.reference else None
        images = RegistryImages(client, location.reference.repository, mount_from)
        yield images, location.reference.tag or "latest"
    elif location.kind == "oci":
        yield Layout(location.path, create=True), location.name or "latest"
    else:
        mask = os.umask(0)
        os.umask(mask)
        docker = location.kind == DOCKER
        name = str(parse_location(location.name)) if docker else location.name or "latest"
        with new_file(location.path, mask) as file, ArchiveWriter(file, docker=docker) as archive:
            yield archive, name
