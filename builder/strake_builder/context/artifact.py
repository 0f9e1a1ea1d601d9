"""A context in a registry: an OCI artifact whose layers are archives, or files with a name.

ORAS packs a directory as a tar archive, and notes its name beside a file that it leaves as it is; Flux has
one archive. What a layer is, its content tells: tools give a plain file the media type of an archive.

Sources: image-spec 1.1, manifest.md ("Guidelines for Artifact Usage") and annotations.md
(`org.opencontainers.image.title`); Flux, "OCI artifacts".
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final

from strake_api.models.source import OCISource
from strake_builder.context.download import SIZE_LIMIT, Watch, unwatched
from strake_builder.errors import SourceError
from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.errors import LayerError
from strake_builder.progress.transfer import Transfer
from strake_oci.errors import OCIError
from strake_oci.images import Readable
from strake_oci.registry.client import RegistryClient
from strake_oci.spec.artifact import EMPTY
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.reference import Reference, Repository
from strake_oci.verify import PIECE, despite_mirrors

_TITLE: Final = "org.opencontainers.image.title"
_MAGIC: Final = b"ustar"
_MAGIC_AT: Final = 257
_BLOCK: Final = 512


def fetch_artifact(
    source: OCISource,
    directory: str,
    client: RegistryClient,
    unpack: Callable[[Readable, str], None],
    watch: Watch = unwatched,
) -> Digest:
    """Put the files of an artifact into a directory, each blob checked first; return its manifest's digest.

    Args:
        source: which artifact.
        directory: an existing empty one.
        client: talks to the registry.
        unpack: unpacks an archive into a directory.
        watch: hears of bytes of all layers as they come.

    Raises:
        SourceError: it cannot be pulled, is none, or holds something else than files.
        OSError: the file system refused.
    """
    try:
        reference = Reference.parse(source.reference).with_default_tag()
        digest, manifest = _manifest(reference, client)
        total, before = sum(layer.size for layer in manifest.layers), 0
        for number, layer in enumerate(manifest.layers):
            packed = f"{directory}.layer-{number}"
            begun = functools.partial(_told, watch, source.reference, before, total)
            _download(reference.repository, layer, packed, client, begun)
            before += layer.size
            try:
                _place(layer, packed, directory, unpack, source.reference)
            finally:
                os.unlink(packed)
        watch(source.reference, total, total)
    except OCIError as error:
        raise SourceError(f"cannot pull {source.reference}: {error.account}", hint=error.hint) from error
    return digest


def resolve_artifact(source: OCISource, client: RegistryClient) -> Digest:
    """Return the digest of an artifact's manifest, and fetch nothing else of it.

    Args:
        source: which artifact.
        client: talks to the registry.

    Raises:
        SourceError: it cannot be pulled, or is none.
    """
    try:
        return _manifest(Reference.parse(source.reference).with_default_tag(), client)[0]
    except OCIError as error:
        raise SourceError(f"cannot pull {source.reference}: {error.account}", hint=error.hint) from error


def _manifest(reference: Reference, client: RegistryClient) -> tuple[Digest, Manifest]:
    """Return the manifest of an artifact; that of an index with a single entry."""
    identifier = reference.digest or reference.tag or ""
    for _ in range(2):
        descriptor, data = client.manifest(reference.repository, identifier)
        found = parse(data, descriptor.media_type)
        if isinstance(found, Manifest):
            if found.is_image:
                raise SourceError(
                    f"{reference} is an image, not an artifact with a context",
                    hint="name it in FROM or COPY --from, or as the image of a named context",
                )
            return descriptor.digest, found
        if len(found.manifests) != 1:
            break
        identifier = found.manifests[0].digest
    raise SourceError(f"{reference} is an index of several manifests", hint="name one of them by its digest")


def _told(watch: Watch, shown: str, before: int, total: int) -> Transfer:
    def tell(done: int) -> None:
        if before + done < total:  # of the end it is told when all is unpacked
            watch(shown, before + done, total)

    return Transfer(tell)


def _download(
    repository: Repository,
    layer: Descriptor,
    path: str,
    client: RegistryClient,
    begun: Callable[[], Transfer],
) -> None:
    if layer.size > SIZE_LIMIT:
        raise SourceError(f"{layer.digest} of {repository} is larger than {SIZE_LIMIT >> 30} GiB")

    def save() -> None:
        progress = begun()  # counts anew where a mirror was to blame
        with client.open_blob(repository, layer) as blob, open(path, "wb") as file:
            while piece := blob.read(PIECE):
                file.write(piece)
                progress(len(piece))

    despite_mirrors(save)


def _place(
    layer: Descriptor, packed: str, directory: str, unpack: Callable[[Readable, str], None], shown: str
) -> None:
    if not layer.size:
        return
    title = layer.annotations.get(_TITLE, "")
    if _is_archive(packed):
        with open(packed, "rb", buffering=0) as archive:
            unpack(archive, directory)
    elif title:
        _keep(packed, directory, title, shown)
    elif layer.digest != EMPTY.digest:
        raise SourceError(
            f"{shown} has a layer of {layer.media_type} that is no archive and has no name",
            hint="push a directory with oras, or a tar archive with flux push artifact",
        )


def _keep(packed: str, directory: str, title: str, shown: str) -> None:
    """Put a file under its name. Nothing that was unpacked before it can lead it elsewhere."""
    path = PurePosixPath(title)
    if len(path.parts) != 1 or title in {".", ".."} or path.is_absolute() or "\0" in title:
        raise SourceError(f"{shown} has a layer named {title!r}, which is no file's name")
    target = os.path.join(directory, title)
    if os.path.lexists(target):
        raise SourceError(f"{shown} has {title!r} twice")
    os.link(packed, target)
    os.chmod(target, 0o644)


def _is_archive(path: str) -> bool:
    with open(path, "rb", buffering=0) as file:
        try:
            stream, head = DecompressedStream(file), b""
            while len(head) < _BLOCK and (piece := stream.read(_BLOCK - len(head))):
                head += piece
        except LayerError:
            return False
    # Of an empty archive there are blocks of zeros alone.
    return head[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC or head == bytes(_BLOCK)
