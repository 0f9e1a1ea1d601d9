"""Whether the images that a Dockerfile names are signed with the keys that the platform's policies have."""

from __future__ import annotations

from collections.abc import Iterable

from strake_api.requests.build import ImageRule
from strake_builder.errors import ForbiddenImageError, UnsupportedError
from strake_oci.errors import SigningKeyError, UnverifiedError
from strake_oci.registry.client import RegistryClient
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Repository


def check_signed(
    client: RegistryClient,
    rules: Iterable[ImageRule],
    name: str,
    repository: Repository,
    digests: tuple[Digest, ...],
) -> None:
    """Look for the signatures that rules want of an image, in both of cosign's forms.

    A signature of the index counts for the images in it, since it names their digests. What must be signed is
    what was resolved and is pulled, never a tag.

    Args:
        client: reads the repository.
        rules: each that has keys must find a signature of one of them.
        name: of the image, as it is told.
        repository: where it and its signatures are.
        digests: of what the name resolved to, and of the platform's manifest.

    Raises:
        ForbiddenImageError: a rule finds none, or a key of it cannot be used.
        UnsupportedError: the library that verifies is not installed.
        RegistryError: the registry refused or failed.
    """
    for rule in rules:
        if rule.signed_by is not None and not _is_signed(client, rule, repository, digests):
            raise ForbiddenImageError(
                f"BuildPolicy {rule.policy} forbids the image {name}: none of its keys signed "
                f"{repository}@{digests[0]}",
                hint="build on one that is signed; `strake verify IMAGE --key FILE` tells whether one is",
            )


def _is_signed(
    client: RegistryClient, rule: ImageRule, repository: Repository, digests: tuple[Digest, ...]
) -> bool:
    try:
        from strake_oci.signatures.keys import VerificationKey
        from strake_oci.signatures.verification import verify_image
    except ImportError as error:
        raise UnsupportedError(
            f"a library is not installed: {error.name}", hint="pip install 'strake[sign]'"
        ) from error
    try:
        keys = [VerificationKey.load(each.encode()) for each in rule.signed_by or ()]
    except SigningKeyError as error:
        raise ForbiddenImageError(
            f"BuildPolicy {rule.policy} has a key in baseImages.signedBy that cannot be used: "
            f"{error.message}",
            hint=error.hint,
        ) from error
    for digest in dict.fromkeys(digests):
        for key in keys:
            try:
                verify_image(client, repository, digest, key)
            except UnverifiedError:
                continue
            return True
    return False
