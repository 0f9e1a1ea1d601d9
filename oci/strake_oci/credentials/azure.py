"""Azure Container Registry: an identity token for three hours, from workload identity or managed identity.

The official azure-identity gets a token of Entra ID, and the registry exchanges it for one of its own (ACR
documentation, "AAD-OAuth"). It is the optional extra `azure`, imported when the first Azure registry is asked
for.
"""

from __future__ import annotations

import os
import re
from dataclasses import field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pydantic import Field

from strake_oci.credentials.credential import Credential
from strake_oci.errors import CredentialError, InvalidDocumentError, SizeExceededError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.wire import Text, WireModel, decode
from strake_oci.ttl_cache import TTLCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from strake_oci.spec.reference import Repository

_HOSTS: Final = re.compile(r"[a-z0-9-]+\.azurecr\.(?:io|cn|us|de)", re.ASCII)
_SCOPE: Final = "https://containerregistry.azure.net/.default"
_LIFETIME: Final = 2 * 3600.0
_OK: Final = 200


class _ExchangeModel(WireModel):
    refresh_token: Text = Field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ACRCredentials:
    """Credentials for Azure's registries. Thread-safe.

    Attributes:
        exchange_url: Where a registry's tokens are exchanged; the registry itself by default.
    """

    exchange_url: Callable[[str], str] = field(default=lambda registry: f"https://{registry}/oauth2/exchange")
    _known: TTLCache[str, Credential | None] = field(default_factory=TTLCache, repr=False)

    def lookup(self, repository: Repository) -> Credential | None:
        """Return an identity token for an Azure registry; None for any other.

        Raises:
            CredentialError: The extra `azure` is not installed, there is no identity, or Azure refused it.
        """
        registry = repository.registry
        if not _HOSTS.fullmatch(registry):
            return None
        return self._known.get(
            registry, lambda: (_exchanged(registry, self.exchange_url(registry)), _LIFETIME)
        )

    def describe(self) -> str:
        """Return what is asked."""
        return "Azure (workload identity or managed identity)"


def _exchanged(registry: str, url: str) -> Credential:
    try:
        from azure.core import PipelineClient
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest, HttpResponse
    except ImportError as error:
        raise CredentialError(
            f"{registry} needs Azure's credentials, and azure-identity is not installed",
            hint="install strake[azure]",
        ) from error
    try:
        form = {"grant_type": "access_token", "service": registry, "access_token": entra_token(_SCOPE)}
        base = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        pipeline: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(base_url=base)
        with pipeline as client:
            answer = client.send_request(HttpRequest("POST", url, data=form))
            status, body = answer.status_code, answer.content
    except (AzureError, ValueError) as error:
        raise CredentialError(
            f"no credentials for {registry} from Azure: {_first_line(error)}",
            hint="check that the service account is federated with an identity that has AcrPull or AcrPush",
        ) from error
    if status != _OK:
        raise CredentialError(
            f"{registry} refused the identity with status {status}", hint="it needs AcrPull or AcrPush"
        )
    try:
        token = decode(_ExchangeModel, body, what="answer").refresh_token
    except (InvalidDocumentError, SizeExceededError) as error:
        raise CredentialError(f"{registry}: {error.message}") from error
    if not token:
        raise CredentialError(f"{registry} sent no token for the identity")
    return Credential("Azure (Entra ID)", identity_token=token)


def entra_token(scope: str) -> str:
    """Return an access token of the pod's workload identity, or of the machine's managed identity.

    Args:
        scope: what it is to open, as OAuth 2.0 has it.

    Raises:
        ImportError: the extra `azure` is not installed.
        azure.core.exceptions.AzureError: there is no identity, or Azure refused it.
        ValueError: the variables name none.
    """
    import logging

    from azure.identity import ManagedIdentityCredential, WorkloadIdentityCredential

    # Its warnings, which Python prints where nobody else does, say what the errors say.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    client = os.environ.get("AZURE_CLIENT_ID")
    # The webhook of Azure's workload identity sets these two together.
    if os.environ.get("AZURE_FEDERATED_TOKEN_FILE") and os.environ.get("AZURE_TENANT_ID"):
        federated = WorkloadIdentityCredential(disable_instance_discovery=True)
        return str(federated.get_token(scope).token)
    return str(ManagedIdentityCredential(client_id=client).get_token(scope).token)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
