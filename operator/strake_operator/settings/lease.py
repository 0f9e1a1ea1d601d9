"""Which Lease operators agree by, for how long it lasts, and under which name this one has it."""

from __future__ import annotations

import re
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from strake_operator.errors import SettingsError
from strake_operator.lease import DEFAULT_SECONDS, Terms, terms

if TYPE_CHECKING:
    from collections.abc import Mapping

LEASE_VARIABLE: Final = "STRAKE_LEASE"
SECONDS_VARIABLE: Final = "STRAKE_LEASE_SECONDS"
IDENTITY_VARIABLE: Final = "STRAKE_IDENTITY"
USUAL_NAMESPACE: Final = "strake-system"
NAME: Final = "strake-operator-leader"
LEAST_SECONDS: Final = 5
MOST_SECONDS: Final = 600
_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LEASE = re.compile(r"(?P<namespace>[a-z0-9-]{1,63})/(?P<name>[a-z0-9.-]{1,253})")


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """The Lease of an operator.

    Attributes:
        namespace: Where it is.
        name: Its name.
        identity: Of this operator. No two that run at a time have the same.
        terms: How long it lasts.
    """

    namespace: str
    name: str
    identity: str
    terms: Terms


def read_lease_settings(
    environment: Mapping[str, str], namespace_file: Path = _NAMESPACE_FILE
) -> LeaseSettings:
    """Return what environment variables say of the Lease.

    Args:
        environment: The variables.
        namespace_file: Where Kubernetes tells a pod its namespace.

    Raises:
        SettingsError: A variable has a value that makes no sense.
    """
    # A pod's name and UID, which stay when its container is started again: then the one before has ended.
    identity = environment.get(IDENTITY_VARIABLE, "").strip() or f"{socket.gethostname()}_{uuid.uuid4()}"
    text = environment.get(LEASE_VARIABLE, "").strip() or f"{_own_namespace(namespace_file)}/{NAME}"
    found = _LEASE.fullmatch(text)
    if found is None:
        raise SettingsError(f"{LEASE_VARIABLE} must be namespace/name, not {text!r}")
    return LeaseSettings(found["namespace"], found["name"], identity, terms(_seconds(environment)))


def _own_namespace(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return USUAL_NAMESPACE


def _seconds(environment: Mapping[str, str]) -> float:
    text = environment.get(SECONDS_VARIABLE, "").strip()
    if not text:
        return DEFAULT_SECONDS
    if not text.isdecimal() or not LEAST_SECONDS <= int(text) <= MOST_SECONDS:
        raise SettingsError(
            f"{SECONDS_VARIABLE} must be a whole number from {LEAST_SECONDS} to {MOST_SECONDS}, not {text!r}"
        )
    return float(text)
