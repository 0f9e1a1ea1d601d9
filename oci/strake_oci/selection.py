"""Which image of an index is for a platform, when the index does not tell all.

`platform` is optional in an index (image-spec 1.1, image-index.md), and skopeo, podman and hand-made indexes
leave it out. As containerd does (`images.Manifest`), an entry whose platform fits is taken first; then those
without one are opened, in the order of the index: an image counts if its config is for the platform, an index
is searched likewise.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from strake_oci.errors import InvalidDocumentError, PlatformNotFoundError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.image import ImageConfig
from strake_oci.spec.manifest import Index, Manifest, parse
from strake_oci.spec.platform import Platform, choose
from strake_oci.spec.wire import MAX_CONFIG
from strake_oci.verify import despite_mirrors

if TYPE_CHECKING:
    from collections.abc import Callable

    from strake_oci.images import ImageReader, Readable
    from strake_oci.spec.descriptor import Descriptor

MAX_DEPTH: Final = 4
"""Indexes in indexes. Real ones have one level, at most two."""
MAX_OPENED: Final = 64
"""Entries without platform that are opened, each with its config: a bound on what an index can ask for."""
ATTESTATION_NOTE: Final = "vnd.docker.reference.type"
"""The annotation of an index's entry that tells what the entry is of another one."""


@dataclass(frozen=True, slots=True)
class FoundManifest:
    """A manifest or index as it came.

    Attributes:
        descriptor: What it was fetched by.
        data: Its bytes.
        document: What it says.
    """

    descriptor: Descriptor
    data: bytes
    document: Manifest | Index

    @property
    def image(self) -> Manifest:
        """The document, which is an image's manifest.

        Raises:
            InvalidDocumentError: It is an index.
        """
        if isinstance(self.document, Index):
            raise InvalidDocumentError(f"{self.descriptor.digest} is an index, not an image")
        return self.document


class ImageSelection:
    """Looks for the image of one platform.

    Args:
        platform: Which.
        fetch: Returns a manifest or index.
        config: Returns an image's config.
    """

    def __init__(
        self,
        platform: Platform,
        fetch: Callable[[Descriptor], FoundManifest],
        config: Callable[[Descriptor], ImageConfig],
    ) -> None:
        self._platform = platform
        self._fetch = fetch
        self._config = config
        self._opened = 0

    def find(self, top: FoundManifest) -> FoundManifest:
        """Return the image for the platform in what was found; an image itself is returned as it is.

        Raises:
            PlatformNotFoundError: There is none; the message lists what there is.
            InvalidDocumentError: Indexes are nested too deeply, or too many entries have no platform.
            OCIError: A manifest or config cannot be had.
        """
        return self._find(top, 0)

    def _find(self, found: FoundManifest, depth: int) -> FoundManifest:
        if isinstance(found.document, Manifest):
            return found
        if depth > MAX_DEPTH:
            raise InvalidDocumentError(f"index {found.descriptor.digest} is nested too deeply")
        entries = found.document.manifests
        try:
            chosen = choose(self._platform, ((entry.platform, entry) for entry in entries))
            return self._find(self._fetch(chosen), depth + 1)
        except PlatformNotFoundError as error:
            return self._among_unnamed(found.document, depth, error)

    def _among_unnamed(self, index: Index, depth: int, missing: PlatformNotFoundError) -> FoundManifest:
        for entry in index.manifests:
            if entry.platform is not None or ATTESTATION_NOTE in entry.annotations:
                continue
            self._opened += 1
            if self._opened > MAX_OPENED:
                raise InvalidDocumentError(
                    f"no image for platform {self._platform} among {MAX_OPENED} entries without platform",
                    hint="name the image by its digest",
                ) from missing
            try:
                found = self._find(self._fetch(entry), depth + 1)
            except PlatformNotFoundError:
                continue
            if self._fits(found):
                return found
        raise missing

    def _fits(self, found: FoundManifest) -> bool:
        manifest = found.document
        if not isinstance(manifest, Manifest) or not manifest.is_image:
            return False
        there = self._config(manifest.config).platform
        if not there.architecture:  # images of tools that name no processor run where they are put
            return True
        try:
            choose(self._platform, [(there, True)])
        except PlatformNotFoundError:
            return False
        return True


def read_config(blob: Readable) -> ImageConfig:
    """Read an image config to its end, which proves its digest.

    Raises:
        OCIError: It is not what its descriptor says, or no image config.
    """
    data = b""
    while len(data) <= MAX_CONFIG and (piece := blob.read(MAX_CONFIG + 1)):
        data += piece
    return ImageConfig.parse(data)


def read_manifest(source: ImageReader, descriptor: Descriptor) -> FoundManifest:
    """Read a manifest or index.

    Raises:
        OCIError: It is not there, or not what the descriptor says.
    """
    data = source.manifest(descriptor)
    return FoundManifest(descriptor, data, parse(data, descriptor.media_type))


def read_image_config(source: ImageReader, descriptor: Descriptor) -> ImageConfig:
    """Read the config of an image of a store.

    Raises:
        OCIError: It is not there, not what its descriptor says, or no image config.
    """

    def read() -> ImageConfig:
        with source.open_blob(descriptor) as blob:
            return read_config(blob)

    return despite_mirrors(read)


def find_manifest(source: ImageReader, name: str, platform: Platform | None = None) -> FoundManifest:
    """Return the manifest or index of a name; with a platform, the image of an index that is for it.

    Raises:
        PlatformNotFoundError: The index has none.
        OCIError: It cannot be read.
    """
    top = read_manifest(source, source.resolve(name))
    if platform is None:
        return top
    fetch, config = partial(read_manifest, source), partial(read_image_config, source)
    return ImageSelection(platform, fetch, config).find(top)
