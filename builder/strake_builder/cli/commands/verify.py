"""`strake verify`: whether an image has a signature, or a signed attestation, that a key made."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Final

from strake_builder.cli.flags.registry import add_registry_flags, read_registries
from strake_builder.cli.registries.command import read_reference, run_command
from strake_builder.errors import BaseImageError, InvalidRequestError, SigningError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strake_oci.cancellation import Cancellation
    from strake_oci.registry.client import RegistryClient
    from strake_oci.signatures.bundle import Verifier
    from strake_oci.spec.digest import Digest
    from strake_oci.spec.reference import Repository

_NOTES: Final = """\
Signatures in both of cosign's forms count: under the tag sha256-DIGEST.sig, and as Sigstore bundles that
refer to the image. A tag is resolved once; the digest that was verified is printed first. Of an index for
several platforms its own signature counts, not those of its images; with --attestation each of its images
needs one. With --key certificates and transparency logs are not looked at; with --certificate-identity a
bundle counts whose certificate, log entry and times the trusted root vouches for. No server but the registry
is asked.

examples:
  strake verify registry.example/app:1.2 --key cosign.pub
  strake verify registry.example/app@sha256:… --key cosign.pub
  strake verify registry.example/app:1.2 --key cosign.pub --attestation provenance --print > provenance.json
  strake verify registry.example/app:1.2 --trusted-root trusted_root.json \\
    --certificate-identity https://kubernetes.io/namespaces/team/serviceaccounts/builder \\
    --certificate-oidc-issuer https://oidc.example/cluster

exit status: 0 with a signature of the key, or an attestation of each type, 14 without.
Credentials come from Docker's config file ($DOCKER_CONFIG, ~/.docker/config.json) or `strake login`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _NOTES
    parser.add_argument("image", metavar="IMAGE", help="a tag or digest in a registry")
    parser.add_argument(
        "--key",
        metavar="FILE|URI",
        help="the public key (PEM), as cosign's cosign.pub, or a key in a KMS, which is asked for it",
    )
    parser.add_argument(
        "--certificate-identity",
        metavar="NAME",
        help="in place of --key: the subject of the certificate that signed, an e-mail address or URI",
    )
    parser.add_argument(
        "--certificate-oidc-issuer", metavar="URL", help="with it: who vouched for that subject to Fulcio"
    )
    parser.add_argument(
        "--trusted-root",
        metavar="FILE",
        help="with it: trusted_root.json of the Sigstore instance, or its ClientTrustConfig",
    )
    parser.add_argument(
        "--attestation",
        metavar="TYPE",
        action="append",
        default=[],
        help="ask for an attestation of this type that the key signed, in place of a signature: provenance, "
        "sbom, or a predicate type; may be given more than once",
    )
    parser.add_argument(
        "--print", action="store_true", help="print the statements that were verified, one JSON a line"
    )
    parser.add_argument("--insecure", action="store_true", help="speak plain HTTP to the image's registry")
    add_registry_flags(parser, words_follow=True)
    parser.set_defaults(handler=verify)


def verify(arguments: argparse.Namespace) -> int:
    """Verify; return the exit status."""
    return run_command(lambda cancellation: _verify(arguments, cancellation))


def _verify(arguments: argparse.Namespace, cancellation: Cancellation) -> None:
    lines = list(_verified(arguments, cancellation))
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _verified(arguments: argparse.Namespace, cancellation: Cancellation) -> Iterator[str]:
    from strake_builder.cli.registries.user_client import user_client
    from strake_oci.errors import OCIError, UnverifiedError

    if arguments.print and not arguments.attestation:
        raise InvalidRequestError(
            "--print prints attestations, and none is asked for", hint="add --attestation provenance"
        )
    key = _verifier(arguments)
    image = read_reference(arguments.image)
    settings = read_registries(arguments, *[image.repository.registry] if arguments.insecure else [])
    try:
        with user_client(settings, cancellation) as client:
            digest = image.digest or client.resolve(image).digest
            check = _attested if arguments.attestation else _signed
            yield from check(arguments, client, image.repository, digest, key)
    except UnverifiedError as error:
        raise SigningError(error.message, hint=error.hint) from error
    except OCIError as error:
        raise BaseImageError(f"cannot verify {image}: {error.message}", hint=error.hint) from error


def _verifier(arguments: argparse.Namespace) -> Verifier:
    """Return whose signatures count."""
    from strake_builder.cli.registries.signing import read_certificate_identity, read_public_key

    names = ("certificate_identity", "certificate_oidc_issuer", "trusted_root")
    given = [name for name in names if getattr(arguments, name) is not None]
    if arguments.key is not None and not given:
        return read_public_key(arguments.key)
    if arguments.key is not None or len(given) < len(names):
        raise InvalidRequestError(
            "whose signatures count is not clear",
            hint="give --key, or all of --certificate-identity, --certificate-oidc-issuer and --trusted-root",
        )
    return read_certificate_identity(*(getattr(arguments, name) for name in names))


def _signed(
    _: argparse.Namespace,
    client: RegistryClient,
    repository: Repository,
    digest: Digest,
    key: Verifier,
) -> Iterator[str]:
    from strake_oci.signatures.keyless.certificate import CertificateIdentity
    from strake_oci.signatures.verification import verify_image

    found = verify_image(client, repository, digest, key)
    yield f"{repository}@{digest}"
    if isinstance(key, CertificateIdentity):
        yield f"bundle: signed by {key.identity}"
        return
    for form, count in found.seen:
        if form in found.verified:
            yield f"{form.value}: signed with this key"
        else:
            yield f"{form.value}: {f'{count} of other keys' if count else 'no signature'}"


def _attested(
    arguments: argparse.Namespace,
    client: RegistryClient,
    repository: Repository,
    digest: Digest,
    key: Verifier,
) -> Iterator[str]:
    from strake_oci.attestations import predicate_types
    from strake_oci.signatures.statements import verify_statements

    found = [
        statement
        for wanted in arguments.attestation
        for statement in verify_statements(client, repository, digest, key, predicate_types(wanted))
    ]
    if arguments.print:
        # The same statement may lie there in both forms.
        for content in dict.fromkeys(each.content for each in found):
            yield json.dumps(json.loads(content), separators=(",", ":"))
        return
    yield f"{repository}@{digest}"
    yield from dict.fromkeys(f"{each.image}: {each.predicate_type}, {each.form.value}" for each in found)
