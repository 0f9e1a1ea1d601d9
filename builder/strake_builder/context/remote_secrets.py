"""Secrets of a build that open what ADD fetches: each has the name of the host that it is for.

A Dockerfile decides what is fetched, so a secret without a host would go to any server that its author names.
The names are BuildKit's: `HTTP_AUTH_TOKEN_HOST` and `HTTP_AUTH_HEADER_HOST` (Dockerfile reference, "Adding
files from a URL"), `GIT_AUTH_TOKEN.HOST` and `GIT_AUTH_HEADER.HOST` (docs/build/building/secrets, "Git
authentication for remote contexts").

By ssh git goes with the key or the agent that RUN has as `default`, as with BuildKit. BuildKit takes any key
that the server shows; here the secret `SSH_KNOWN_HOSTS` says which servers there are, and so for which the
key is.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Final
from urllib.parse import urlsplit

from strake_builder.context.git.credentials import ANY_USER, GitAccess, GitCredentials, server_of
from strake_builder.context.git.ssh import SSHAgent, SSHKey, ssh_server
from strake_builder.errors import InvalidRequestError
from strake_oci.http.url_policy import redacted
from strake_oci.lazy_dataclass import dataclass

_HTTP_TOKEN: Final = "HTTP_AUTH_TOKEN_"  # noqa: S105 - the name of a secret
_HTTP_HEADER: Final = "HTTP_AUTH_HEADER_"
_GIT_TOKEN: Final = "GIT_AUTH_TOKEN"  # noqa: S105 - likewise
_GIT_HEADER: Final = "GIT_AUTH_HEADER"
_KNOWN_HOSTS: Final = "SSH_KNOWN_HOSTS"
_SSH_ID: Final = "default"
"""As of BuildKit's git source."""


@dataclass(frozen=True, slots=True)
class RemoteSecrets:
    """What a build's secrets give for the servers of ADD. Over plain HTTP none is sent.

    Attributes:
        secrets: content by id.
        ssh_keys: private keys by id.
        ssh_sockets: sockets of agents by id.
        warn: hears of a secret that was not sent, and why.
    """

    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    ssh_keys: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict, repr=False)
    ssh_sockets: Mapping[str, str] = field(default_factory=dict)
    warn: Callable[[str], object] = lambda _: None

    def headers(self, url: str) -> dict[str, str]:
        """Return what opens a URL: an Authorization header, or nothing. A token counts over a header.

        Raises:
            InvalidRequestError: the secret cannot be in a header.
        """
        host = urlsplit(url).hostname or ""
        for prefix, scheme in ((_HTTP_TOKEN, "Bearer "), (_HTTP_HEADER, "")):
            if (name := self._named(f"{prefix}{host}")) is None:
                continue
            if not self._is_private(url, name):
                return {}
            return {"Authorization": scheme + self._line(name)}
        return {}

    def git(self, url: str) -> GitAccess | None:
        """Return what opens a git server, None where no secret is for it. A header counts over a token.

        Raises:
            InvalidRequestError: the secret is no header that git can be given, or the SSH key is none.
        """
        if ssh_server(url) is not None:
            return self._ssh(url)
        if urlsplit(url).scheme not in {"http", "https"}:
            return None
        server = server_of(url)
        for prefix, read in ((_GIT_HEADER, _basic), (_GIT_TOKEN, _token)):
            if (name := self._named(f"{prefix}.{server}")) is not None:
                return read(name, self._line(name)) if self._is_private(url, name) else None
        for name in (_GIT_HEADER, _GIT_TOKEN):
            if name in self.secrets:
                self.warn(
                    f"the secret {name} names no host, and is not sent to {server}: call it {name}.{server}"
                )
        return None

    def _ssh(self, url: str) -> SSHKey | SSHAgent | None:
        """Return the key or the agent of the id `default`, where it is known for which servers that is."""
        keys, socket = self.ssh_keys.get(_SSH_ID, ()), self.ssh_sockets.get(_SSH_ID)
        known = self.secrets.get(_KNOWN_HOSTS)
        if known is None or not (keys or socket):
            what = f"the secret {_KNOWN_HOSTS}" if keys or socket else f"{_SSH_ID!r} of --ssh, or spec.ssh,"
            self.warn(f"{redacted(url)} is fetched by ssh as nobody: {what} is not given")
            return None
        if socket:
            return SSHAgent(socket, known)
        if len(keys) > 1:
            raise InvalidRequestError(
                f"ADD by ssh goes with one key, and {_SSH_ID!r} has {len(keys)}",
                hint=f"give --ssh {_SSH_ID} one, or an agent with all of them",
            )
        return SSHKey(keys[0], known)

    def _named(self, wanted: str) -> str | None:
        return next((name for name in self.secrets if name.casefold() == wanted.casefold()), None)

    def _is_private(self, url: str, name: str) -> bool:
        if urlsplit(url).scheme == "https":
            return True
        self.warn(f"the secret {name} is not sent over plain HTTP, where everybody on the way reads it")
        return False

    def _line(self, name: str) -> str:
        text = self.secrets[name].rstrip(b"\r\n")
        if not text or not text.isascii() or not text.decode("ascii").isprintable():
            raise InvalidRequestError(
                f"the secret {name} is no line of printable ASCII",
                hint="it is sent in a header: give the token alone, in one line",
            )
        return text.decode("ascii")


def remote_secret_hint(url: str) -> str:
    """Return what to do where a URL's server wants to know who asks."""
    return f"give the build a secret of the name {_HTTP_TOKEN}{urlsplit(url).hostname}, or check the URL"


def _token(_: str, token: str) -> GitCredentials:
    return GitCredentials(ANY_USER, token)


def _basic(name: str, header: str) -> GitCredentials:
    scheme, _, encoded = header.partition(" ")
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if scheme.casefold() != "basic" or not colon:
        raise InvalidRequestError(
            f"the secret {name} is no `Basic` header (RFC 7617)",
            hint=f"give the token as {name.replace(_GIT_HEADER, _GIT_TOKEN)} instead",
        )
    return GitCredentials(user, password)
