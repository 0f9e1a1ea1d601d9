"""Whether the images that a Dockerfile names are signed by keys and identities of the platform's policies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from strake_api.requests.build import ImageRule
from strake_builder.errors import ForbiddenImageError, UnsupportedError
from strake_oci.errors import SigningKeyError, UnverifiedError
from strake_oci.registry.client import RegistryClient
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Repository

if TYPE_CHECKING:
    from strake_oci.signatures.bundle import Verifier


def check_signed(
    client: RegistryClient,
    rules: Iterable[ImageRule],
    name: str,
    repository: Repository,
    digests: tuple[Digest, ...],
) -> None:
    """Look for the signatures that rules want of an image: of keys in both of cosign's forms, or in bundles.

    A signature of the index counts for the images in it, since it names their digests. What must be signed is
    what was resolved and is pulled, never a tag.

    Args:
        client: reads the repository.
        rules: each that has keys or identities must find a signature of one of them.
        name: of the image, as it is told.
        repository: where it and its signatures are.
        digests: of what the name resolved to, and of the platform's manifest.

    Raises:
        ForbiddenImageError: a rule finds none, or a key or the trusted root of it cannot be used.
        UnsupportedError: the library that verifies is not installed.
        RegistryError: the registry refused or failed.
    """
    for rule in rules:
        if (rule.signed_by or rule.identities) and not _is_signed(client, rule, repository, digests):
            raise ForbiddenImageError(
                f"BuildPolicy {rule.policy} forbids the image {name}: {_nobody(rule)} signed "
                f"{repository}@{digests[0]}",
                hint=f"build on one that is; `strake verify IMAGE {_flags(rule)}` tells whether one is",
            )


def _nobody(rule: ImageRule) -> str:
    keys = "none of its keys" if rule.signed_by else ""
    if not rule.identities:
        return keys
    nobody = f"nobody who is {' or '.join(each.shown for each in rule.identities)}"
    return f"{keys} and {nobody}" if keys else nobody


def _flags(rule: ImageRule) -> str:
    return "--key FILE" if rule.signed_by else "--certificate-identity …"


def _is_signed(
    client: RegistryClient, rule: ImageRule, repository: Repository, digests: tuple[Digest, ...]
) -> bool:
    with _library("sign"):
        from strake_oci.signatures.verification import verify_image
    for key in _verifiers(rule):
        for digest in dict.fromkeys(digests):
            try:
                verify_image(client, repository, digest, key)
            except UnverifiedError:
                continue
            return True
    return False


def _verifiers(rule: ImageRule) -> Iterator[Verifier]:
    """Yield whose signatures count: the keys, whose signatures are read at once, and then the identities."""
    from strake_oci.signatures.keys import VerificationKey

    try:
        keys = [VerificationKey.load(each.encode()) for each in rule.signed_by or ()]
    except SigningKeyError as error:
        raise ForbiddenImageError(
            f"BuildPolicy {rule.policy} has a key in baseImages.signedBy that cannot be used: "
            f"{error.message}",
            hint=error.hint,
        ) from error
    yield from keys
    if rule.identities:
        yield _identities(rule)


def _identities(rule: ImageRule) -> Verifier:
    """Return the identities, which are looked for in one pass over the signatures."""
    from strake_oci.signatures.keyless.certificate import CertificateSigners

    if rule.trusted_root is None:
        raise ForbiddenImageError(
            f"BuildPolicy {rule.policy} has baseImages.signedByIdentities, and nothing tells which Sigstore "
            "vouches for them",
            hint="set baseImages.trustedRoot, or the operator's STRAKE_SIGSTORE_CONFIG",
        )
    try:
        with _library("keyless"):
            return CertificateSigners(rule.identities or (), rule.trusted_root)
    except SigningKeyError as error:
        raise ForbiddenImageError(
            f"BuildPolicy {rule.policy} has a baseImages.trustedRoot that cannot be used: {error.message}",
            hint=error.hint,
        ) from error


@contextlib.contextmanager
def _library(extra: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UnsupportedError(
            f"a library is not installed: {error.name}", hint=f"pip install 'strake[{extra}]'"
        ) from error
