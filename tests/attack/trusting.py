"""`strake` without some of its checks, named first on the command line: attacks on it must succeed.

hosts   a Secret is sent to any git server
clear   passwords go over plain HTTP
links   links of images, archives and contexts lead where they would on the machine
signed  the gateway signs whatever it is asked to
entries an index takes an image for whatever platform it is called, and any attestation
names   nothing is weaker: registry.internal stands for this machine
rebinding  nothing is weaker: rebinding.internal is 127.0.0.1 at first, and then 127.0.0.2
twice   a name's address is checked, and the name looked up again to connect
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from strake_builder.cli.main import main
from strake_builder.context.git import secret as git_secret
from strake_builder.gateway.policy import Asked, Policy
from strake_builder.gateway.signing import GatewaySigning
from strake_builder.rootfs.files import path_walk
from strake_builder.solve.platforms import index
from strake_oci.http.network import AddressRefusedError, LimitedBackend
from strake_oci.registry.auth import authorizer
from strake_oci.spec.digest import Digest

_inner_step = path_walk.PathWalk._step
_real = socket.getaddrinfo
_connect = LimitedBackend.connect_tcp
_asked: list[str] = []


def _weaken(owner: object, name: str, replacement: object) -> None:
    """Put something in place of a guard, whatever its type."""
    setattr(owner, name, replacement)


def _found(host: Any, *words: Any, **more: Any) -> Any:
    return _real("127.0.0.1" if host == "registry.internal" else host, *words, **more)


def _rebound(host: Any, *words: Any, **more: Any) -> Any:
    if host != "rebinding.internal":
        return _real(host, *words, **more)
    _asked.append(host)
    return _real("127.0.0.1" if len(_asked) == 1 else "127.0.0.2", *words, **more)


def _twice(backend: Any, host: str, port: int, timeout: float | None = None, *_: Any, **__: Any) -> Any:
    for *_rest, address in backend._look_up(host, port, timeout):
        if (network := backend._networks.network_of(address[0])) is not None:
            raise AddressRefusedError(host, address[0], network)
    return _connect(LimitedBackend(backend._cancellation), host, port, timeout)


def _real_link(walk: Any, part: bytes) -> None:
    """Follow a link as a program would that is not inside the root."""
    target = os.readlink(part, dir_fd=walk._fds[-1])
    if target.startswith(b"/"):
        walk._fds.append(os.open("/", os.O_PATH | os.O_DIRECTORY))
        walk._names.append(b"")
    walk._pending.extendleft(reversed(path_walk.parts(target)))


def _real_step(walk: Any, part: bytes) -> None:
    if part == b"..":
        walk._fds.append(os.open("..", os.O_PATH | os.O_DIRECTORY, dir_fd=walk._fds[-1]))
        walk._names.append(part)
    else:
        _inner_step(walk, part)


def _signs_all(signing: GatewaySigning, asked: Asked) -> None:
    """Sign what is asked for, whoever pushed it and wherever it is."""
    signer = signing._signer
    assert signer is not None
    signer.sign(asked.repository, signer._client.resolve(asked.repository.at(Digest.parse(asked.name))))


if __name__ == "__main__":
    missing = sys.argv[1].split(",")
    if "hosts" in missing:
        git_secret._check_host = lambda *_: None
    if "links" in missing:
        _weaken(path_walk.PathWalk, "_follow", _real_link)
        _weaken(path_walk.PathWalk, "_step", _real_step)
    if "clear" in missing:
        _weaken(authorizer, "may_have_credentials", lambda *_: True)
    if "twice" in missing:
        _weaken(LimitedBackend, "connect_tcp", _twice)
    if "rebinding" in missing:
        socket.getaddrinfo = _rebound
    if "signed" in missing:
        _weaken(Policy, "check", lambda *_: None)
        _weaken(GatewaySigning, "answer", _signs_all)
    if "entries" in missing:
        index._check_platform = lambda *_: None
        index._check_attestation = lambda *_: None
    if "names" in missing:
        socket.getaddrinfo = _found
    main(sys.argv[2:])
