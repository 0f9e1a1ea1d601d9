"""Reads the log of a run that a registry keeps. It is of other people's steps, in a registry of anybody's."""

from __future__ import annotations

import codecs
import zlib
from typing import TYPE_CHECKING, Final

from strake_builder.cli.registries.command import read_reference
from strake_builder.errors import BaseImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strake_oci.cancellation import Cancellation
    from strake_oci.credentials import CredentialSource
    from strake_oci.images import Readable
    from strake_oci.registry.client import RegistryClient
    from strake_oci.registry.settings import ClientSettings
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.reference import Reference

_MOST: Final = 64 << 20
"""Bytes of a log, unpacked: four times what a gateway keeps."""
_PIECE: Final = 64 * 1024


def kept_log(
    name: str,
    settings: ClientSettings,
    credentials: CredentialSource,
    cancellation: Cancellation,
    *,
    raw: bool = False,
) -> Iterator[str]:
    """Yield the text of a log, in which what a terminal would obey is shown.

    Args:
        name: its reference, by digest or tag.
        settings: how registries are reached.
        credentials: open them.
        cancellation: ends it.
        raw: leave in it what a terminal would obey, for what is none.

    Raises:
        InvalidRequestError: the name is no reference.
        BaseImageError: it cannot be read, or is no log.
    """
    from strake_api.text import visible
    from strake_oci.errors import OCIError
    from strake_oci.registry.client import RegistryClient

    reference = read_reference(name)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    try:
        with RegistryClient(settings, credentials, cancellation=cancellation) as client:
            layer = _layer(reference, client)
            with client.open_blob(reference.repository, layer) as blob:
                for piece in _unpacked(blob, reference):
                    text = decoder.decode(piece)
                    yield text if raw else visible(text)
    except OCIError as error:
        raise BaseImageError(f"cannot read the log {reference}: {error.message}", hint=error.hint) from error


def _layer(reference: Reference, client: RegistryClient) -> Descriptor:
    from strake_api.logs.artifact import ARTIFACT_TYPE, LAYER_TYPE
    from strake_oci.spec.manifest import Manifest, parse

    identifier = reference.digest or reference.tag or ""
    descriptor, data = client.manifest(reference.repository, identifier)
    found = parse(data, descriptor.media_type)
    if not isinstance(found, Manifest) or found.artifact_type != ARTIFACT_TYPE or len(found.layers) != 1:
        raise BaseImageError(f"{reference} is no log of a run", hint="status.history[].log names one")
    (layer,) = found.layers
    if layer.media_type != LAYER_TYPE or layer.size > _MOST:
        raise BaseImageError(
            f"{reference} has no log that is read here: {layer.media_type}, {layer.size} bytes"
        )
    return layer


def _unpacked(blob: Readable, reference: Reference) -> Iterator[bytes]:
    """Yield the content of a gzip stream, in pieces of a bounded size."""
    unpacker, left = zlib.decompressobj(wbits=31), _MOST
    try:
        while packed := blob.read(_PIECE):
            while packed:
                piece = unpacker.decompress(packed, _PIECE)
                packed = unpacker.unconsumed_tail
                left -= len(piece)
                if left < 0:
                    raise BaseImageError(f"the log {reference} is longer than {_MOST >> 20} MiB")
                yield piece
    except zlib.error as error:
        raise BaseImageError(f"the log {reference} is broken: {error}") from error
