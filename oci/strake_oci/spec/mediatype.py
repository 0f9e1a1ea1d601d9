"""Media types of manifests, configs and layers, in both families.

OCI image-spec 1.1 `media-types.md` and Docker's image manifest version 2 schema 2 describe the same things
under different names; images of both kinds are read, and a manifest keeps its family when it is changed.
"""

from __future__ import annotations

import enum
from typing import Final

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"
OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"

DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_ZSTD: Final = "application/vnd.docker.image.rootfs.diff.tar.zstd"

_SCHEMA_1: Final = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
MANIFESTS: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES: Final = frozenset({OCI_INDEX, DOCKER_INDEX})
CONFIGS: Final = frozenset({OCI_CONFIG, DOCKER_CONFIG})
ACCEPT: Final = (OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST)
"""What to ask a registry for, in the order of preference."""


class Compression(enum.Enum):
    """How a layer's tar stream is packed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


_LAYERS: Final = {
    OCI_LAYER: Compression.NONE,
    OCI_LAYER_GZIP: Compression.GZIP,
    OCI_LAYER_ZSTD: Compression.ZSTD,
    DOCKER_LAYER: Compression.NONE,
    DOCKER_LAYER_GZIP: Compression.GZIP,
    DOCKER_LAYER_ZSTD: Compression.ZSTD,
    # "Non-distributable" layers: the same bytes under names that OCI 1.1 deprecates. Windows base images use
    # them.
    "application/vnd.oci.image.layer.nondistributable.v1.tar": Compression.NONE,
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": Compression.GZIP,
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": Compression.ZSTD,
    "application/vnd.docker.image.rootfs.foreign.diff.tar": Compression.NONE,
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": Compression.GZIP,
}


def layer_compression(media_type: str) -> Compression | None:
    """Return how a layer of this media type is packed, or None if it is not a layer's media type."""
    return _LAYERS.get(media_type)


def is_layer(media_type: str) -> bool:
    """Tell whether this is the media type of a file system layer."""
    return media_type in _LAYERS


def is_foreign(media_type: str) -> bool:
    """Tell whether registries may refuse to keep the blob: it is fetched from the descriptor's `urls`."""
    return media_type in _LAYERS and (".nondistributable." in media_type or ".foreign." in media_type)


def names_no_document(media_type: str) -> bool:
    """Tell whether a Content-Type leaves open which kind of manifest was sent.

    Registries that are static file servers, and some old ones, send `application/json`, `text/plain` or
    `application/octet-stream` for every file. What counts then is the document's own `mediaType`, as for
    go-containerregistry and containers/image.
    """
    return not media_type.startswith("application/vnd.")


def is_schema_1(media_type: str) -> bool:
    """Tell whether this is Docker's image manifest version 2 *schema 1*, withdrawn in 2019."""
    return media_type in _SCHEMA_1


def is_docker(media_type: str) -> bool:
    """Tell whether the media type is of Docker's family rather than OCI's."""
    return media_type.startswith("application/vnd.docker.")


def layer_type(compression: Compression, *, docker: bool = False) -> str:
    """Return the media type of a layer packed this way, in the family asked for."""
    match compression:
        case Compression.NONE:
            return DOCKER_LAYER if docker else OCI_LAYER
        case Compression.GZIP:
            return DOCKER_LAYER_GZIP if docker else OCI_LAYER_GZIP
        case Compression.ZSTD:
            return DOCKER_LAYER_ZSTD if docker else OCI_LAYER_ZSTD


def essence(content_type: str) -> str:
    """Return a Content-Type header's media type without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()
