"""Why a connection failed, from what the system and the TLS library say."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from strake_oci.errors import (
    ConnectionFailedError,
    DNSError,
    ForbiddenAddressError,
    PlainServerError,
    TLSError,
)
from strake_oci.http.network import AddressRefusedError

if TYPE_CHECKING:
    from strake_oci.errors import ErrorContext

_OPENING: Final = (
    "the platform opens networks with the operator's STRAKE_ALLOW_NETWORKS; on a command line "
    "--deny-network and STRAKE_DENY_NETWORKS close them"
)
_ERRNO: Final = re.compile(r"^\[Errno -?\d+\] ")


def connection_error(error: Exception, context: ErrorContext) -> ConnectionFailedError:
    """Return the error for a connection that failed: by the first cause that is known."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case AddressRefusedError():
                return ForbiddenAddressError(context, str(cause), hint=_OPENING)
            case ssl.SSLCertVerificationError():
                return TLSError(
                    context,
                    f"the certificate is not trusted: {cause.verify_message}",
                    hint="give the CA that signed it",
                )
            case ssl.SSLError() if "WRONG_VERSION_NUMBER" in str(cause) or "HTTP_REQUEST" in str(cause):
                return PlainServerError(
                    context,
                    "the registry does not speak TLS",
                    hint="for plain HTTP: --insecure-registry, or the operator's STRAKE_INSECURE_REGISTRIES",
                )
            case ssl.SSLError():
                return TLSError(context, f"TLS failed: {cause.reason or cause}")
            case socket.gaierror():
                known = cause.errno != socket.EAI_AGAIN
                return DNSError(
                    replace(context, codes=("NXDOMAIN",) if known else ()),
                    "the host name does not resolve",
                    hint="check its spelling, and DNS",
                )
            case _:
                cause = cause.__cause__ or cause.__context__
    words = _ERRNO.sub("", str(error)) or type(error).__name__
    hint = "is the registry running, and the port right?" if "refused" in words else ""
    return ConnectionFailedError(context, words[:1].lower() + words[1:], hint=hint)
