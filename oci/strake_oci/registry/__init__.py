"""A client for OCI registries (distribution-spec 1.1).

| module | is about |
|---|---|
| `client` | `RegistryClient`: all that callers need |
| `settings` | what a user can say about registries |
| `manifests`, `download`, `upload`, `push`, `stream`, `window` | the distribution API, by verb |
| `mirrors` | where content is pulled from, and who is passed over |
| `session` | one request: authenticated, tried again, explained |
| `authorizer`, `challenge`, `tokens` | authentication |
| `answers`, `retry`, `hop` | what a refusal means, when to try again, where not to go |
| `transport`, `tls`, `proxy` | HTTP, trust, the way out |
| `network`, `failures` | sockets, why they break |
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
