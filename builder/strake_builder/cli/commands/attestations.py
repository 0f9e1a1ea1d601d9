"""`strake attestations`: what is attested of an image, beside it or in its index."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Final

from strake_builder.cli.flags.registry import add_registry_flags, read_registries
from strake_builder.cli.registries.command import read_reference, run_command
from strake_builder.errors import BaseImageError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strake_oci.attestations import Attestation
    from strake_oci.cancellation import Cancellation
    from strake_oci.registry.client import RegistryClient
    from strake_oci.spec.reference import Repository

_NOTES: Final = """\
Listed are in-toto statements in both forms: manifests that refer to the image, and BuildKit's, in an index
with it. Each line has what is attested, of which manifest, in which form and under which digest. Who wrote a
statement is not checked: anybody who can push can put one beside an image.

examples:
  strake attestations registry.example/app:1.2
  strake attestations registry.example/app:1.2 --print provenance
  strake attestations registry.example/app@sha256:… --print https://spdx.dev/Document

Credentials come from Docker's config file ($DOCKER_CONFIG, ~/.docker/config.json) or `strake login`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _NOTES
    parser.add_argument("image", metavar="IMAGE", help="a tag or digest in a registry")
    parser.add_argument(
        "--print",
        dest="wanted",
        metavar="provenance|TYPE",
        help="print the statements of a predicate type as JSON, one after the other",
    )
    parser.add_argument("--insecure", action="store_true", help="speak plain HTTP to the image's registry")
    add_registry_flags(parser, words_follow=True)
    parser.set_defaults(handler=attestations)


def attestations(arguments: argparse.Namespace) -> int:
    """List or print; return the exit status."""
    return run_command(lambda cancellation: _attestations(arguments, cancellation))


def _attestations(arguments: argparse.Namespace, cancellation: Cancellation) -> None:
    from strake_builder.cli.registries.user_client import user_client
    from strake_oci.attestations import find_attestations
    from strake_oci.errors import OCIError

    image = read_reference(arguments.image)
    settings = read_registries(arguments, *[image.repository.registry] if arguments.insecure else [])
    try:
        with user_client(settings, cancellation) as client:
            digest = image.digest or client.resolve(image).digest
            found = find_attestations(client, image.repository, digest)
            if arguments.wanted is None:
                lines = list(_listed(found))
            else:
                lines = list(_printed(client, image.repository, found, arguments.wanted))
    except OCIError as error:
        message = f"cannot read the attestations of {image}: {error.message}"
        raise BaseImageError(message, hint=error.hint) from error
    if arguments.wanted is not None and not lines:
        there = ", ".join(sorted({each.predicate_type for each in found})) or "nothing"
        raise InvalidRequestError(f"{image} has no attestation of {arguments.wanted}", hint=f"it has {there}")
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _listed(found: tuple[Attestation, ...]) -> Iterator[str]:
    from strake_api.text import visible

    for each in found:
        kind = visible(each.predicate_type) or "unknown"
        yield f"{kind} of {each.image} ({each.form.value}) {each.manifest.digest}"


def _printed(
    client: RegistryClient, repository: Repository, found: tuple[Attestation, ...], wanted: str
) -> Iterator[str]:
    from strake_oci.attestations import predicate_types, read_statement

    kinds = predicate_types(wanted)
    for each in found:
        if each.predicate_type not in kinds:
            continue
        content = read_statement(client, repository, each.statement)
        try:  # written anew, so that nothing in it reaches a terminal as a control sequence
            yield json.dumps(json.loads(content), indent=2)
        except (ValueError, RecursionError):
            message = f"the statement {each.statement.digest} is no JSON"
            raise BaseImageError(message, hint="another tool wrote it: look at it with crane blob") from None
