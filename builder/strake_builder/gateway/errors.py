"""What the gateway answers itself, in the form of the distribution API.

Source: distribution-spec 1.1, "Error Codes".
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from strake_builder.output.signing import UNKNOWN_IMAGE

CLIENT_CERTIFICATE: Final = "CLIENT_CERTIFICATE"
"""The code by which the executor knows that a certificate is missing; none of the specification's says it."""

SIGNING_KEY: Final = "SIGNING_KEY"
"""… that the key that is to sign cannot be used."""


class GatewayError(Exception):
    """A request that is not forwarded, or that failed on its way.

    Attributes:
        message: why, for a person.
    """

    status: HTTPStatus = HTTPStatus.BAD_GATEWAY
    code: str = "UNAVAILABLE"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def body(self) -> bytes:
        """Return the answer's body."""
        return error_body(self.code, self.message)


class MalformedError(GatewayError):
    """The request is none of the distribution API."""

    status = HTTPStatus.BAD_REQUEST
    code = "UNSUPPORTED"


class UntrustedError(GatewayError):
    """No trusted connection can be made, however often it is tried."""

    status = HTTPStatus.FAILED_DEPENDENCY
    code = "TLS"


class ForbiddenNetworkError(UntrustedError):
    """The registry has an address that builds must not reach."""

    code = "FORBIDDEN_NETWORK"


class MissingCertificateError(UntrustedError):
    """The certificate that a registry is to be shown is missing or broken."""

    code = CLIENT_CERTIFICATE


class ForbiddenError(GatewayError):
    """The build may not do that, whatever its credentials allow."""

    status = HTTPStatus.FORBIDDEN
    code = "DENIED"


class SigningKeyUnusableError(GatewayError):
    """The key that is to sign cannot be used, however often it is tried."""

    status = HTTPStatus.FAILED_DEPENDENCY
    code = SIGNING_KEY


class UnsignableError(GatewayError):
    """An image that cannot be signed, however often it is tried."""

    status = HTTPStatus.FAILED_DEPENDENCY
    code = "UNSIGNABLE"


class UnknownImageError(GatewayError):
    """An image that was not pushed through this gateway, or before it was started again."""

    status = HTTPStatus.NOT_FOUND
    code = UNKNOWN_IMAGE


class UnknownUploadError(GatewayError):
    """An upload session that this gateway did not begin: it was started again meanwhile."""

    status = HTTPStatus.NOT_FOUND
    code = "BLOB_UPLOAD_UNKNOWN"


class TooLargeError(GatewayError):
    """A manifest that no registry takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "SIZE_INVALID"


JSON_TYPE: Final = "application/json"


def error_body(code: str, message: str) -> bytes:
    """Return an error of the distribution API."""
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()
