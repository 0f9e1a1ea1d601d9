"""`strake build`: a directory becomes an image. Flags are those of kaniko's executor where it has them."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from strake_builder.cli.contexts.named import add_named_context_flag, read_named_contexts
from strake_builder.cli.contexts.policies import add_source_flags, read_policies
from strake_builder.cli.contexts.remote_dockerfile import remote_dockerfile
from strake_builder.cli.contexts.sources import context_of
from strake_builder.cli.flags.build_arguments import HELP, build_arguments
from strake_builder.cli.flags.building import add_building_flags
from strake_builder.cli.flags.cache import read_cache
from strake_builder.cli.flags.kaniko.translation import add_kaniko_flags, translate
from strake_builder.cli.flags.kaniko.values import left_out_paths, targets
from strake_builder.cli.flags.log import read_log
from strake_builder.cli.flags.networks import read_networks
from strake_builder.cli.flags.output import (
    EPOCH_VARIABLE,
    add_output_flags,
    read_outputs,
    takes_standard_output,
)
from strake_builder.cli.flags.verification.checks import add_verification_flags, read_checks
from strake_builder.cli.result_files import add_result_flags, result_files, write_result_files
from strake_builder.cli.validation import validated
from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from strake_api.requests.build import BuildRequest, Cache
    from strake_api.result import BuildSucceeded
    from strake_builder.progress.style import LogStyle
    from strake_builder.solve.inputs import BuildInputs

_EXAMPLES: Final = """\
examples:
  strake build --context . --destination registry.example/app:1.2
  strake build -c . -f deploy/Dockerfile --target release --build-arg VERSION=1.2 -d registry.example/app
  strake build -d registry.example/app:1.2 --compression zstd --reproducible --label team=web
  strake build --output type=local,dest=out --output type=oci,dest=image.tar
  strake build -c git+https://git.example/app.git#main:services/api -d registry.example/api
  strake build --build-context alpine=docker-image://registry.example/alpine:3 --build-context lib=../lib …
  tar -C src -cz . | strake build -c tar://stdin -d registry.example/app

Credentials come from Docker's config file ($DOCKER_CONFIG, ~/.docker/config.json) or `strake login`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.usage = "%(prog)s [--context DIR] --destination IMAGE [FLAG…]"
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "--context",
        "-c",
        metavar="DIR|URL|tar://FILE",
        default=".",
        help="the build context (default: this directory); tar://stdin is an archive on standard input",
    )
    add_named_context_flag(parser)
    parser.add_argument(
        "--dockerfile", "--file", "-f", metavar="FILE", help="the Dockerfile (default: CONTEXT/Dockerfile)"
    )
    parser.add_argument(
        "--target",
        metavar="STAGE",
        action="append",
        default=[],
        help="the stage to build (default: the last one); of several all are built, the first is the image",
    )
    parser.add_argument(
        "--build-arg",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        help=f"{HELP}. Ends up in the image: never a secret",
    )
    parser.add_argument(
        "--platform",
        "--custom-platform",
        "--customPlatform",
        metavar="OS/ARCH[,…]",
        help="build for another platform, or for several under one name; RUN for another machine needs an "
        "emulator (default: this machine's)",
    )
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=int, help="give up after so long (default: never)"
    )
    add_output_flags(parser)
    add_result_flags(parser)
    add_source_flags(parser)
    add_verification_flags(parser)
    add_building_flags(parser)
    add_kaniko_flags(parser)
    parser.set_defaults(handler=build, executor=False)


def build(arguments: argparse.Namespace) -> int:
    """Build and push; return the exit status."""
    from strake_builder.cli.session import run_build

    mask = os.umask(0)
    os.umask(mask)
    style = read_log(arguments)
    return run_build(
        lambda: _prepare(arguments, mask, style),
        style=style,
        isolation=arguments.isolation,
        runtime=arguments.runtime,
        finished=lambda result: _finished(arguments, result, mask),
    )


def _finished(arguments: argparse.Namespace, result: BuildSucceeded, mask: int) -> None:
    if arguments.dryrun:
        return
    write_result_files(arguments, read_outputs(arguments).request.destinations, result, mask)
    if arguments.log_format != "json" and not takes_standard_output(arguments):
        for image in result.images:
            sys.stdout.write(f"{image}\n")


