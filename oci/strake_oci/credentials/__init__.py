"""Credentials for registries: where they are found, and how they are kept.

`Credential` and the `CredentialSource` protocol are all that the registry client knows of.
`default_credentials()` looks where Docker's users expect it; `Credentials.from_files` reads the files it is
given, such as mounted pull secrets.
"""

from strake_oci.credentials.credential import ANONYMOUS, Credential, CredentialSource, NoCredentials
from strake_oci.credentials.sources import (
    Credentials,
    DockerConfigSource,
    cloud_credentials,
    config_path,
    default_credentials,
)

__all__ = [
    "ANONYMOUS",
    "Credential",
    "CredentialSource",
    "Credentials",
    "DockerConfigSource",
    "NoCredentials",
    "cloud_credentials",
    "config_path",
    "default_credentials",
]
