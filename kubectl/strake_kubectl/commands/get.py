"""`kubectl strake get`: builds, a line each."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from strake_kubectl.errors import CommandError
from strake_kubectl.flags import add_cluster_flags, build_name, cluster_of
from strake_kubectl.view.documents import document, listed
from strake_kubectl.view.table import table


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument("names", metavar="NAME", nargs="*", type=build_name, help="all by default")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")
    parser.add_argument(
        "-l", "--selector", metavar="SELECTOR", default="", help="by labels, as app=api,team!=x"
    )
    parser.add_argument("-o", "--output", choices=("wide", "json", "yaml", "name"), help="the form")
    add_cluster_flags(parser)
    parser.set_defaults(handler=get)


def get(arguments: argparse.Namespace) -> int:
    """Print the builds; return the exit status."""
    names, everywhere = arguments.names, arguments.all_namespaces
    if names and (everywhere or arguments.selector):
        raise CommandError("names go with neither -A nor -l: drop one of the two", exit_status=2)
    cluster, form = cluster_of(arguments), arguments.output
    if names:
        builds = [cluster.get(name) for name in names]
    else:
        builds = cluster.all(everywhere=everywhere, selector=arguments.selector)
    if form in {"json", "yaml", "name"}:
        sys.stdout.write(document(builds[0].document, form) if len(names) == 1 else listed(builds, form))
        return 0
    if not builds:
        where = "in any namespace" if everywhere else f"in namespace {cluster.namespace}"
        sys.stderr.write(f"No ImageBuilds found {where}.\n")
        return 0
    for line in table(builds, datetime.now(UTC), namespaces=everywhere, wide=form == "wide"):
        sys.stdout.write(f"{line}\n")
    return 0
