"""Google Artifact Registry: an access token for an hour, from workload identity or the metadata server.

The official google-auth finds it (Application Default Credentials). It is the optional extra `gcp`, imported
when the first Google registry, or bucket, is asked for.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from strake_oci.credentials.credential import Credential
from strake_oci.errors import CredentialError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.ttl_cache import TTLCache

if TYPE_CHECKING:
    from strake_oci.spec.reference import Repository

_HOSTS: Final = re.compile(r"(?:[a-z0-9-]+\.)?gcr\.io|[a-z0-9-]+-docker\.pkg\.dev|docker\.pkg\.dev", re.ASCII)
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_USER: Final = "oauth2accesstoken"
_EARLY: Final = 300.0
_ABSENT: Final = 600.0
_NOT_FOUND: Final = 404
_TOKENS: Final = "https://oauth2.googleapis.com/token"
_NO_KEY: Final = "the Secret's key.json is no JSON key of a service account"


@dataclass(frozen=True, slots=True)
class GoogleCredentials:
    """Credentials for Google's registries. Thread-safe.

    Public images live there too (distroless, for one): without an identity, or without the extra,
    the registry is asked anonymously.
    """

    _known: TTLCache[str, Credential | None] = field(default_factory=TTLCache, repr=False)

    def lookup(self, repository: Repository) -> Credential | None:
        """Return an access token for a Google registry; None for any other, and without an identity.

        Raises:
            CredentialError: Google refused the identity there is.
        """
        if not _HOSTS.fullmatch(repository.registry):
            return None
        return self._known.get("", lambda: _token(repository.registry))

    def describe(self) -> str:
        """Return what is asked."""
        return "Google Cloud (workload identity or metadata server)"


def _token(registry: str) -> tuple[Credential | None, float]:
    try:
        found = google_token(_SCOPE)
    except ImportError:
        return None, _ABSENT
    except CredentialError as error:
        raise CredentialError(
            f"no credentials for {registry} from Google: {error.message}",
            hint="check that the service account is bound to an identity that may use Artifact Registry",
        ) from error
    if found is None:
        return None, _ABSENT
    token, expiry = found
    lifetime = _ABSENT if expiry is None else (expiry - datetime.now(UTC)).total_seconds() - _EARLY
    return Credential("Google Cloud (Application Default Credentials)", _USER, token), lifetime


def google_token(scope: str) -> tuple[str, datetime | None] | None:
    """Return a token of the Application Default Credentials, and its expiry; None without an identity.

    Args:
        scope: what it is to open, as OAuth 2.0 has it.

    Raises:
        ImportError: the extra `gcp` is not installed.
        CredentialError: Google refused the identity there is.
    """
    # Read when the library is imported. Where nobody answers it tries three times, 12 seconds in all, which
    # every public image on gcr.io would cost off Google; on Google the machine's firmware says so, too.
    os.environ.setdefault("GCE_METADATA_DETECT_RETRIES", "1")
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
    from google.auth.transport.requests import Request

    try:
        found, _ = google.auth.default(scopes=[scope])
        found.refresh(Request())  # type: ignore[no-untyped-call]
    except DefaultCredentialsError:
        return None
    except GoogleAuthError as error:
        if _has_no_account(error):
            return None
        raise CredentialError(_words(error)) from error
    # UTC without saying so
    return str(found.token), found.expiry and found.expiry.replace(tzinfo=UTC)


def google_key_token(key: str, scope: str) -> tuple[str, datetime | None]:
    """Return a token for a service account's key, and its expiry.

    Args:
        key: the JSON of the key. Other kinds of credentials may run programs or read files, and are refused.
        scope: what it is to open, as OAuth 2.0 has it.

    Raises:
        ImportError: the extra `gcp` is not installed.
        CredentialError: it is no key, or Google refused it.
    """
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request
    from google.oauth2.service_account import Credentials

    try:
        content = json.loads(key)
        if not isinstance(content, dict) or content.get("type") != "service_account":
            raise CredentialError(_NO_KEY)
        # The key itself names who is asked for the token, which could be any address.
        info = content | {"token_uri": _TOKENS}
        found = Credentials.from_service_account_info(info, scopes=[scope])  # type: ignore[no-untyped-call] # google-auth has no types
    except (GoogleAuthError, ValueError, TypeError):
        # Without the words of the error, which may have parts of the key.
        raise CredentialError(_NO_KEY) from None
    try:
        found.refresh(Request())
    except GoogleAuthError as error:
        raise CredentialError(_words(error)) from error
    return str(found.token), found.expiry and found.expiry.replace(tzinfo=UTC)


def _has_no_account(error: Exception) -> bool:
    """Return whether the metadata server knows no service account of the machine: it says 404 then."""
    cause = error.__cause__
    return cause is not None and any(getattr(part, "status", None) == _NOT_FOUND for part in cause.args)


def _words(error: BaseException) -> str:
    """Return what an error of the library says, without the errors and answers that it wraps."""
    reason = error.args[0] if error.args else type(error).__name__
    return _words(reason) if isinstance(reason, BaseException) else str(reason).partition("\n")[0][:200]
