"""The platform's Vault, whose keys builds may sign with.

Its address is a setting, and no field of an ImageBuild: a pod shows it the token of its ServiceAccount, which
an author could otherwise have sent to a server of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from strake_operator.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ADDRESS: Final = "STRAKE_VAULT_ADDR"
_PATH: Final = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*", re.ASCII)
_ROLE: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Vault:
    """Where it is, and how pods log in."""

    address: str
    """https://HOST:PORT."""
    role: str = "strake"
    """Vault's role for builder pods."""
    mount: str = "kubernetes"
    """Path of its auth method."""
    engine: str = "transit"
    """Path of its transit engine."""


def read_vault(environment: Mapping[str, str]) -> Vault | None:
    """Return what environment variables tell of it; None where they name none.

    Raises:
        SettingsError: A variable has a value that makes no sense.
    """
    address = environment.get(_ADDRESS, "").strip().rstrip("/")
    role = _checked(environment, "STRAKE_VAULT_ROLE", "strake", _ROLE, "a role of Vault")
    mount = _checked(environment, "STRAKE_VAULT_AUTH_PATH", "kubernetes", _PATH, "the path of an auth method")
    engine = _checked(
        environment, "STRAKE_VAULT_TRANSIT_PATH", "transit", _PATH, "the path of a transit engine"
    )
    if not address:
        return None
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or parts.path or parts.query:
        raise SettingsError(
            f"{_ADDRESS} must be https://HOST:PORT, not {address!r}: pods show it their tokens"
        )
    return Vault(address, role, mount, engine)


def _checked(
    environment: Mapping[str, str], name: str, default: str, form: re.Pattern[str], what: str
) -> str:
    text = environment.get(name, "").strip().strip("/") or default
    if not form.fullmatch(text):
        raise SettingsError(f"{name} must be {what}, not {text!r}")
    return text
