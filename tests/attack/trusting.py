"""`strake` without some of its checks, named first on the command line: attacks on it must succeed.

hosts   a Secret is sent to any git server
clear   passwords go over plain HTTP
links   links of images, archives and contexts lead where they would on the machine
names   nothing is weaker: registry.internal stands for this machine
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from strake_builder.cli.main import main
from strake_builder.context import git_credentials
from strake_builder.rootfs.files import inside
from strake_oci.registry.auth import authorizer

_inner_step = inside._Walk._step
_real = socket.getaddrinfo


def _found(host: Any, *words: Any, **more: Any) -> Any:
    return _real("127.0.0.1" if host == "registry.internal" else host, *words, **more)


def _real_link(walk: Any, target: bytes) -> None:
    """Follow a link as a program would that is not inside the root."""
    if target.startswith(b"/"):
        walk._fds.append(os.open("/", os.O_PATH | os.O_DIRECTORY))
        walk._names.append(b"")
    walk._pending.extendleft(reversed(inside._parts(target)))


def _real_step(walk: Any, part: bytes) -> None:
    if part == b"..":
        walk._fds.append(os.open("..", os.O_PATH | os.O_DIRECTORY, dir_fd=walk._fds[-1]))
        walk._names.append(part)
    else:
        _inner_step(walk, part)


if __name__ == "__main__":
    missing = sys.argv[1].split(",")
    if "hosts" in missing:
        git_credentials._check_host = lambda *_: None
    if "links" in missing:
        inside._Walk._follow = _real_link  # type: ignore[method-assign, assignment] # the weakening
        inside._Walk._step = _real_step  # type: ignore[method-assign, assignment] # the weakening
    if "clear" in missing:
        authorizer.may_have_credentials = lambda *_: True  # type: ignore[attr-defined]
    if "names" in missing:
        socket.getaddrinfo = _found
    main(sys.argv[2:])
