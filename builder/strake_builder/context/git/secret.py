"""Credentials for git in a mounted Secret: a password for https, or a key for ssh.

Who writes an ImageBuild may name any Secret of the namespace, and any server. So the Secret itself tells for
which servers it is: in its key `host`, and one with an SSH key by the host keys in its `known_hosts`.
"""

from __future__ import annotations

from typing import Final

from strake_builder.context.git.credentials import ANY_USER, GitAccess, GitCredentials, server_of
from strake_builder.context.git.ssh import SSHKey, ssh_server
from strake_builder.context.mounted_secret import secret_text
from strake_builder.errors import InvalidRequestError

_FILE_LIMIT: Final = 64 * 1024
_KNOWN_HOSTS_LIMIT: Final = 1 << 20
_PRIVATE_KEYS: Final = ("ssh-privatekey", "identity")
"""Of a Secret of type kubernetes.io/ssh-auth, and of Flux's."""
_PORTS: Final = {"https": ":443", "ssh": ":22"}


def mounted_git_access(directory: str, url: str) -> GitAccess:
    """Return the credentials in a mounted Secret.

    Args:
        directory: where the Secret is mounted.
        url: what is to be fetched with it.

    Raises:
        InvalidRequestError: there is no password, or no key, in it, or it is not for the URL's server.
    """
    server = ssh_server(url)
    if server is not None:
        return _ssh_key(directory, server)
    password = _line(directory, "password")
    if not password:
        raise InvalidRequestError(
            "the Secret of source.git has no password",
            hint="its type is kubernetes.io/basic-auth; a token is the password",
        )
    _check_host(_text(directory, "host"), server_of(url))
    return GitCredentials(_line(directory, "username") or ANY_USER, password)


def _ssh_key(directory: str, server: tuple[str, int]) -> SSHKey:
    host, port = server
    private_key = next(filter(None, (_text(directory, name) for name in _PRIVATE_KEYS)), "")
    if not private_key:
        raise InvalidRequestError(
            "the Secret of source.git has no SSH key",
            hint="its type is kubernetes.io/ssh-auth, with ssh-privatekey and known_hosts",
        )
    known_hosts = _text(directory, "known_hosts", _KNOWN_HOSTS_LIMIT)
    if not known_hosts.strip():
        asked = host if port == int(_PORTS["ssh"][1:]) else f"-p {port} {host}"
        raise InvalidRequestError(
            "the Secret of source.git has no known_hosts, by which the right server is known",
            hint=f"add the key known_hosts to it: what `ssh-keyscan {asked}` prints, compared with what the "
            "server's owner publishes",
        )
    if hosts := _text(directory, "host"):
        _check_host(hosts, f"{host}:{port}", "ssh")
    return SSHKey(private_key.encode(), known_hosts.encode())


def _check_host(hosts: str, server: str, scheme: str = "https") -> None:
    asked = _named(server, scheme)
    allowed = hosts.replace(",", " ").split()
    if asked in (_named(each, scheme) for each in allowed):
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


def _named(server: str, scheme: str) -> str:
    """Return a server as a scheme means it, from `host`, `host:port` or `scheme://host`."""
    plain = server.lower().removeprefix(f"{scheme}://").removesuffix("/")
    return plain.removesuffix(_PORTS[scheme])


def _line(directory: str, key: str) -> str:
    return _text(directory, key).removesuffix("\n").removesuffix("\r")


def _text(directory: str, key: str, limit: int = _FILE_LIMIT) -> str:
    return secret_text(directory, key, "source.git", limit)
