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
        helper = f"credential.https://{parts.netloc.rpartition('@')[2]}.helper"
        return {
            "STRAKE_GIT_USERNAME": self.username,
            "STRAKE_GIT_PASSWORD": self.password,
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "credential.helper",
            "GIT_CONFIG_VALUE_0": "",  # forget those that git's own configuration names
            "GIT_CONFIG_KEY_1": helper,
            "GIT_CONFIG_VALUE_1": _HELPER,
        }


def mounted_git_credentials(directory: str) -> GitCredentials:
    """Return the credentials in a mounted Secret of type kubernetes.io/basic-auth.

    Raises:
        InvalidRequestError: there is no password in it.
    """
    password = _line(directory, "password")
    if not password:
        raise InvalidRequestError(
            "the Secret of source.git has no password",
            hint="its type is kubernetes.io/basic-auth; a token is the password",
        )
    return GitCredentials(_line(directory, "username") or _USER, password)


def git_credentials_from(variables: Mapping[str, str]) -> GitCredentials | None:
    """Return the credentials in kaniko's variables: GIT_USERNAME and GIT_PASSWORD, or GIT_TOKEN."""
    password = variables.get("GIT_TOKEN") or variables.get("GIT_PASSWORD")
    return GitCredentials(variables.get("GIT_USERNAME") or _USER, password) if password else None


def _line(directory: str, key: str) -> str:
    try:
        with open(os.path.join(directory, key), encoding="utf-8") as file:
            return file.read(_FILE_LIMIT).removesuffix("\n").removesuffix("\r")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"cannot read {key} of the Secret of source.git: {error}") from error
