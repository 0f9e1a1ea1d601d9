"""Trust: the TLS settings of a registry as Python's ssl module wants them."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from strake_oci.errors import ClientCertificateError, ErrorContext, TLSError

if TYPE_CHECKING:
    from pathlib import Path

    from strake_oci.http.endpoint import Endpoint


def ssl_context(endpoint: Endpoint) -> ssl.SSLContext:
    """Return the TLS settings for an endpoint.

    Raises:
        TLSError: A CA cannot be read.
        ClientCertificateError: The client certificate or its key cannot be read, or they are no pair.
    """
    tls = endpoint.tls
    context = ssl.create_default_context()
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        for path in tls.ca_files:
            context.load_verify_locations(cafile=path)
        for pem in tls.ca_data:
            context.load_verify_locations(cadata=pem)
    except (OSError, ssl.SSLError) as error:
        raise TLSError(
            ErrorContext(endpoint.registry, operation="reading the certificates for a registry"),
            str(error),
            hint="check the paths of the CA files; they must be PEM",
        ) from error
    if tls.client_certificate is not None:
        _show(context, endpoint, tls.client_certificate, tls.client_key)
    return context


def _show(context: ssl.SSLContext, endpoint: Endpoint, certificate: Path, key: Path | None) -> None:
    try:
        context.load_cert_chain(certificate, key, password="")  # or OpenSSL asks at the terminal
    except (OSError, ssl.SSLError) as error:
        missing = next((path for path in (certificate, key) if path and not path.is_file()), None)
        raise ClientCertificateError(
            ErrorContext(endpoint.registry, operation="reading the client certificate for a registry"),
            f"there is no file {missing}"
            if missing
            else f"{certificate} and its key cannot be used: {error}",
            hint=endpoint.tls.client_hint or "check the paths of certificate and key; they must be PEM",
        ) from error
