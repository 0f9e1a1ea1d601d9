"""The platform's Sigstore instance: who makes certificates for builds, and which log has their signatures.

It is a setting, and no field of an ImageBuild: a pod shows Fulcio the token of its ServiceAccount.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from strake_operator.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = "STRAKE_SIGSTORE_CONFIG"
_TYPE: Final = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
_MAX: Final = 1 << 17
"""Bytes; the public instance's has some 12,000. Every request of a keyless build carries it."""


def read_sigstore(environment: Mapping[str, str]) -> str:
    """Return the `ClientTrustConfig` of the instance in one line; "" where there is none.

    Raises:
        SettingsError: The variable holds something else.
    """
    text = environment.get(_NAME, "").strip()
    if not text:
        return ""
    try:
        document = json.loads(text) if len(text) <= _MAX else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("mediaType") != _TYPE:
        raise SettingsError(f"{_NAME} must be a JSON document with the mediaType {_TYPE}")
    missing = [each for each in ("trustedRoot", "signingConfig") if not isinstance(document.get(each), dict)]
    if missing:
        raise SettingsError(f"{_NAME} must have trustedRoot and signingConfig, and has no {missing[0]}")
    return json.dumps(document, separators=(",", ":"))


def trusted_root(config: str) -> str:
    """Return the trusted root in what `read_sigstore` returned: whom to believe, without where to sign."""
    return json.dumps(json.loads(config)["trustedRoot"], separators=(",", ":")) if config else ""
