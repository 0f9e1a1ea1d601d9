"""Serves the pages until Ctrl-C, on an address of this machine, and opens a browser."""

from __future__ import annotations

import contextlib
import socket
import sys
import webbrowser
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import uvicorn

from strake_kubectl.errors import CommandError
from strake_kubectl.ui.access import Access
from strake_kubectl.ui.app import Sources, application

Address = IPv4Address | IPv6Address
_GRACE: Final = 1
"""Seconds that open pages have at the end: their event streams would go on for ever."""


def serve(sources: Sources, address: Address, port: int, *, browser: bool) -> None:
    """Serve until the program is interrupted.

    Args:
        sources: Where pages have what they show.
        address: To listen on.
        port: Of TCP; a free one where it is 0.
        browser: Whether to open one.

    Raises:
        CommandError: The address cannot be listened on.
    """
    with _listening(address, port) as listener:
        bound: int = listener.getsockname()[1]
        access = Access(_authorities(address, bound), bound)
        url = f"http://{_host(address)}:{bound}/?token="
        sys.stdout.write(f"{url}{access.token}\n")
        sys.stdout.flush()
        if not address.is_loopback:
            sys.stderr.write(
                "warning: the token goes over the network unencrypted, and acts with your rights\n"
            )
        sys.stderr.write("Open this URL in a browser. Ctrl-C ends the server.\n")
        if browser:
            webbrowser.open(url + access.once())
        config = uvicorn.Config(
            application(sources, access),
            log_level="critical",  # a page tells what failed, in a sentence
            access_log=False,  # it would show the token
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE,
        )
        with contextlib.suppress(KeyboardInterrupt):  # the way to end it
            uvicorn.Server(config).run(sockets=[listener])


def _listening(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IP's version
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), port))
        listener.listen()  # a browser that is started before uvicorn serves must wait, and not be refused
    except OSError as error:
        listener.close()
        raise CommandError(
            f"cannot listen on {_host(address)}:{port}: {error.strerror}", hint="another --port, or --address"
        ) from error
    return listener


def _host(address: Address) -> str:
    return str(address) if address.version == 4 else f"[{address}]"  # noqa: PLR2004 - IP's version


def _authorities(address: Address, port: int) -> frozenset[str]:
    names = {_host(address)} | ({"localhost"} if address.is_loopback else set())
    return frozenset({f"{name}:{port}" for name in names} | (names if port == 80 else set()))  # noqa: PLR2004 - HTTP's port
