"""Everything that strake_oci raises on purpose, as one tree.

    OCIError                        base of all; `hint` tells what to try
    ├── InvalidValueError           text that breaks a grammar (also a ValueError)
    │   ├── InvalidReferenceError
    │   ├── InvalidDigestError
    │   └── InvalidPlatformError
    ├── InvalidDocumentError        a manifest, index, config or layout that breaks its specification
    │   └── UnsupportedMediaTypeError   a document of a kind that is not read (Docker schema 1 is named)
    ├── SizeExceededError           more bytes than declared or than the limit for this kind of document
    ├── DigestMismatchError         the bytes are not what the digest promised
    ├── MirrorError                 a mirror served something else; who opens it again is served by another
    ├── SizeMismatchError           fewer bytes than declared
    ├── PlatformNotFoundError       an index without an image for the platform
    ├── CredentialError             a credential file or helper program that cannot be used
    ├── SigningKeyError             a key to sign or verify with that cannot be used
    ├── UnverifiedError             an image without a signature that a key made
    ├── LayoutError                 an image layout or archive that cannot be read or written
    └── RegistryError               an exchange with a registry failed; carries registry, operation and URL
        ├── NotFoundError           404
        │   ├── ManifestUnknownError
        │   └── BlobUnknownError
        ├── UnauthorizedError       401: says which credential was tried and where it was found
        ├── DeniedError             403
        ├── RateLimitedError        429 after the retries
        ├── UploadInvalidError      an upload session the registry lost or refuses to go on with
        ├── ProtocolError           an answer that breaks the distribution specification
        ├── ServerError             5xx after the retries
        ├── RejectedError           any other 4xx
        ├── StoppedError            the client was stopped meanwhile
        └── ConnectionFailedError   no answer
            ├── DNSError
            ├── ForbiddenAddressError   the server has an address that must not be reached
            ├── TLSError
            │   └── ClientCertificateError   what is to be shown to the registry cannot be read
            └── DeadlineExceededError   too slow: per phase, or in total

Messages are sentences for people. They never contain a password, a token, or a URL's query or user part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strake_oci.spec.digest import Digest
    from strake_oci.spec.reference import Repository


class OCIError(Exception):
    """Base of every error of this package.

    Attributes:
        message: What failed, where and why, as one sentence.
        hint: What the reader can try, or "" where there is nothing to try.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def account(self) -> str:
        """The message, and how it went at the mirrors that were asked before."""
        return "; ".join((self.message, *getattr(self, "__notes__", ())))

    def __str__(self) -> str:
        words = f"{self.message}; {self.hint}" if self.hint else self.message
        return "; ".join((words, *getattr(self, "__notes__", ())))


class InvalidValueError(OCIError, ValueError):
    """Text that does not follow its grammar."""


class InvalidReferenceError(InvalidValueError):
    """Not an image reference or repository name."""


class InvalidDigestError(InvalidValueError):
    """Not a digest, or of an algorithm that is not supported."""


class InvalidPlatformError(InvalidValueError):
    """Not a platform."""


class InvalidDocumentError(OCIError):
    """A JSON document that breaks its specification."""


class UnsupportedMediaTypeError(InvalidDocumentError):
    """A document of a media type that this library does not read."""


class SizeExceededError(OCIError):
    """More bytes than were declared, or than this kind of document may have."""


class DigestMismatchError(OCIError):
    """Content whose digest is not the one it was asked for by."""

    def __init__(self, expected: Digest, actual: Digest, *, what: str = "content") -> None:
        super().__init__(
            f"{what} has digest {actual}, expected {expected}",
            hint="the sender or something on the way altered it; it was not used",
        )
        self.expected = expected
        self.actual = actual