def _prepare(arguments: argparse.Namespace, mask: int, style: LogStyle) -> tuple[BuildRequest, BuildInputs]:
    from strake_api.requests.build import BuildArg, BuildRequest
    from strake_api.text import visible
    from strake_builder.cli.kaniko import trust_mounted
    from strake_builder.cli.local_inputs import local_inputs
    from strake_builder.solve.inputs import ImageOutputs

    if arguments.executor:
        trust_mounted(os.environ)
    for note in translate(arguments, executor=arguments.executor):
        if style.shows("info"):
            sys.stderr.write(visible(f"note: {note}\n"))
    wanted = targets(arguments.target)
    remote = remote_dockerfile(arguments.dockerfile, read_networks(arguments))
    with validated():
        outputs = read_outputs(arguments)
        request = BuildRequest(
            source=context_of(arguments),
            contexts=read_named_contexts(arguments.build_context),
            dockerfile=remote[0] if remote else arguments.dockerfile or "Dockerfile",
            dockerfile_inline=remote[1] if remote else None,
            target=wanted[0] if wanted else None,
            args=tuple(BuildArg(name=n, value=v) for n, v in _build_args(arguments).items()),
            platform=arguments.platform,
            output=outputs.request,
            cache=_cache(arguments, outputs.request.destinations),
            work_directory=os.path.abspath(arguments.work_dir),
            timeout_seconds=arguments.timeout,
            source_policies=read_policies(arguments),
            verify=read_checks(arguments),
        )
    if arguments.sign_key is not None and not (outputs.push and outputs.request.destinations):
        raise InvalidRequestError(
            "--sign-key: nothing is pushed, and signatures lie beside an image in a registry",
            hint="push with --destination IMAGE, or drop --sign-key",
        )
    inputs = local_inputs(
        arguments,
        request,
        dockerfile_path=_dockerfile_path(arguments),
        outputs=ImageOutputs(
            push=outputs.push and not arguments.dryrun,
            image=not outputs.only_trees or bool(result_files(arguments)),
            files=outputs.files,
            file_mask=mask,
            left_out=left_out_paths(arguments.ignore_path, outputs.files),
            single_layer=arguments.single_snapshot,
            immutable_tags_stay=arguments.push_ignore_immutable_tag_errors,
        ),
        also=tuple(wanted[1:]),
        plan=_print if arguments.dryrun else None,
    )
    if arguments.lock is not None:
        from strake_builder.cli.contexts.lock_file import lock_writer

        inputs = replace(inputs, observer=lock_writer(arguments.lock, request.source_policies, mask))
    return _warned(request, arguments), inputs


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _cache(arguments: argparse.Namespace, destinations: tuple[str, ...]) -> Cache:
    from strake_api.requests.build import Cache

    cache = read_cache(arguments, destinations, Cache())
    # One layer has the results of all steps: there is none of a step to keep or to find.
    return cache.model_copy(update={"enabled": False}) if arguments.single_snapshot else cache


def _warned(request: BuildRequest, arguments: argparse.Namespace) -> BuildRequest:
    """Return the request, with warnings of a server that is not verified and of a key in the context."""
    if request.source.git is not None and request.source.git.unverified:
        warning = "--git insecure-skip-tls: any server in between may send another context and read passwords"
        request = request.model_copy(update={"warnings": (*request.warnings, warning)})
    if arguments.sign_key is None:
        return request
    from strake_oci.signatures.kms.uri import is_key_uri

    if is_key_uri(arguments.sign_key):
        return request
    key = os.path.realpath(arguments.sign_key)
    sources = (request.source, *(each.source for each in request.contexts))
    places = [os.path.realpath(each.directory.path) for each in sources if each and each.directory]
    if not any(os.path.commonpath([key, place]) == place for place in places):
        return request
    warning = f"the key {arguments.sign_key} is in the context, where a COPY finds it: move it elsewhere"
    return request.model_copy(update={"warnings": (*request.warnings, warning)})


def _dockerfile_path(arguments: argparse.Namespace) -> str | None:
    """Return the path of a Dockerfile that is named: looked for here first, then in the context."""
    named: str | None = arguments.dockerfile
    return os.path.abspath(named) if named is not None and os.path.exists(named) else None


def _build_args(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the build arguments by name; the last of one name counts.

    SOURCE_DATE_EPOCH comes from the flag or the environment, too, as with buildx and buildah.
    """
    epoch = arguments.source_date_epoch or os.environ.get(EPOCH_VARIABLE)
    implied = {EPOCH_VARIABLE: epoch} if epoch else {}
    return {**implied, **build_arguments(arguments.build_arg)}
