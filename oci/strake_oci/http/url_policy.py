"""Where a registry may send us: the check on redirects, token realms and upload locations.

A registry's answer names other URLs. A hostile one names URLs inside our own network (a cloud's metadata
service, a neighbour on loopback), or asks for the password in clear text. Private networks are allowed,
because registries live there; loopback and link-local addresses are allowed only to registries that live
there themselves.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from strake_oci.errors import ProtocolError
from strake_oci.http.denied_networks import meanings
from strake_oci.name_lookup import NAMES

if TYPE_CHECKING:
    from strake_oci.errors import ErrorContext
    from strake_oci.http.denied_networks import Address
    from strake_oci.http.endpoint import Endpoint

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_REPEATED: Final = frozenset({307, 308})


def redacted(url: str) -> str:
    """Return a URL without user, query and fragment: what may be shown."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port: what two URLs share if a secret for one may go to the other."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or ""), parts.port or (80 if parts.scheme == "http" else 443)


def join(base: str, target: str, context: ErrorContext, *, what: str) -> str:
    """Return the absolute form of a URL that an answer names.

    Raises:
        ProtocolError: It is none.
    """
    try:
        return urljoin(base, target)
    except ValueError as error:
        raise ProtocolError(context, f"{what} to a URL that is none") from error


def check_url(endpoint: Endpoint, url: str, context: ErrorContext, *, what: str) -> None:
    """Make sure that a URL from a registry's answer may be asked.

    Args:
        endpoint: The registry that named the URL.
        url: Absolute.
        context: For the error.
        what: "redirect", "token realm", "upload location".

    Raises:
        ProtocolError: It may not.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise ProtocolError(context, f"{what} to a URL that is none") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise ProtocolError(context, f"{what} to a URL of scheme {parts.scheme[:20]!r} refused")
    if parts.scheme == "http" and not endpoint.is_plain:
        raise ProtocolError(
            context,
            f"{what} from a TLS registry to plain HTTP ({host[:100]}) refused",
            hint="the registry or the proxy before it is misconfigured, or hostile",
        )
    home = urlsplit(endpoint.base).hostname or ""
    if host != home and endpoint.unix_socket is None and _is_inward(host) and not _is_inward(home):
        raise ProtocolError(
            context,
            f"{what} to {host[:100]}, an address of this machine, refused",
            hint="the registry is misconfigured, or hostile",
        )


def may_have_credentials(endpoint: Endpoint, url: str) -> bool:
    """Return whether a password or a token may go to a URL of a registry or of its token server.

    Over plain HTTP everybody on the way reads it, and a step on the builder's network may be on the way. What
    stays on this machine is no way: a socket, and, as with Docker, loopback by its address or as localhost.
    Other names may stand for anything.
    """
    if endpoint.clear_credentials or endpoint.unix_socket is not None or not url.startswith("http://"):
        return True
    host = urlsplit(url).hostname or ""
    try:
        addresses = _addresses(host) if host == "localhost" else [ipaddress.ip_address(host)]
    except ValueError:
        return False
    return bool(addresses) and all(address.is_loopback for address in addresses)


def _is_inward(host: str) -> bool:
    # Behind a proxy names need not resolve here; connecting will tell.
    return any(map(_is_own, _addresses(host)))


def _addresses(host: str) -> list[Address]:
    try:
        found = NAMES.find(host)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _is_own(address: Address) -> bool:
    return any(
        meant.is_loopback or meant.is_link_local or meant.is_unspecified for meant in meanings(address)
    )


def may_follow(method: str, body: object, status: int, url: str, target: str) -> bool:
    """Tell whether a redirect may be followed with the same method.

    Only 307 and 308 keep a method that changes something (RFC 9110, section 15.4). What such a request sends,
    possibly a secret, goes to no other origin, and a stream cannot be sent twice.
    """
    if method in {"GET", "HEAD"}:
        return status in _REDIRECTS
    if status not in _REPEATED or not isinstance(body, bytes | None):
        return False
    return not body or origin(urljoin(url, target)) == origin(url)