class MirrorError(OCIError):
    """A mirror served a blob that is not what was asked for. It is not asked again by this client.

    Args:
        error: What is wrong with the blob.
        mirrors: Who served it.

    Attributes:
        mirrors: Who served it.
    """

    def __init__(self, error: OCIError, mirrors: Sequence[Repository]) -> None:
        who = " and ".join(map(str, mirrors))
        super().__init__(
            error.message, hint=f"mirror {who} served it: repair it, or take it out of the settings"
        )
        self.mirrors = tuple(mirrors)


class SizeMismatchError(OCIError):
    """Content that ended before its declared size."""


class PlatformNotFoundError(OCIError):
    """An index holds no image for the platform."""


class CredentialError(OCIError):
    """A credential source cannot be read or used."""


class SigningKeyError(OCIError):
    """A key that cannot be used to sign or to verify. Nothing of the key is in the message."""


class UnverifiedError(OCIError):
    """An image has no signature that a key made."""


class LayoutError(OCIError):
    """An image layout or archive cannot be read or written."""


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """Where an exchange with a registry failed.

    Attributes:
        registry: Host and port as the user wrote it.
        repository: Path within the registry, or "".
        operation: What was being done, as a gerund phrase: "pulling manifest latest".
        url: The URL asked, without user, query and fragment.
        status: HTTP status, or 0 without an answer.
        codes: Error codes of the distribution specification in the answer.
        detail: The registry's own words, cut and cleaned.
        attempts: Requests made.
        elapsed: Seconds spent, retries included.
        retry_after: Seconds the registry asks to wait; 0 if it does not.
    """

    registry: str
    repository: str = ""
    operation: str = "talking to the registry"
    url: str = ""
    status: int = 0
    codes: tuple[str, ...] = ()
    detail: str = ""
    attempts: int = 1
    elapsed: float = 0.0
    retry_after: float = 0.0


class RegistryError(OCIError):
    """An exchange with a registry failed.

    Attributes:
        context: Where and how.
        reason: Why, without where and how.
    """

    def __init__(self, context: ErrorContext, reason: str, *, hint: str = "") -> None:
        subject = f"{context.registry}/{context.repository}" if context.repository else context.registry
        words = [f"{context.operation} ({subject}): {reason}"]
        if context.detail:
            words.append(f": {context.detail}")
        if context.attempts > 1:
            words.append(f" (tried {context.attempts} times over {context.elapsed:.0f} s)")
        if context.url:
            words.append(f" [{context.url}]")
        super().__init__("".join(words), hint=hint)
        self.context = context
        self.reason = reason


class NotFoundError(RegistryError):
    """The registry knows no such thing."""


class ManifestUnknownError(NotFoundError):
    """No manifest by this tag or digest in the repository."""


class BlobUnknownError(NotFoundError):
    """No blob by this digest in the repository."""


class UnauthorizedError(RegistryError):
    """The registry wants other credentials than it was given."""


class DeniedError(RegistryError):
    """The credentials are good, the action is not allowed."""


class RateLimitedError(RegistryError):
    """The registry counts requests and the count is used up."""


class UploadInvalidError(RegistryError):
    """The upload session is unknown or cannot be continued."""


class ProtocolError(RegistryError):
    """The answer breaks the distribution specification."""


class ServerError(RegistryError):
    """The registry failed."""


class RejectedError(RegistryError):
    """The registry refused the request as wrong."""


class StoppedError(RegistryError):
    """The client was stopped while it did this, or before."""


class ConnectionFailedError(RegistryError):
    """No answer came."""


class DNSError(ConnectionFailedError):
    """The registry's host name does not resolve."""


class ForbiddenAddressError(ConnectionFailedError):
    """The server's address is in a network that the client must not reach."""


class TLSError(ConnectionFailedError):
    """No trusted connection could be made."""


class PlainServerError(TLSError):
    """The server does not speak TLS."""


class ClientCertificateError(TLSError):
    """The certificate or key that a registry is to be shown is missing or broken."""


class DeadlineExceededError(ConnectionFailedError):
    """The registry was too slow."""
