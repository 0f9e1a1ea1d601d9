"""The flag of networks that nothing a build names may lead to."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Final

from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from strake_oci.http.denied_networks import DeniedNetworks

_VARIABLE: Final = "STRAKE_DENY_NETWORKS"


def add_network_flag(parser: argparse._ActionsContainer) -> None:
    """Add the flag that `read_networks` reads."""
    parser.add_argument(
        "--deny-network",
        metavar="CIDR",
        action="append",
        default=[],
        help="connect to nothing in this network, for ADD, git, and registries that no flag names, redirects "
        f"included; may be given more than once (default: ${_VARIABLE}, none)",
    )


def read_networks(arguments: argparse.Namespace) -> DeniedNetworks:
    """Return what `--deny-network`, or else its variable, denies.

    Raises:
        InvalidRequestError: it is no network.
    """
    from strake_oci.errors import InvalidValueError
    from strake_oci.http.denied_networks import DeniedNetworks

    texts, name = getattr(arguments, "deny_network", []), "--deny-network"
    if not texts:
        texts, name = os.environ.get(_VARIABLE, "").replace(",", " ").split(), _VARIABLE
    try:
        return DeniedNetworks.parse(texts)
    except InvalidValueError as error:
        raise InvalidRequestError(f"{name}: {error.message}", hint=error.hint) from error
