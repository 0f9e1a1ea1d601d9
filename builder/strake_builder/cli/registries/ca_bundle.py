"""Has everything that the builder asks trust a platform's CAs: registries, git, ADD, the SDKs of clouds.

Each has a variable of its own for one file that takes the place of the system's, so there must be a file with
both. It is in memory: a builder that is killed leaves nothing behind.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import MutableMapping

# OpenSSL, and with it Python and helper programs; git; botocore; what is made with requests.
_VARIABLES: Final = ("SSL_CERT_FILE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
# Debian, Fedora, Alpine and SUSE, where OpenSSL itself names none.
_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)


def install(pem: str, environment: MutableMapping[str, str]) -> None:
    """Have this process and those that it starts trust CAs besides the system's.

    Args:
        pem: the CAs.
        environment: this process's variables.

    Raises:
        OSError: the system's CAs cannot be read.
    """
    named = (environment.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, *_BUNDLES)
    known = next((path for path in named if path and os.path.isfile(path)), None)
    file = os.memfd_create("ca-bundle.pem")  # stays open: others open it by its number
    with open(file, "wb", closefd=False) as bundle:
        if known is not None:
            with open(known, "rb") as system:
                bundle.write(system.read() + b"\n")
        bundle.write(pem.encode())
    for name in _VARIABLES:
        environment[name] = f"/proc/{os.getpid()}/fd/{file}"
