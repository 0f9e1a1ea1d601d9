"""Credentials for a git server over HTTPS: for the server that the build names and for no other.

A repository decides which submodules are fetched, and a server where it redirects to. So git gets a
credential helper that it asks for one scheme and host alone. The password is in no URL, argument or file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from strake_api.requests.build import BuildRequest
from strake_builder.context.git.ssh import SSHAgent, SSHKey
from strake_builder.errors import InvalidRequestError
from strake_oci.lazy_dataclass import dataclass

ANY_USER: Final = "x-access-token"
"""Who a token without a user name belongs to: GitHub wants this name or any, GitLab any."""

_HELPER: Final = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" '
    '"$STRAKE_GIT_USERNAME" "$STRAKE_GIT_PASSWORD"; }; f'
)


@dataclass(frozen=True, slots=True)
class GitCredentials:
    """A user name and a password, or token.

    Raises:
        InvalidRequestError: one of them has a line break or a null character, which git's protocol
            cannot carry.
    """

    username: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if any(character in self.username + self.password for character in "\n\r\0"):
            raise InvalidRequestError(
                "the git credentials have more than one line", hint="one line each, no more"
            )

    def variables(self, url: str) -> dict[str, str]:
        """Return the environment that makes git use them for a URL's server, over https alone."""
        parts = urlsplit(url)
        if parts.scheme != "https":
            return {}
        helper = f"credential.https://{server_of(url)}.helper"
        return {
            "STRAKE_GIT_USERNAME": self.username,
            "STRAKE_GIT_PASSWORD": self.password,
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "credential.helper",
            "GIT_CONFIG_VALUE_0": "",  # forget those that git's own configuration names
            "GIT_CONFIG_KEY_1": helper,
            "GIT_CONFIG_VALUE_1": _HELPER,
        }


GitAccess: TypeAlias = GitCredentials | SSHKey | SSHAgent
"""What opens a git server."""


def server_of(url: str) -> str:
    """Return a URL's server, to which git gives what the helper answers."""
    return urlsplit(url).netloc.rpartition("@")[2]


def git_credentials_from(variables: Mapping[str, str]) -> GitCredentials | None:
    """Return the credentials in kaniko's variables: GIT_USERNAME and GIT_PASSWORD, or GIT_TOKEN."""
    password = variables.get("GIT_TOKEN") or variables.get("GIT_PASSWORD")
    return GitCredentials(variables.get("GIT_USERNAME") or ANY_USER, password) if password else None


def git_credentials_of(request: BuildRequest, variables: Mapping[str, str]) -> dict[str, GitCredentials]:
    """Return what kaniko's variables give for contexts, by URL.

    They are for one server, and do not say which: the build context's, or else that of the named contexts if
    it is the same for all of them.
    """
    found = git_credentials_from(variables)
    own = request.source.git
    urls = [each.url for each in request.repositories]
    servers = {server_of(own.url)} if own else {server_of(url) for url in urls}
    if found is None or len(servers) != 1:
        return {}
    return {url: found for url in urls if server_of(url) in servers}
