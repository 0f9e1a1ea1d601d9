"""What a build may let refer to an image: attestations, of images that it pushed itself.

Whatever has a `subject` appears beside an image of somebody else as well, and the tag that lists referrers is
read as if the registry had made it. So both are looked into, which no other manifest is.
"""

from __future__ import annotations

import json
from typing import Final

from strake_builder.gateway.errors import ForbiddenError, MalformedError, UnknownImageError
from strake_builder.gateway.policy import Asked, Kind, Policy, is_list_of_referrers
from strake_builder.gateway.signing import GatewaySigning
from strake_oci.attestations import is_attestation
from strake_oci.errors import NotFoundError, OCIError, RegistryError
from strake_oci.registry import manifests
from strake_oci.registry.session import Session
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Index, Manifest, parse

_SUBJECT: Final = "subject"


class ReferringRules:
    """Decides over manifests that are pushed. Thread-safe.

    Args:
        policy: what the build may do.
        pushed: knows what was pushed through this gateway.
    """

    def __init__(self, policy: Policy, pushed: GatewaySigning) -> None:
        self._policy = policy
        self._pushed = pushed

    def check(self, asked: Asked, content: bytes, session: Session) -> None:
        """Refuse what must not refer to an image, or be in the list of what does.

        Args:
            asked: the request.
            content: the manifest.
            session: with the repository, to read the list that there is.

        Raises:
            MalformedError: it is no manifest, or readers could take it for different ones.
            ForbiddenError: it is no attestation, or the build makes none.
            UnknownImageError: the image was not pushed through this gateway.
            OCIError: the registry refused or failed.
        """
        if asked.kind is not Kind.MANIFEST or asked.is_read:
            return
        document = _read(content)
        if is_list_of_referrers(asked.name):
            self._check_list(asked, document, session)
        elif document.subject is not None:
            self._check_referrer(asked, document, document.subject.digest)

    def _check_referrer(self, asked: Asked, document: Manifest | Index, subject: Digest) -> None:
        if not self._policy.attests or asked.repository not in self._policy.tags:
            raise ForbiddenError("this build pushes nothing that refers to an image")
        if not is_attestation(document) or ":" not in asked.name:
            raise ForbiddenError("of what refers to an image a build pushes attestations alone, by digest")
        self._known(asked, subject)

    def _check_list(self, asked: Asked, document: Manifest | Index, session: Session) -> None:
        subject = Digest.parse(asked.name.replace("-", ":", 1))
        self._known(asked, subject)
        if not isinstance(document, Index) or document.subject is not None:
            raise ForbiddenError(f"{asked.name} is a list of what refers to an image, and nothing else")
        before = _listed(session, asked.name)
        after = {entry.digest for entry in document.manifests}
        if not before <= after:
            raise ForbiddenError("what others let refer to an image stays in the list")
        for digest in after - before:
            self._known(asked, digest)

    def _known(self, asked: Asked, digest: Digest) -> None:
        if self._pushed.pushed(asked.repository, digest) is None:
            raise UnknownImageError(f"this build did not push {asked.repository}@{digest}")


def _read(content: bytes) -> Manifest | Index:
    try:
        document = parse(content)
        pairs = json.loads(content, object_pairs_hook=list)
    except (OCIError, ValueError, RecursionError) as error:
        raise MalformedError(f"the manifest cannot be read: {error}") from error
    # Go takes a field in any case for the one that is meant, and of several the last.
    names = [str(name) for name, _ in pairs]
    folded = [name.casefold() for name in names]
    if len(set(folded)) != len(folded) or (_SUBJECT in folded and _SUBJECT not in names):
        raise MalformedError("the manifest has a field in two spellings")
    return document


def _listed(session: Session, tag: str) -> set[Digest]:
    """Return what a list of referrers has; nothing where there is none, or something else."""
    try:
        _, data = manifests.pull(session, tag)
        document = parse(data)
    except NotFoundError:
        return set()
    except RegistryError:
        raise
    except OCIError:
        return set()
    return {entry.digest for entry in document.manifests} if isinstance(document, Index) else set()
