"""Manifests, tags: the named half of the distribution API."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pydantic import Field

from strake_oci.errors import (
    DeniedError,
    DigestMismatchError,
    InvalidDigestError,
    ProtocolError,
    RejectedError,
    UnsupportedMediaTypeError,
)
from strake_oci.registry.answers import clean, refuse_encoding
from strake_oci.registry.auth.challenge import Scope
from strake_oci.registry.session import Call
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import parse
from strake_oci.spec.wire import MAX_MANIFEST, Strings, WireModel, decode

if TYPE_CHECKING:
    from strake_oci.http.transport import Answer
    from strake_oci.registry.session import Session
    from strake_oci.spec.reference import Reference

_ACCEPT: Final = {"Accept": ", ".join((*mediatype.ACCEPT, "*/*;q=0.1"))}
_LINK: Final = re.compile(r"<(?P<target>[^<>]*)>(?P<parameters>[^<]*)")
_NEXT: Final = re.compile(r";\s*rel\s*=\s*\"?next\b", re.IGNORECASE)
_MAX_TAG_PAGES: Final = 1000
MAX_LIST: Final = 32 * 1024 * 1024
"""Bytes of a list that comes in pages: some hundred thousand tags."""

_PUSHED: Final = frozenset({200, 201, 202, 204})


class _TagsModel(WireModel):
    tags: Strings = Field(default_factory=list)


def resolve(session: Session, identifier: str) -> Descriptor:
    """Return what a tag or digest points to, by HEAD; by GET where a registry's HEAD says too little."""
    call = Call("HEAD", f"manifests/{identifier}", f"resolving manifest {identifier}", headers=_ACCEPT)
    try:
        answer = session.request(call)
    except (DeniedError, RejectedError):
        # Not every proxy lets HEAD through; and where it is right to refuse, GET has the words for it.
        return pull(session, identifier)[0]
    with answer:
        digest = _digest_in(answer, "docker-content-digest")
        size = answer.content_length
        media_type = mediatype.essence(answer.header("content-type"))
        answer.drain()
    wanted = Digest.parse(identifier) if ":" in identifier else None
    announced = not mediatype.names_no_document(media_type)
    if digest is None or size is None or not announced or (wanted is not None and digest != wanted):
        return pull(session, identifier)[0]
    _refuse_schema_1(media_type)
    return Descriptor(media_type, digest, size)


def pull(session: Session, identifier: str) -> tuple[Descriptor, bytes]:
    """Return a manifest by tag or digest, checked."""
    call = Call("GET", f"manifests/{identifier}", f"pulling manifest {identifier}", headers=_ACCEPT)

    def attempt() -> tuple[bytes, str, Digest | None]:
        with session.once(call) as answer:
            refuse_encoding(answer, session.context(call.operation))
            return (
                answer.read(MAX_MANIFEST),
                mediatype.essence(answer.header("content-type")),
                _digest_in(answer, "docker-content-digest"),
            )

    data, media_type, named = session.retrier.run(attempt)
    _refuse_schema_1(media_type)
    expected = Digest.parse(identifier) if ":" in identifier else named
    digest = expected.of(data) if expected else Digest.sha256(data)
    if expected is not None and digest != expected:
        raise DigestMismatchError(expected, digest, what=f"manifest from {session.repository}")
    if expected is None and data.lstrip()[:1] != b"{":
        raise ProtocolError(
            session.context(call.operation),
            f"the answer is no manifest but {clean(media_type)[:60] or 'something else'}",
            hint="a proxy may have answered in the registry's place",
        )
    if mediatype.names_no_document(media_type):
        media_type = parse(data).media_type
    return Descriptor(media_type, digest, len(data)), data


def push(
    session: Session, reference: Reference, data: bytes, media_type: str
) -> tuple[Descriptor, Digest | None]:
    """Push a manifest by tag, or by digest where the reference has no tag.

    Returns:
        What was pushed, and the subject under which the registry has listed it (its OCI-Subject header).
    """
    descriptor = Descriptor.of(media_type, data)
    if reference.digest is not None:
        descriptor = Descriptor(media_type, reference.digest, len(data))
        descriptor.check(data, what="manifest")
    identifier = reference.tag or str(descriptor.digest)
    operation = f"pushing manifest {identifier}"
    scopes = (Scope.repository(session.repository.path, "pull", "push"),)
    headers = {"Content-Type": media_type}
    with session.request(
        Call("PUT", f"manifests/{identifier}", operation, _PUSHED, headers, data, scopes)
    ) as answer:
        stored = _digest_in(answer, "docker-content-digest")
        subject = _digest_in(answer, "oci-subject")
        answer.drain()
    if stored is not None and stored.algorithm == descriptor.digest.algorithm and stored != descriptor.digest:
        raise DigestMismatchError(descriptor.digest, stored, what=f"pushed manifest in {session.repository}")
    return descriptor, subject


def delete(session: Session, digest: Digest) -> None:
    """Delete a manifest by digest."""
    scopes = (Scope.repository(session.repository.path, "delete", "pull"),)
    call = Call("DELETE", f"manifests/{digest}", f"deleting manifest {digest}", _PUSHED, scopes=scopes)
    session.request(call).drain()


def tags(session: Session) -> tuple[str, ...]:
    """Return all tags, page by page (distribution-spec, "Listing Tags")."""
    found: list[str] = []
    tail, read = "tags/list", 0
    for _ in range(_MAX_TAG_PAGES):
        call = Call("GET", tail, "listing tags")
        with session.request(call) as answer:
            body = answer.read(MAX_MANIFEST)
            page = decode(_TagsModel, body, what="list of tags")
            read += len(body)
            tail = next_page(session, answer, call)
        found.extend(page.tags)
        if not tail:
            return tuple(dict.fromkeys(found))
        if read > MAX_LIST:
            break
    raise too_long(session, "listing tags", _MAX_TAG_PAGES)


def too_long(session: Session, operation: str, pages: int) -> ProtocolError:
    """Return the error for a list that does not end."""
    return ProtocolError(session.context(operation), f"more than {pages} pages or {MAX_LIST} bytes")


def next_page(session: Session, answer: Answer, call: Call) -> str:
    """Return the URL of a list's next page from the Link header (RFC 8288), or ""."""
    for header in answer.headers("link"):
        for link in _LINK.finditer(header):
            if _NEXT.search(link["parameters"]):
                return session.resolve_link(answer, link["target"].strip(), call)
    return ""


def _digest_in(answer: Answer, header: str) -> Digest | None:
    try:
        return Digest.parse(answer.header(header))
    except InvalidDigestError:
        return None


def _refuse_schema_1(media_type: str) -> None:
    if mediatype.is_schema_1(media_type):
        raise UnsupportedMediaTypeError(
            "the image has a Docker manifest version 2 schema 1, a format withdrawn in 2019",
            hint="push it again with a current tool",
        )
