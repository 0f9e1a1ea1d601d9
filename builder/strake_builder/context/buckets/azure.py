"""A context in Azure Blob Storage: an archive, downloaded as any other, with a signature or a token.

What opens it is, in this order: the account's key in $AZURE_STORAGE_ACCESS_KEY, as kaniko has it; workload
identity; a managed identity that variables tell of. Without any the blob is asked for as a public one. A URL
with a signature of its own (SAS) needs none of them and is the context of any web server. The official
azure-identity, the extra `azure`, is imported when an identity is asked for.

Sources: Azure, "Authorize with Shared Key", "Authorize with Microsoft Entra ID"; kaniko's README, "Kaniko
Build Contexts".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from email.utils import formatdate
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from strake_builder.context.buckets.request import ObjectRequest
from strake_builder.errors import SourceError

_HOST: Final = re.compile(
    r"(?P<account>[a-z0-9-]+)\.blob\.core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net|cloudapi\.de)",
    re.ASCII,
)
_KEY: Final = "AZURE_STORAGE_ACCESS_KEY"
_VERSION: Final = "2021-12-02"
_SCOPE: Final = "https://storage.azure.com/.default"
_RIGHT: Final = "Storage Blob Data Reader"
_IDENTITIES: Final = ("AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID", "IDENTITY_ENDPOINT", "MSI_ENDPOINT")
"""Variables of workload and managed identities. A machine without any of them is not asked for an identity:
off Azure the question takes seconds to fail."""
_NO_IDENTITY: Final = f"there is no identity: set ${_KEY}, or use workload identity"


def is_blob(url: str) -> bool:
    """Say whether a URL is a blob's that has no signature of its own: https://ACCOUNT.blob.core.windows.net/…."""
    parts = urlsplit(url)
    return parts.scheme == "https" and not parts.query and _HOST.fullmatch(parts.netloc.lower()) is not None


def azure_request(url: str, variables: Mapping[str, str]) -> ObjectRequest:
    """Return how a blob is asked for; without anything that opens it where there is no identity.

    Args:
        url: https://ACCOUNT.blob.core.windows.net/CONTAINER/BLOB, or of a sovereign cloud.
        variables: AZURE_STORAGE_ACCESS_KEY, and what tells of identities; azure-identity reads its own.

    Raises:
        SourceError: the URL names no blob, the key is malformed, or Azure refused the identity.
    """
    parts = urlsplit(url)
    found = _HOST.fullmatch(parts.netloc.lower())
    container, _, name = parts.path.lstrip("/").partition("/")
    if found is None or not container or not name:
        hint = "write https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH/context.tar.gz"
        raise SourceError(f"{url} names no blob of a container", hint=hint)
    path = quote(unquote(parts.path), safe="/~")
    whole = f"https://{parts.netloc}{path}"
    headers = {"x-ms-version": _VERSION, "x-ms-date": formatdate(usegmt=True)}
    if key := variables.get(_KEY):
        headers["Authorization"] = _shared_key(found["account"], key, path, headers)
        return ObjectRequest(whole, headers, _RIGHT)
    if any(variables.get(name) for name in _IDENTITIES):
        headers["Authorization"] = f"Bearer {_token(url)}"
        return ObjectRequest(whole, headers, _RIGHT)
    return ObjectRequest(whole, headers, _RIGHT, _NO_IDENTITY)


def _shared_key(account: str, key: str, path: str, headers: Mapping[str, str]) -> str:
    """Return the Authorization header of a GET that has no body and no query."""
    try:
        secret = base64.b64decode(key.strip(), validate=True)
    except binascii.Error:
        raise SourceError(
            f"${_KEY} is no key of a storage account",
            hint="it is base64, as `az storage account keys list` has it",
        ) from None
    standard = "\n" * 12  # the verb's line is closed, and eleven standard headers are empty
    own = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    text = f"GET{standard}{own}/{account}{path}"
    signature = base64.b64encode(hmac.digest(secret, text.encode(), hashlib.sha256)).decode()
    return f"SharedKey {account}:{signature}"


def _token(url: str) -> str:
    from strake_oci.credentials.azure import entra_token

    try:
        from azure.core.exceptions import AzureError
    except ImportError as error:
        raise SourceError(
            f"{url} needs an identity, and azure-identity is not installed",
            hint="pip install 'strake[azure]'",
        ) from error
    try:
        return entra_token(_SCOPE)
    except (AzureError, ValueError) as error:
        words = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise SourceError(
            f"no credentials for {url} from Azure: {words}",
            hint=f"check that the service account is federated with an identity that has {_RIGHT}",
        ) from error
