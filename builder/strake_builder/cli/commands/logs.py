"""`strake logs`: the log of a run that a registry keeps."""

from __future__ import annotations

import argparse
import codecs
import sys
import zlib
from typing import TYPE_CHECKING, Final

from strake_builder.cli.flags.registry import add_registry_flags, read_registries
from strake_builder.cli.registries.command import read_reference, run_command
from strake_builder.errors import BaseImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strake_oci.cancellation import Cancellation
    from strake_oci.images import Readable
    from strake_oci.registry.client import RegistryClient
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.reference import Reference

_NOTES: Final = """\
The reference is in status.history[].log of an ImageBuild, where the platform keeps logs. What a terminal
would obey is shown as text.

examples:
  strake logs registry.example/logs/team@sha256:…
  strake logs $(kubectl get ib app -o jsonpath='{.status.history[0].log}')

Credentials come from Docker's config file ($DOCKER_CONFIG, ~/.docker/config.json) or `strake login`.
"""
_MOST: Final = 64 << 20
"""Bytes of a log, unpacked: four times what a gateway keeps."""
_PIECE: Final = 64 * 1024


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _NOTES
    parser.add_argument("reference", metavar="REFERENCE", help="a log in a registry, by digest or tag")
    parser.add_argument("--insecure", action="store_true", help="speak plain HTTP to the log's registry")
    add_registry_flags(parser, words_follow=True)
    parser.set_defaults(handler=logs)


def logs(arguments: argparse.Namespace) -> int:
    """Print a log; return the exit status."""
    return run_command(lambda cancellation: _print(arguments, cancellation))


def _print(arguments: argparse.Namespace, cancellation: Cancellation) -> None:
    try:
        for text in _text(arguments, cancellation):
            sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        return  # `strake logs … | head` has read enough


def _text(arguments: argparse.Namespace, cancellation: Cancellation) -> Iterator[str]:
    from strake_api.text import visible
    from strake_builder.cli.registries.registry_credentials import user_credentials
    from strake_oci.errors import OCIError
    from strake_oci.registry.client import RegistryClient

    reference = read_reference(arguments.reference)
    settings = read_registries(arguments, *[reference.repository.registry] if arguments.insecure else [])
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    try:
        with RegistryClient(settings, user_credentials(), cancellation=cancellation) as client:
            layer = _layer(reference, client)
            with client.open_blob(reference.repository, layer) as blob:
                for piece in _unpacked(blob, reference):
                    yield visible(decoder.decode(piece))
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
