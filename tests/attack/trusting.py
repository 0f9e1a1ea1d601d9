"""`strake` without some of its checks, named first on the command line: attacks on it must succeed.

hosts   a Secret is sent to any git server
clear   passwords go over plain HTTP
names   nothing is weaker: registry.internal stands for this machine
"""

from __future__ import annotations

import socket
import sys
from typing import Any

from strake_builder.cli.main import main
from strake_builder.context import git_credentials
from strake_oci.registry.auth import authorizer

_real = socket.getaddrinfo


def _found(host: Any, *words: Any, **more: Any) -> Any:
    return _real("127.0.0.1" if host == "registry.internal" else host, *words, **more)


if __name__ == "__main__":
    missing = sys.argv[1].split(",")
    if "hosts" in missing:
        git_credentials._check_host = lambda *_: None
    if "clear" in missing:
        authorizer.may_have_credentials = lambda *_: True  # type: ignore[attr-defined]
    if "names" in missing:
        socket.getaddrinfo = _found
    main(sys.argv[2:])
