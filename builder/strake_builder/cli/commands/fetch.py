"""`strake fetch`: fetches the source of a builder pod, in a container that runs no step.

The Secret of a private repository is mounted there alone. The builder finds the context, and its revision, in
a directory that both mount.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import sys
from pathlib import Path
from typing import Final

from strake_builder.cli.flags.request import add_request_flags

_ACCOUNTS: Final = Path("/etc/passwd")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_request_flags(parser)
    parser.add_argument(
        "--result", metavar="FILE", help="where a BuildResult goes if it fails, at most 4,096 bytes"
    )
    parser.set_defaults(handler=fetch)


def fetch(arguments: argparse.Namespace) -> int:
    """Fetch what the request's git sources and buckets name; return the exit status."""
    from strake_api.requests.index import IndexRequest
    from strake_api.text import visible
    from strake_builder.cli.building import report_unstarted
    from strake_builder.cli.registries.registry_access import requested_networks
    from strake_builder.cli.request_file import read_request
    from strake_builder.cli.signals import cancel_on_signal
    from strake_builder.context.buckets.download import prefetch_object
    from strake_builder.context.buckets.secret import mounted_bucket_secret
    from strake_builder.context.fetch import prefetch_git
    from strake_builder.context.git.secret import mounted_git_access
    from strake_builder.context.git.ssh import ssh_server
    from strake_builder.errors import BuildError, InvalidRequestError
    from strake_builder.progress.transfer_lines import TransferLines
    from strake_oci.cancellation import Cancellation

    lines, cancellation = TransferLines(), Cancellation()

    def watch(source: str, done: int, total: int | None) -> None:
        if line := lines.fetching(visible(source), done, total):
            _say(line)

    cancel_on_signal(cancellation)
    try:
        request = read_request(arguments)
        if isinstance(request, IndexRequest):
            raise InvalidRequestError("an IndexRequest names no source", hint="give it to `strake execute`")
        networks = requested_networks(request)
        for bucket in request.bucket_objects:
            if bucket.fetched is None:
                continue
            mounted = bucket.credentials
            secret = mounted_bucket_secret(mounted, bucket) if mounted is not None else None
            _say(f"== fetching {bucket.url}")
            _say(f"fetched {prefetch_object(bucket, bucket.fetched, secret, cancellation, networks, watch)}")
        for git in request.repositories:
            if git.fetched is None:
                continue
            if ssh_server(git.url) is not None:
                _have_entry()
            mounted = git.credentials
            credentials = mounted_git_access(mounted, git.url) if mounted is not None else None
            _say(f"== fetching {git.url} at {git.ref}")
            _say(f"fetched {prefetch_git(git, git.fetched, credentials, cancellation, networks, watch)}")
    except BuildError as error:
        return report_unstarted(error, arguments.result)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()  # people follow the log of the container


def _have_entry(accounts: Path = _ACCOUNTS) -> None:
    """Have an entry among the users, without which ssh does not start; the builder's image has none."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        with contextlib.suppress(OSError):  # ssh says what is missing
            accounts.parent.mkdir(exist_ok=True)
            with accounts.open("a", encoding="utf-8") as file:
                file.write(f"strake:x:{os.geteuid()}:{os.getegid()}::/:/bin/sh\n")
