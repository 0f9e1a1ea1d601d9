"""git over ssh: with a key of the build's, as the user who builds, or as nobody; and where it may connect to.

Who git is depends on the server, and the server on what a repository names, so git starts a small program
(`ssh_client`) that decides. Hosts are known by their keys before anything is sent to them: a build has nobody
who could be asked.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import pwd
import re
import shlex
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from strake_builder.context.git import ssh_client
from strake_builder.errors import InvalidRequestError, SourceError
from strake_oci.lazy_dataclass import dataclass

_SCP_LIKE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@([A-Za-z0-9][A-Za-z0-9.-]*):[^:].*")
_PORT: Final = 22
_MEMORY: Final = "/dev/shm"  # noqa: S108 - only the parent of a directory of our own, in memory
_OWN_KEYS: Final = ("id_ed25519", "id_ecdsa", "id_ed25519_sk", "id_ecdsa_sk", "id_rsa")
_OWN_PROGRAMS: Final = ("GIT_SSH_COMMAND", "GIT_SSH", "GIT_SSH_VARIANT")
_OPENSSH: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_OPENSSH_MAGIC: Final = b"openssh-key-v1\0\0\0\0\4none"


def _options(*values: str) -> tuple[str, ...]:
    return tuple(word for value in values for word in ("-o", value))


_BATCH: Final = _options("BatchMode=yes", "ConnectTimeout=30")
_ALONE: Final = (
    *("-F", "none"),
    *_BATCH,
    *_options("IdentitiesOnly=yes", "IdentityAgent=none", "GSSAPIAuthentication=no"),
    *_options("HostbasedAuthentication=no", "StrictHostKeyChecking=yes", "UpdateHostKeys=no"),
    *_options("CheckHostIP=no"),
)
"""ssh with nothing of the machine's but the keys of hosts that it knows."""
_NOBODY: Final = (*_ALONE, *_options("IdentityFile=none"))


def ssh_server(url: str) -> tuple[str, int] | None:
    """Return host and port of a URL that git fetches by ssh, `ssh://…` or `user@host:path`; else None."""
    found = _SCP_LIKE.fullmatch(url)
    if found is not None:
        return found[1].lower(), _PORT
    parts = urlsplit(url)
    if parts.scheme != "ssh" or not parts.hostname:
        return None
    try:
        return parts.hostname, parts.port or _PORT
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class SSHKey:
    """A private key, and the keys of the hosts that it may be used with.

    Attributes:
        private_key: in OpenSSH's or PEM form.
        known_hosts: lines of a known_hosts file.

    Raises:
        InvalidRequestError: the private key is none, or has a passphrase.
    """

    private_key: bytes = field(repr=False)
    known_hosts: bytes

    def __post_init__(self) -> None:
        if b"PRIVATE KEY-----" not in self.private_key:
            raise InvalidRequestError(
                "the SSH key for git is no private key", hint="it begins with -----BEGIN … PRIVATE KEY-----"
            )
        if _has_passphrase(self.private_key):
            raise InvalidRequestError(
                "the SSH key for git has a passphrase, and nobody is there to type it",
                hint="make a key for builds, without one: ssh-keygen -t ed25519 -N ''",
            )


@dataclass(frozen=True, slots=True)
class SSHAgent:
    """An agent that has keys, and the keys of the hosts that it may be asked for.

    Attributes:
        socket: where it is.
        known_hosts: lines of a known_hosts file.
    """

    socket: str
    known_hosts: bytes


def _has_passphrase(key: bytes) -> bool:
    if _OPENSSH not in key:
        return b"ENCRYPTED" in key
    body = key.partition(_OPENSSH)[2].partition(b"-----END")[0]
    try:
        return not base64.b64decode(body).startswith(_OPENSSH_MAGIC)
    except binascii.Error:
        return False  # ssh says what is wrong with it


