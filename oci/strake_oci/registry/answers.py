"""From a registry's refusal to an error that tells what to do."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pydantic import Field

from strake_oci.errors import (
    BlobUnknownError,
    DeniedError,
    ErrorContext,
    InvalidDocumentError,
    ManifestUnknownError,
    NotFoundError,
    OCIError,
    ProtocolError,
    RateLimitedError,
    RegistryError,
    RejectedError,
    ServerError,
    UnauthorizedError,
    UploadInvalidError,
)
from strake_oci.http.url_policy import redacted
from strake_oci.registry.retry import MANIFEST_BLOB_UNKNOWN, parse_retry_after
from strake_oci.spec.reference import DEFAULT_REGISTRY
from strake_oci.spec.wire import Text, WireModel, decode

if TYPE_CHECKING:
    from strake_oci.http.transport import Answer

_MAX_BODY: Final = 64 * 1024
_MAX_DETAIL: Final = 300
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_FIRST_SERVER_ERROR: Final = 500
_DENIED: Final = 403


class _ErrorEntry(WireModel):
    code: Text = ""
    message: Text = ""


class _ErrorBody(WireModel):
    """distribution-spec 1.1, "Error Codes"."""

    errors: list[_ErrorEntry] = Field(default_factory=list)


def refusal(answer: Answer, context: ErrorContext, *, credential: str) -> RegistryError:
    """Return the error for an answer that is not a success; reads the body and closes the answer.

    Args:
        answer: The refusal.
        context: Where; status, codes and the registry's words are filled in here.
        credential: Which credential was used and where it was found; "" for an answer that came from where
            the registry has sent us, which gets none.
    """
    codes, detail = _read_errors(answer)
    wait = parse_retry_after(answer.header("retry-after"), time.time())
    context = replace(
        context,
        status=answer.status,
        url=redacted(answer.url),
        codes=codes,
        detail=clean(detail),
        retry_after=wait,
    )
    who, hint = _who(context, credential), _hint(context, credential)
    match answer.status:
        case 400 | 404 if MANIFEST_BLOB_UNKNOWN in codes:
            return RejectedError(
                context,
                "the registry does not find a blob that the manifest refers to",
                hint="its garbage collection may have removed what was just pushed: push or build again",
            )
        case 401:
            return UnauthorizedError(context, f"authentication failed ({who})", hint=hint)
        case 403:
            return DeniedError(context, f"access denied ({who})", hint=hint)
        case 404:
            return _not_found(context)
        case 416:
            return UploadInvalidError(context, "the registry has another part of the upload than was sent")
        case 429:
            return _rate_limited(context, who)
        case status if status >= _FIRST_SERVER_ERROR:
            return ServerError(context, f"the registry failed with status {status}")
        case status:
            return RejectedError(context, f"the registry refused with status {status}")


def _read_errors(answer: Answer) -> tuple[tuple[str, ...], str]:
    try:
        body = answer.read(_MAX_BODY)
    except OCIError:
        return (), ""
    finally:
        answer.close()
    try:
        entries = decode(_ErrorBody, body, what="error", limit=_MAX_BODY).errors
    except InvalidDocumentError:
        kind = answer.header("content-type")
        # A page of HTML from a proxy says nothing that fits into a line.
        return (), body.decode("utf-8", "replace") if kind.startswith("text/plain") else ""
    codes = tuple(clean(entry.code)[:64] for entry in entries)
    return codes, "; ".join(f"{entry.code}: {entry.message}".strip(": ") for entry in entries)


def refuse_encoding(answer: Answer, context: ErrorContext) -> None:
    """Make sure that a document comes as it is: one compressed on the way may unpack to anything.

    Raises:
        ProtocolError: It is compressed, although that was not asked for.
    """
    encoding = answer.header("content-encoding").strip().lower()
    if encoding not in {"", "identity"}:
        answer.close()
        raise ProtocolError(
            context, f"the answer is encoded as {clean(encoding)[:40]!r}, which was not asked for"
        )


def clean(text: str) -> str:
    """Return an untrusted text fit for a line of a log: no control characters, not too long."""
    return _CONTROL.sub(" ", text).strip()[:_MAX_DETAIL]


def _not_found(context: ErrorContext) -> RegistryError:
    if "BLOB_UPLOAD_UNKNOWN" in context.codes:
        return UploadInvalidError(context, "the registry does not know the upload any more")
    if "NAME_UNKNOWN" in context.codes:
        hint = "check the name; a private one needs credentials"
        if ".ecr." in context.registry and "upload" in context.operation:
            hint = "Amazon ECR does not make repositories by itself: create it first"
        return NotFoundError(context, "no such repository", hint=hint)
    if "BLOB_UNKNOWN" in context.codes or "blob" in context.operation:
        return BlobUnknownError(context, "no such blob")
    if "MANIFEST_UNKNOWN" in context.codes or "manifest" in context.operation:
        return ManifestUnknownError(context, "no such image", hint="check the tag or digest")
    return NotFoundError(context, "not found")


def _rate_limited(context: ErrorContext, who: str) -> RateLimitedError:
    if context.registry == DEFAULT_REGISTRY:
        return RateLimitedError(
            context,
            f"Docker Hub's pull limit is used up ({who})",
            hint="give credentials of a Docker account with a higher limit, or name a mirror for docker.io",
        )
    return RateLimitedError(
        context, f"too many requests ({who})", hint="wait, or give credentials with a higher limit"
    )


def _who(context: ErrorContext, credential: str) -> str:
    host = urlsplit(context.url).hostname or "another host"
    return credential or f"by {host[:100]}, where the registry sent us and which gets no credentials"


def _hint(context: ErrorContext, credential: str) -> str:
    if not credential:
        return "its links may have lapsed: try again; else the registry's storage is misconfigured"
    if credential.startswith("no credentials"):
        # Registries do not tell anonymous clients what they have: a slip in the name looks the same.
        login = f"for example with `strake login {context.registry}`"
        return f"check the name; if it is right, add credentials for {context.registry}, {login}"
    if context.status == _DENIED:
        return "check that this account may do it, and that the repository exists"
    return "check that the credential is current and valid for this repository"
