"""Trust: the TLS settings of a registry as Python's ssl module wants them."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from strake_oci.errors import ErrorContext, TLSError

if TYPE_CHECKING:
    from strake_oci.registry.settings import Endpoint


def ssl_context(endpoint: Endpoint) -> ssl.SSLContext:
    """Return the TLS settings for an endpoint.

    Raises:
        TLSError: A certificate file cannot be read.
    """
    tls = endpoint.tls
    context = ssl.create_default_context()
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        for path in tls.ca_files:
            context.load_verify_locations(cafile=path)
        if tls.client_certificate is not None:
            context.load_cert_chain(tls.client_certificate, tls.client_key)
    except (OSError, ssl.SSLError) as error:
        raise TLSError(
            ErrorContext(endpoint.registry, operation="reading the certificates for a registry"),
            str(error),
            hint="check the paths of the CA and client certificate files; they must be PEM",
        ) from error
    return context
