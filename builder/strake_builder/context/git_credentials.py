"""Credentials for a git server over HTTPS: for the server that the build names and for no other.

A repository decides which submodules are fetched, and a server where it redirects to. So git gets a
credential helper that it asks for one scheme and host alone. The password is in no URL, argument or file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from strake_api.request import BuildRequest
from strake_builder.errors import InvalidRequestError

_USER: Final = "x-access-token"
"""Who a token without a user name belongs to: GitHub wants this name or any, GitLab any."""

_FILE_LIMIT: Final = 64 * 1024
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
        helper = f"credential.https://{_server(url)}.helper"
        return {
            "STRAKE_GIT_USERNAME": self.username,
            "STRAKE_GIT_PASSWORD": self.password,
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "credential.helper",
            "GIT_CONFIG_VALUE_0": "",  # forget those that git's own configuration names
            "GIT_CONFIG_KEY_1": helper,
            "GIT_CONFIG_VALUE_1": _HELPER,
        }


def mounted_git_credentials(directory: str, url: str) -> GitCredentials:
    """Return the credentials in a mounted Secret of type kubernetes.io/basic-auth.

    Who writes an ImageBuild may name any Secret of the namespace, and any server. So the Secret itself tells
    for which servers it is, in its key `host`.

    Args:
        directory: where the Secret is mounted.
        url: what is to be fetched with it.

    Raises:
        InvalidRequestError: there is no password in it, or it is not for the URL's server.
    """
    password = _line(directory, "password")
    if not password:
        raise InvalidRequestError(
            "the Secret of source.git has no password",
            hint="its type is kubernetes.io/basic-auth; a token is the password",
        )
    _check_host(_text(directory, "host"), url)
    return GitCredentials(_line(directory, "username") or _USER, password)


def _check_host(hosts: str, url: str) -> None:
    asked = _named(_server(url))
    allowed = hosts.replace(",", " ").split()
    if asked in map(_named, allowed):
        return
    if allowed:
        raise InvalidRequestError(
            f"the Secret of source.git is not for {asked}: its key `host` names other servers",
            hint="name the Secret that is for this server, or have the server added to its key `host`",
        )
    raise InvalidRequestError(
        "the Secret of source.git does not tell for which server it is, so it is sent to none",
        hint=f"give it a key `host`: kubectl create secret generic … --from-literal=host={asked}",
    )


def _server(url: str) -> str:
    """Return a URL's server, to which git gives what the helper answers."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _named(server: str) -> str:
    """Return a server as https means it, from `host`, `host:port` or `https://host`."""
    return server.lower().removeprefix("https://").removesuffix("/").removesuffix(":443")


def git_credentials_from(variables: Mapping[str, str]) -> GitCredentials | None:
    """Return the credentials in kaniko's variables: GIT_USERNAME and GIT_PASSWORD, or GIT_TOKEN."""
    password = variables.get("GIT_TOKEN") or variables.get("GIT_PASSWORD")
    return GitCredentials(variables.get("GIT_USERNAME") or _USER, password) if password else None


def git_credentials_of(request: BuildRequest, variables: Mapping[str, str]) -> dict[str, GitCredentials]:
    """Return what kaniko's variables give for contexts, by URL.

    They are for one server, and do not say which: the build context's, or else that of the named contexts if
    it is the same for all of them.
    """
    found = git_credentials_from(variables)
    own = request.source.git
    urls = [each.url for each in request.repositories]
    servers = {_server(own.url)} if own else {_server(url) for url in urls}
    if found is None or len(servers) != 1:
        return {}
    return {url: found for url in urls if _server(url) in servers}


def _line(directory: str, key: str) -> str:
    return _text(directory, key).removesuffix("\n").removesuffix("\r")


def _text(directory: str, key: str) -> str:
    try:
        with open(os.path.join(directory, key), encoding="utf-8") as file:
            return file.read(_FILE_LIMIT)
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"cannot read {key} of the Secret of source.git: {error}") from error
