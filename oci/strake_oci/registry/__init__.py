"""A client for OCI registries (distribution-spec 1.1).

| module | is about |
|---|---|
| `client` | `RegistryClient`: all that callers need |
| `settings` | what a user can say about registries |
| `manifests`, `referrers`, `blobs` | the distribution API, by what is moved |
| `mirrors` | where content is pulled from, and who is passed over |
| `session` | one request: authenticated, tried again, explained |
| `auth` | authentication |
| `answers`, `retry` | what a refusal means, when to try again |
"""

from strake_oci.http.endpoint import Timeouts, TLSSettings
from strake_oci.registry.client import RegistryClient
from strake_oci.registry.retry import NO_RETRIES, RetryPolicy
from strake_oci.registry.settings import ClientSettings, Mirror, RegistrySettings

__all__ = [
    "NO_RETRIES",
    "ClientSettings",
    "Mirror",
    "RegistryClient",
    "RegistrySettings",
    "RetryPolicy",
    "TLSSettings",
    "Timeouts",
]
