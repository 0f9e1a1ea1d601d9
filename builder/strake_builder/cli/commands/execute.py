"""`strake execute`: what runs in a builder pod. One document in, one document out."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from strake_builder.cli.flags.isolation import add_isolation_flag
from strake_builder.cli.flags.request import add_request_flags
from strake_builder.cli.flags.values.sizes import add_max_unpacked_flag, read_max_unpacked

if TYPE_CHECKING:
    from strake_api.requests.build import BuildRequest
    from strake_builder.solve.inputs import BuildInputs
    from strake_oci.credentials.sources import Credentials


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_request_flags(parser)
    parser.add_argument("--result", metavar="FILE", help="where the BuildResult goes, at most 4,096 bytes")
    parser.add_argument(
        "--log-format",
        choices=("text", "pod", "json"),
        default="text",
        help="pod: text on standard output, with a line for each event (default: text)",
    )
    parser.add_argument(
        "--log-copy", metavar="SOCKET", help="where a copy of the log goes, for the gateway to keep"
    )
    add_isolation_flag(parser)
    add_max_unpacked_flag(parser)
    parser.set_defaults(handler=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Build what the request says; return the exit status."""
    from strake_builder.cli.session import run_build
    from strake_builder.progress.style import LogStyle, wants_no_colours

    return run_build(
        lambda: _prepare(arguments),
        style=LogStyle(arguments.log_format, plain=wants_no_colours()),
        isolation=arguments.isolation,
        result_path=arguments.result,
        log_copy=arguments.log_copy,
    )


def _prepare(arguments: argparse.Namespace) -> tuple[BuildRequest, BuildInputs]:
    from strake_builder.cli.given_files import read_run_inputs, with_argument_values
    from strake_builder.cli.registries.registry_access import await_gateway, requested_access, through_gateway
    from strake_builder.cli.registries.registry_credentials import GATEWAY, mounted_credentials
    from strake_builder.cli.registries.signing import requested_signing
    from strake_builder.cli.request_file import read_request
    from strake_builder.context.git.secret import mounted_git_access
    from strake_builder.solve.images.volumes import read_volumes
    from strake_builder.solve.inputs import BuildCredentials, BuildInputs

    written = read_request(arguments)
    request = with_argument_values(written)
    gateway, access = request.registries.gateway, requested_access(request)
    credentials = BuildCredentials(
        git={
            git.url: mounted_git_access(git.credentials, git.url)
            for git in request.repositories
            if git.credentials is not None and git.fetched is None
        }
    )
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
        run=read_run_inputs(request),
        volumes=read_volumes((each.manifest, each.directory) for each in request.base_volumes),
        max_unpacked=read_max_unpacked(arguments),
        signing=requested_signing(request),
        secret_arguments=frozenset(each.name for each in written.args if each.file is not None),
    )


def _pull_credentials(request: BuildRequest, push: Credentials) -> Credentials:
    """Return what opens base images: the pull Secret, and for the build's own repositories the push Secret.

    A Dockerfile names what is pulled. With the push Secret for everything it could copy each image that the
    account may read into its own.
    """
    from strake_api.values.destinations import sample
    from strake_builder.cli.registries.registry_credentials import mounted_credentials
    from strake_oci.credentials.sources import ConfinedCredentials, Credentials
    from strake_oci.spec.reference import Reference

    named = [*request.output.destinations, *filter(None, [request.cache.repository])]
    own = frozenset(Reference.parse(sample(each)).repository for each in named)
    return Credentials((mounted_credentials(request.registries.pull_config), ConfinedCredentials(push, own)))
