"""`strake execute`: what runs in a builder pod. One document in, one document out."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from strake_builder.cli.flags.isolation import add_isolation_flag
from strake_builder.cli.flags.sizes import add_max_unpacked_flag, read_max_unpacked
from strake_builder.cli.validation import validated
from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from strake_api.request import BuildRequest
    from strake_builder.solve.inputs import BuildInputs
    from strake_oci.credentials.sources import Credentials


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument("--request", required=True, metavar="FILE", help="the BuildRequest, as JSON")
    parser.add_argument("--result", metavar="FILE", help="where the BuildResult goes, at most 4,096 bytes")
    parser.add_argument(
        "--log-format",
        choices=("text", "pod", "json"),
        default="text",
        help="pod: text on standard output, with a line for each event (default: text)",
    )
    add_isolation_flag(parser)
    add_max_unpacked_flag(parser)
    parser.set_defaults(handler=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Build what the request says; return the exit status."""
    from strake_builder.cli.session import run_build

    return run_build(
        lambda: _prepare(arguments.request, read_max_unpacked(arguments)),
        log_format=arguments.log_format,
        isolation=arguments.isolation,
        result_path=arguments.result,
    )


def read_request(path: str) -> BuildRequest:
    """Return the request in a file, and trust the CAs that it names.

    Raises:
        InvalidRequestError: it cannot be read, or is none.
    """
    from strake_api.request import BuildRequest
    from strake_builder.cli import ca_bundle

    try:
        with validated(f"the request {path}"):
            request = BuildRequest.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise InvalidRequestError(f"cannot read the request {path}: {error.strerror}") from error
    if request.ca is not None:
        ca_bundle.install(request.ca, os.environ)
    return request


def _prepare(path: str, max_unpacked: int) -> tuple[BuildRequest, BuildInputs]:
    from strake_builder.cli.registry_access import await_gateway, requested_access, through_gateway
    from strake_builder.cli.registry_credentials import GATEWAY, mounted_credentials
    from strake_builder.context.git_credentials import mounted_git_credentials
    from strake_builder.solve.images.volumes import read_volumes
    from strake_builder.solve.inputs import BuildCredentials, BuildInputs

    request = read_request(path)
    git = request.source.git.credentials if request.source.git is not None else None
    credentials = BuildCredentials(git=mounted_git_credentials(git) if git is not None else None)
    gateway, access = request.registries.gateway, requested_access(request.registries)
    if gateway is not None:
        await_gateway(gateway)
        access = through_gateway(access, gateway)
        credentials = replace(credentials, pull=GATEWAY, push=GATEWAY)
    else:
        push = mounted_credentials(request.registries.push_config)
        credentials = replace(credentials, pull=_pull_credentials(request, push), push=push)
    return request, BuildInputs(
        credentials=credentials,
        registries=access,
        volumes=read_volumes((each.manifest, each.directory) for each in request.base_volumes),
        max_unpacked=max_unpacked,
    )


def _pull_credentials(request: BuildRequest, push: Credentials) -> Credentials:
    """Return what opens base images: the pull Secret, and for the build's own repositories the push Secret.

    A Dockerfile names what is pulled. With the push Secret for everything it could copy each image that the
    account may read into its own.
    """
    from strake_builder.cli.registry_credentials import mounted_credentials
    from strake_oci.credentials.sources import ConfinedCredentials, Credentials
    from strake_oci.spec.reference import Reference

    named = [*request.output.destinations, *filter(None, [request.cache.repository])]
    own = frozenset(Reference.parse(each).repository for each in named)
    return Credentials((mounted_credentials(request.registries.pull_config), ConfinedCredentials(push, own)))
