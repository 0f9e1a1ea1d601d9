"""An upload session, request by request (distribution-spec 1.1, "Pushing blobs").

It keeps the session's URL, which a registry may change with each answer, and the offset that the registry
reports. What to send next, and what to do after a failure, is decided in `push` and `stream`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlencode, urlsplit

from strake_oci.errors import (
    DeniedError,
    DigestMismatchError,
    InvalidDigestError,
    NotFoundError,
    OCIError,
    ProtocolError,
    RejectedError,
    UnauthorizedError,
    UploadInvalidError,
)
from strake_oci.http.last_words import last_words
from strake_oci.lazy_dataclass import dataclass
from strake_oci.registry.auth.challenge import Scope
from strake_oci.registry.session import Call
from strake_oci.spec.digest import Digest

if TYPE_CHECKING:
    from strake_oci.errors import ErrorContext
    from strake_oci.http.transport import Answer
    from strake_oci.registry.session import Session
    from strake_oci.spec.reference import Repository

Body: TypeAlias = Callable[[], Iterable[bytes]]

MAX_CHUNK_MINIMUM: Final = 64 * 1024 * 1024
"""Bytes that a registry may want in a chunk: those of a stream are kept in memory until they are there."""

_OK, _CREATED, _ACCEPTED, _NO_CONTENT = 200, 201, 202, 204
_STARTED: Final = frozenset({_OK, _ACCEPTED, _NO_CONTENT})
"""The specification has 202 alone; containerd's pusher takes what registries in use answer."""
_RANGE: Final = re.compile(r"(?:bytes=)?0-(\d+)", re.ASCII)
_OCTETS: Final = "application/octet-stream"

MOUNT_REFUSED: Final = (UnauthorizedError, DeniedError, NotFoundError, RejectedError)
"""What a registry answers to a mount that it does not want to make, does not know, or from what the account
may not read."""


@dataclass(frozen=True, slots=True)
class Mount:
    """Ask for a blob to be taken over from another repository of the same registry.

    Attributes:
        digest: The blob.
        source: Where the registry already has it.
    """

    digest: Digest
    source: Repository


