"""`strake execute`: what runs in a builder pod. One document in, one document out."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from strake_builder.cli.flags.isolation import add_isolation_flag
from strake_builder.cli.flags.request import add_request_flags
from strake_builder.cli.flags.values.sizes import add_max_unpacked_flag, read_max_unpacked
from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from strake_api.requests.build import BuildRequest
    from strake_api.requests.kinds import AnyRequest
    from strake_api.result import BuildSucceeded
    from strake_builder.progress.reporter import Reporter
    from strake_builder.solve.inputs import BuildInputs
    from strake_oci.cancellation import Cancellation
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
    """Do what the request says; return the exit status."""
    from strake_builder.cli.request_file import builds
    from strake_builder.cli.session import run_build, run_without_steps
    from strake_builder.progress.style import LogStyle, wants_no_colours

    style = LogStyle(arguments.log_format, plain=wants_no_colours())
    if not builds(arguments.request):
        return run_without_steps(
            lambda *told: _do(arguments, *told),
            style=style,
            result_path=arguments.result,
            log_copy=arguments.log_copy,
        )
    return run_build(
        lambda: _prepare(arguments),
        style=style,
        isolation=arguments.isolation,
        result_path=arguments.result,
        log_copy=arguments.log_copy,
    )


def _do(arguments: argparse.Namespace, reporter: Reporter, cancellation: Cancellation) -> BuildSucceeded:
    """Do what a request of another kind than a build's says."""
    from strake_api.requests.build import BuildRequest
    from strake_api.requests.index import IndexRequest
    from strake_api.requests.sources import SourceRequest
    from strake_builder.cli.request_file import read_request
    from strake_builder.solve.platforms.index import push_index
    from strake_builder.solve.platforms.sources import resolve_sources

    request = read_request(arguments)
    match request:
        case SourceRequest():
            return resolve_sources(request, _inputs(request), reporter, cancellation)
        case IndexRequest():
            return push_index(request, _inputs(request), reporter, cancellation)
        case BuildRequest():
            raise _changed(arguments)
        case _:
            assert_never(request)


def _prepare(arguments: argparse.Namespace) -> tuple[BuildRequest, BuildInputs]:
    from strake_api.requests.build import BuildRequest
    from strake_builder.cli.given_files import read_run_inputs, with_argument_values
    from strake_builder.cli.request_file import read_request
    from strake_builder.solve.images.volumes import read_volumes

    written = read_request(arguments)
    if not isinstance(written, BuildRequest):
        raise _changed(arguments)
    request = with_argument_values(written)
    return request, replace(
        _inputs(request),
        run=read_run_inputs(request),
        volumes=read_volumes((each.manifest, each.directory) for each in request.base_volumes),
        max_unpacked=read_max_unpacked(arguments),
        secret_arguments=frozenset(each.name for each in written.args if each.file is not None),
    )


def _changed(arguments: argparse.Namespace) -> InvalidRequestError:
    return InvalidRequestError(f"the request {arguments.request} changed while it was read", hint="try again")


def _inputs(request: AnyRequest) -> BuildInputs:
    """Return credentials, and how registries are reached, for a request of any kind."""
    from strake_api.requests.index import IndexRequest
    from strake_api.requests.sources import SourceRequest
    from strake_builder.cli.registries.registry_access import await_gateway, requested_access, through_gateway
    from strake_builder.cli.registries.registry_credentials import GATEWAY, mounted_credentials
    from strake_builder.cli.registries.signing import requested_signing
    from strake_builder.context.git.secret import mounted_git_access
    from strake_builder.solve.inputs import BuildCredentials, BuildInputs

    gateway, access = request.registries.gateway, requested_access(request)
    repositories = () if isinstance(request, IndexRequest) else request.repositories
    credentials = BuildCredentials(
        git={
            git.url: mounted_git_access(git.credentials, git.url)
            for git in repositories
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
    signing = None if isinstance(request, SourceRequest) else requested_signing(request)
    return BuildInputs(credentials=credentials, registries=access, signing=signing)


def _pull_credentials(request: AnyRequest, push: Credentials) -> Credentials:
    """Return what opens base images: the pull Secret, and for the build's own repositories the push Secret.

    A Dockerfile names what is pulled. With the push Secret for everything it could copy each image that the
    account may read into its own.
    """
    from strake_api.requests.build import BuildRequest
    from strake_api.requests.index import IndexRequest
    from strake_api.requests.sources import SourceRequest
    from strake_api.values.destinations import sample
    from strake_builder.cli.registries.registry_credentials import mounted_credentials
    from strake_oci.credentials.sources import ConfinedCredentials, Credentials
    from strake_oci.spec.reference import Reference

    match request:
        case BuildRequest():
            named = [*request.output.destinations, *filter(None, [request.cache.repository])]
        case IndexRequest():
            named = [*request.output.destinations]
        case SourceRequest():
            named = []
        case _:
            assert_never(request)
    own = frozenset(Reference.parse(sample(each)).repository for each in named)
    return Credentials((mounted_credentials(request.registries.pull_config), ConfinedCredentials(push, own)))
