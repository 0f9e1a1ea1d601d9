"""What refers to an image: signatures, SBOMs, provenance (distribution-spec 1.1, "Listing Referrers").

Registries without the Referrers API are served through the fallback tag: an index named after the subject's
digest, which clients keep themselves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from strake_oci.errors import NotFoundError, ProtocolError
from strake_oci.registry import manifests
from strake_oci.registry.answers import refuse_encoding
from strake_oci.registry.session import Call
from strake_oci.spec import mediatype
from strake_oci.spec.manifest import Index, Manifest, parse
from strake_oci.spec.reference import Reference
from strake_oci.spec.wire import MAX_MANIFEST

if TYPE_CHECKING:
    from strake_oci.registry.session import Session
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest

_OK: Final = 200
_ANSWERS: Final = frozenset({_OK, 400, 404, 405, 406})
_OTHERWISE: Final = frozenset({"text/html", "text/plain"})
_MAX_PAGES: Final = 100
_SHORT: Final = 64


def fallback_tag(digest: Digest) -> str:
    """Return the tag under which referrers are listed where the API is missing ("Referrers Tag Schema")."""
    return f"{digest.algorithm}-{digest.encoded[:_SHORT]}"


def referrers(session: Session, digest: Digest, artifact_type: str = "") -> tuple[Descriptor, ...]:
    """Return what refers to a manifest, of one artifact type or of all."""
    found = _from_api(session, digest, artifact_type)
    if found is None:
        found = _fallback(session, digest).manifests
    return tuple(entry for entry in found if artifact_type in {"", entry.artifact_type})


def note_referrer(session: Session, descriptor: Descriptor, document: Manifest | Index) -> None:
    """List a manifest that was pushed under its subject's fallback tag.

    Only for registries that did not do it themselves: their answer to the push had no OCI-Subject header.
    """
    subject = document.subject
    if subject is None:
        return
    kind = document.artifact_type
    if not kind and isinstance(document, Manifest):
        kind = document.config.media_type
    entry = replace(descriptor, artifact_type=kind, annotations=document.annotations)
    index = _fallback(session, subject.digest)
    if any(old.digest == entry.digest for old in index.manifests):
        return
    data = replace(index, manifests=(*index.manifests, entry)).serialize()
    reference = Reference(session.repository, fallback_tag(subject.digest))
    manifests.push(session, reference, data, mediatype.OCI_INDEX)


def _from_api(session: Session, digest: Digest, artifact_type: str) -> tuple[Descriptor, ...] | None:
    query = f"?{urlencode({'artifactType': artifact_type})}" if artifact_type else ""
    tail = f"referrers/{digest}{query}"
    found: list[Descriptor] = []
    read = 0
    operation = f"listing referrers of manifest {digest}"
    for _ in range(_MAX_PAGES):
        call = Call("GET", tail, operation, _ANSWERS, {"Accept": mediatype.OCI_INDEX})
        with session.request(call) as answer:
            kind = mediatype.essence(answer.header("content-type"))
            # What knows no such API says so in other ways too, up to a page for people.
            if answer.status != _OK or kind in _OTHERWISE:
                return None
            refuse_encoding(answer, session.context(operation))
            body = answer.read(MAX_MANIFEST)
            document = parse(body, mediatype.OCI_INDEX)
            read += len(body)
            tail = manifests.next_page(session, answer, call)
        if not isinstance(document, Index):
            raise ProtocolError(session.context(operation), "the registry's list is no index")
        found.extend(document.manifests)
        if not tail:
            return tuple(found)
        if read > manifests.MAX_LIST:
            break
    raise manifests.too_long(session, operation, _MAX_PAGES)


def _fallback(session: Session, digest: Digest) -> Index:
    try:
        _, data = manifests.pull(session, fallback_tag(digest))
    except NotFoundError:
        return Index(())
    document = parse(data)
    return document if isinstance(document, Index) else Index(())