class UploadSession:
    """An upload that a registry has agreed to. Not thread-safe.

    Args:
        session: The repository.
        location: The upload's URL.
        chunk_minimum: The least size of a chunk but the last, in bytes, as the registry asks (0 if it does
            not).

    Attributes:
        offset: Bytes that the registry has acknowledged.
    """

    def __init__(self, session: Session, location: str, chunk_minimum: int = 0) -> None:
        self._session = session
        self._location = location
        self.chunk_minimum = chunk_minimum
        self.offset = 0

    @classmethod
    def start(cls, session: Session, mount: Mount | None = None) -> UploadSession | None:
        """Begin an upload; None if the blob was mounted instead and nothing is left to do.

        Raises:
            RegistryError: The registry refused or failed.
        """
        scopes = [_push_scope(session)]
        query = ""
        if mount is not None:
            scopes.append(Scope.repository(mount.source.path, "pull"))
            query = "?" + urlencode({"mount": str(mount.digest), "from": mount.source.path})
        what = f"mounting blob {mount.digest} from {mount.source.path}" if mount else "starting a blob upload"
        call = Call(
            "POST",
            f"blobs/uploads/{query}",
            what,
            _STARTED | {_CREATED} if mount else _STARTED,
            {"Content-Length": "0"},
            scopes=tuple(scopes),
        )
        answer = session.request(call)
        answer.drain()
        if answer.status == _CREATED:
            return None
        location = session.resolve_location(answer, call)
        if not location:
            raise ProtocolError(session.context(what), "the registry names no location to upload to")
        wanted = answer.header("oci-chunk-min-length")
        minimum = int(wanted[:12]) if wanted.isascii() and wanted.isdigit() else 0
        return cls(session, location, min(minimum, MAX_CHUNK_MINIMUM))

    def append(self, body: Body, length: int | None) -> int | None:
        """Send a piece that begins at `offset`, without trying again.

        Args:
            body: Starts the piece anew for each attempt.
            length: Its size in bytes; None streams without saying.

        Returns:
            How far the registry says that it is; None if it says nothing.

        Raises:
            UploadInvalidError: The registry now has another part than was sent.
            RegistryError: It refused or failed; `recover` tells what it has.
        """
        headers = {"Content-Type": _OCTETS}
        if length is not None:
            headers["Content-Length"] = str(length)
            headers["Content-Range"] = f"{self.offset}-{self.offset + length - 1}"
        answer = self._once("PATCH", self._location, {_OK, _ACCEPTED, _CREATED, _NO_CONTENT}, headers, body)
        reported = _reported_offset(answer)
        if length is not None:
            expected = self.offset + length
            if reported is not None and not self.offset <= reported <= expected:
                raise UploadInvalidError(
                    self._context(), f"sent up to {expected} bytes, the registry has {reported}"
                )
            self.offset = expected if reported is None else reported
        elif reported is not None:
            self.offset = reported
        return reported

    def finish(self, digest: Digest, body: Body | None = None, length: int = 0) -> None:
        """End the upload, with the rest of the content or without, without trying again.

        Raises:
            DigestMismatchError: The registry names the blob otherwise.
            RegistryError: It refused or failed.
        """
        glue = "&" if urlsplit(self._location).query else "?"
        url = f"{self._location}{glue}{urlencode({'digest': str(digest)})}"
        headers = {"Content-Type": _OCTETS, "Content-Length": str(length)}
        answer = self._once("PUT", url, {_OK, _CREATED, _NO_CONTENT}, headers, body or _nothing)
        named = answer.header("docker-content-digest")
        with contextlib.suppress(InvalidDigestError):
            if named and (actual := Digest.parse(named)).algorithm == digest.algorithm and actual != digest:
                raise DigestMismatchError(digest, actual, what=f"uploaded blob in {self._session.repository}")

    def recover(self) -> int:
        """Ask how far the upload has come, remember it as `offset`, and return it.

        Raises:
            UploadInvalidError: The registry does not know the upload any more.
            RegistryError: It refused or failed.
        """
        call = self._call("GET", self._location, {_NO_CONTENT, _OK, _ACCEPTED}, {}, None)
        answer = self._session.request(call)
        answer.drain()
        self._location = self._session.resolve_location(answer, call) or self._location
        self.offset = _reported_offset(answer) or 0
        return self.offset

    def cancel(self) -> None:
        """Cancel the upload at the registry, as far as that takes no waiting."""
        call = self._call("DELETE", self._location, {_NO_CONTENT, _OK, _ACCEPTED, 404}, {}, None)
        # distribution wants the right to delete for it; pushing has to work without.
        scope = Scope.repository(self._session.repository.path, "delete", "pull", "push")
        with last_words(), contextlib.suppress(OCIError):
            self._session.once(replace(call, scopes=(scope,))).drain()

    def _once(
        self, method: str, url: str, accept: set[int], headers: dict[str, str], body: Body | None
    ) -> Answer:
        call = self._call(method, url, accept, headers, body)
        answer = self._session.once(call)
        answer.drain()
        self._location = self._session.resolve_location(answer, call) or self._location
        return answer

    def _call(
        self, method: str, url: str, accept: set[int], headers: dict[str, str], body: Body | None
    ) -> Call:
        scopes = (_push_scope(self._session),)
        return Call(method, url, self._operation, frozenset(accept), headers, body, scopes)

    def _context(self) -> ErrorContext:
        return self._session.context(self._operation)

    _operation: Final = "uploading a blob"


def _push_scope(session: Session) -> Scope:
    return Scope.repository(session.repository.path, "pull", "push")


def _nothing() -> Iterable[bytes]:
    return iter(())


def _reported_offset(answer: Answer) -> int | None:
    # "0-0" is what distribution answers for an upload that holds nothing: the end is included, so it cannot
    # say so.
    found = _RANGE.fullmatch(answer.header("range"))
    if found is None:
        return None
    end = int(found.group(1)[:18])
    return end + 1 if end else 0