class SSH:
    """What git starts in place of ssh, for one fetch. A context manager.

    Args:
        url: what is fetched.
        key: for the URL's server, or an agent that has one.
        proxy: a program that connects to a host and a port, the only way out; "" lets ssh connect.
        directory: where programs are put meanwhile; by default where temporary files are.
        environment: of the user who builds.
    """

    def __init__(
        self,
        url: str,
        key: SSHKey | SSHAgent | None,
        proxy: str = "",
        directory: str | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        server = ssh_server(url)
        self._is_asked = server is not None
        host, port = server or ("", _PORT)
        self._server = f"{host}:{port}"
        self._key = key
        self._proxy = _through(proxy) if proxy else ()
        self._parent = directory
        self._environment = environment
        self._scope = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._scope as scope:
            made = tempfile.TemporaryDirectory(prefix="strake-ssh-", dir=self._parent)
            self._directory = scope.enter_context(made)
            known = self._of_key(self._key, scope) if self._key is not None else _NOBODY
            agent = self._key.socket if isinstance(self._key, SSHAgent) else ""
            self._alone = self._program("alone", known, agent)
            self._scope = scope.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._scope.close()

    def variables(self, *, own_identity: bool) -> dict[str, str]:
        """Return the environment that makes git use it.

        Args:
            own_identity: as the user who builds; with a key, and for others than the URL's server, nobody is.

        Raises:
            SourceError: the user has a program of their own for ssh, which the way out cannot be kept to.
        """
        if not own_identity or self._key is not None:
            return {"GIT_SSH_COMMAND": self._alone, "GIT_SSH_VARIANT": "ssh"}
        agent = self._environment.get("SSH_AUTH_SOCK", "")
        given = {name: self._environment[name] for name in _OWN_PROGRAMS if name in self._environment}
        own = self._program("own", self._own_options(), agent)
        if self._proxy:
            if given and self._is_asked:
                raise SourceError(
                    f"what ${min(given)} connects to cannot be kept from networks that are denied",
                    hint=f"unset {min(given)}; ~/.ssh/config is read",
                )
            return {"GIT_SSH_COMMAND": own, "GIT_SSH_VARIANT": "ssh"}
        # Of git's configuration core.sshCommand counts before GIT_SSH.
        program = given or {"GIT_SSH": shlex.split(own)[0], "GIT_SSH_VARIANT": "ssh"}
        return program | ({"SSH_AUTH_SOCK": agent} if agent else {})

    def _own_options(self) -> Iterable[str]:
        """Return what makes ssh the user's: it asks the user database for their files, whatever HOME says."""
        yield from _BATCH
        home = self._environment.get("HOME", "/")
        with contextlib.suppress(KeyError):  # a user without an entry
            if os.path.realpath(home) == os.path.realpath(pwd.getpwuid(os.geteuid()).pw_dir):
                return
        directory = Path(home, ".ssh")
        yield from ("-F", str(directory / "config") if (directory / "config").exists() else "none")
        yield from _options(f"UserKnownHostsFile={directory / 'known_hosts'}")
        for name in _OWN_KEYS:
            if (directory / name).exists():
                yield from _options(f"IdentityFile={directory / name}")

    def _of_key(self, key: SSHKey | SSHAgent, scope: contextlib.ExitStack) -> Iterable[str]:
        memory = _MEMORY if os.access(_MEMORY, os.W_OK) else self._directory
        directory = Path(scope.enter_context(tempfile.TemporaryDirectory(prefix="strake-ssh-", dir=memory)))
        private = key.private_key if isinstance(key, SSHKey) else b""
        for name, content in (("key", private), ("known_hosts", key.known_hosts)):
            path = directory / name
            path.touch(0o600)
            path.write_bytes(content.replace(b"\r\n", b"\n").strip() + b"\n")
        hosts = f"UserKnownHostsFile={directory / 'known_hosts'}"
        if isinstance(key, SSHAgent):  # of an option the first value counts
            asked = _options("IdentityAgent=SSH_AUTH_SOCK", "IdentitiesOnly=no", "IdentityFile=none")
            return (*asked, *_ALONE, *_options(hosts, "GlobalKnownHostsFile=/dev/null"))
        identity = f"IdentityFile={directory / 'key'}"
        return (*_ALONE, *_options(identity, hosts, "GlobalKnownHostsFile=/dev/null"))

    def _program(self, name: str, known: Iterable[str], agent: str) -> str:
        """Make a program for git; return it as a command line."""
        settings = {
            "server": self._server,
            "known": [*known, *self._proxy],
            "others": [*_NOBODY, *self._proxy],
            "agent": agent,
        }
        path = os.path.join(self._directory, name)
        words = [sys.executable, "-I", "-S", ssh_client.__file__, json.dumps(settings)]
        with open(path, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o700)
            file.write(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        return shlex.quote(path)


def _through(proxy: str) -> tuple[str, ...]:
    """Return options by which ssh connects through a program alone, and never joins another's connection."""
    command = shlex.quote(proxy).replace("%", "%%")
    return _options(f"ProxyCommand={command} %h %p", "ControlPath=none", "ControlMaster=no")
