"""The registry client of commands: a person's credentials, and warnings on standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from strake_builder.cli.registries.registry_credentials import user_credentials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strake_oci.cancellation import Cancellation
    from strake_oci.registry.client import RegistryClient
    from strake_oci.registry.settings import ClientSettings


def user_client(
    settings: ClientSettings, cancellation: Cancellation | None = None, helpers: Sequence[str] | None = None
) -> RegistryClient:
    """Return a client, a context manager that closes its connections.

    Args:
        settings: how registries are reached.
        cancellation: ends what it does.
        helpers: as of `user_credentials`.

    Raises:
        InvalidRequestError: a Docker config file cannot be read, or a helper is not known.
    """
    from strake_oci.registry.client import RegistryClient

    credentials = user_credentials(helpers)
    return RegistryClient(settings, credentials, warn=_warn, cancellation=cancellation)


def _warn(text: str) -> None:
    sys.stderr.write(f"warning: {text}\n")
    sys.stderr.flush()
