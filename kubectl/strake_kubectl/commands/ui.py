"""`kubectl strake ui`: builds in a browser, and one build as a file."""

from __future__ import annotations

import argparse
import ipaddress
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from strake_builder.cli.flags.registry import add_registry_flags, read_registries
from strake_kubectl.commands.logs import kept_lines
from strake_kubectl.errors import CommandError
from strake_kubectl.flags import add_cluster_flags, build_name, cluster_of

if TYPE_CHECKING:
    from strake_kubectl.cluster import Cluster
    from strake_kubectl.ui.image import ImageFacts
    from strake_kubectl.ui.server import Address

_MOST_PORT: Final = 65_535
_NOTES: Final = """\
The server runs on this machine, with your kubeconfig's rights, until Ctrl-C. Without -n it shows the
builds of all namespaces, or of the context's where you may not list all. Its URL has a token: a person who
has it acts with your rights.
Layers, provenance and logs whose pods are gone are read with the credentials in Docker's config file.

examples:
  kubectl strake ui
  kubectl strake ui -n team --port 8090 --no-browser
  kubectl strake ui --report build.html api
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _NOTES
    parser.add_argument(
        "name", metavar="NAME", nargs="?", type=build_name, help="of the ImageBuild, with --report"
    )
    parser.add_argument(
        "--report", metavar="FILE", help="write one build as a static page, and serve nothing"
    )
    parser.add_argument("--port", metavar="N", type=_port, help="a free one by default")
    parser.add_argument(
        "--address",
        metavar="IP",
        type=_address,
        help="to listen on; 127.0.0.1 by default, for this machine alone",
    )
    parser.add_argument("--no-browser", action="store_true", help="print the URL, and open no browser")
    add_cluster_flags(parser)
    add_registry_flags(parser, words_follow=True)
    parser.set_defaults(handler=ui)


def ui(arguments: argparse.Namespace) -> int:
    """Serve, or write a page; return the exit status."""
    serves = [arguments.port is not None, arguments.address is not None, arguments.no_browser]
    if arguments.report is not None and (arguments.name is None or any(serves)):
        raise CommandError(
            "--report writes a page of one build: name it, and drop --port, --address and --no-browser",
            exit_status=2,
        )
    if arguments.report is None and arguments.name is not None:
        raise CommandError(
            "a name goes with --report", hint="kubectl strake ui, and choose the build there", exit_status=2
        )
    try:
        import jinja2
        import starlette
        import uvicorn
    except ImportError as error:
        raise CommandError(
            f"a library is not installed: {error.name}", hint="pip install 'strake[ui]'"
        ) from error
    del jinja2, starlette, uvicorn  # asked for here so that what is missing is one sentence
    cluster = cluster_of(arguments)
    return _serve(arguments, cluster) if arguments.report is None else _report(arguments, cluster)


def _serve(arguments: argparse.Namespace, cluster: Cluster) -> int:
    from strake_kubectl.ui.app import Sources
    from strake_kubectl.ui.board import Board
    from strake_kubectl.ui.logs import Logs
    from strake_kubectl.ui.server import serve

    board = Board(cluster, everywhere=arguments.namespace is None)
    board.start()
    sources = Sources(
        cluster,
        board,
        Logs(cluster, partial(kept_lines, arguments, raw=True)),
        partial(_image, arguments),
    )
    address = arguments.address or ipaddress.IPv4Address("127.0.0.1")
    try:
        serve(sources, address, arguments.port or 0, browser=not arguments.no_browser)
    finally:
        board.close()
    return 0


def _report(arguments: argparse.Namespace, cluster: Cluster) -> int:
    from strake_kubectl.ui.logs import Logs
    from strake_kubectl.ui.report import report

    build = cluster.get(arguments.name)
    page = report(build, Logs(cluster, partial(kept_lines, arguments, raw=True)), partial(_image, arguments))
    try:
        # A log may have what others of the machine must not read.
        descriptor = os.open(arguments.report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(page)
    except OSError as error:
        raise CommandError(f"cannot write {arguments.report}: {error.strerror}") from error
    sys.stderr.write("The page has the log and the image's facts: show it to those who may see them.\n")
    return 0


def _image(arguments: argparse.Namespace, name: str) -> ImageFacts:
    from strake_kubectl.ui.image import read_image

    return read_image(name, read_registries(arguments))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _MOST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number up to {_MOST_PORT}")
    return int(text)


def _address(text: str) -> Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address") from None
    if address.is_unspecified:
        raise argparse.ArgumentTypeError(
            "name one address: a server on all of them cannot tell its own names"
        )
    return address
