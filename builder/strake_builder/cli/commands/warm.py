"""`strake warm`: puts base images into a cache directory before builds want them.

Builds with the same `--cache-dir` find them unpacked. Several builds and several warmers may use a directory
at the same time. Flags are those of kaniko's warmer.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from strake_builder.cli.flags.build_arguments import HELP, build_arguments
from strake_builder.cli.flags.building import add_building_flags
from strake_builder.cli.flags.log import read_log
from strake_builder.cli.flags.values.switches import add_switch
from strake_builder.cli.validation import validated
from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from strake_api.requests.build import BuildRequest
    from strake_api.result import BuildSucceeded
    from strake_builder.solve.inputs import BuildInputs

_EXAMPLES: Final = """\
examples:
  strake warm --cache-dir /cache --image alpine:3.20 --image registry.example/base:1
  strake warm --cache-dir /cache --dockerfile Dockerfile --build-arg VERSION=1.2
"""
_DIRECTORY: Final = "/cache"
_EMPTY: Final = "empty"
"""What stands for a context in the cache directory: nothing is copied."""
_STAGE: Final = "image-"
_DOCKERFILE_LIMIT: Final = 1 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "--image",
        "-i",
        metavar="IMAGE",
        action="append",
        default=[],
        help="an image, or several",
    )
    parser.add_argument("--dockerfile", "-d", metavar="FILE", help="the base images of a Dockerfile")
    parser.add_argument("--build-arg", metavar="NAME[=VALUE]", action="append", default=[], help=HELP)
    parser.add_argument(
        "--platform", "--custom-platform", "--customPlatform", metavar="OS/ARCH", help="of the images"
    )
    add_building_flags(parser)
    group = parser.add_argument_group("as kaniko's warmer has them")
    group.add_argument("-c", dest="cache_dir", metavar="DIR", help=f"as --cache-dir (default: {_DIRECTORY})")
    add_switch(group, "--insecure-pull", "plain HTTP for registries where they have no TLS")
    add_switch(group, "--skip-tls-verify-pull", "accept any certificate")
    group.add_argument("--force", "-f", nargs="?", const=True, help=argparse.SUPPRESS)
    parser.set_defaults(handler=warm, executor=False)


def warm(arguments: argparse.Namespace) -> int:
    """Pull and unpack the images; return the exit status."""
    from strake_builder.cli.session import run_build

    style = read_log(arguments)
    return run_build(
        lambda: _prepare(arguments, notes=style.shows("info")),
        style=style,
        isolation=arguments.isolation,
        runtime=arguments.runtime,
        finished=lambda result: _finished(arguments, result),
    )


def _finished(arguments: argparse.Namespace, result: BuildSucceeded) -> None:
    if arguments.log_format != "json":
        for image in result.base_images:
            sys.stdout.write(f"{image.reference}@{image.digest}\n")


def _prepare(arguments: argparse.Namespace, *, notes: bool) -> tuple[BuildRequest, BuildInputs]:
    from strake_api.models.source import DirectorySource, Source
    from strake_api.requests.build import BuildArg, BuildRequest, Cache
    from strake_api.requests.output import Output
    from strake_builder.cache.directories import make_directory
    from strake_builder.cli.kaniko import trust_mounted
    from strake_builder.cli.local_inputs import local_inputs
    from strake_builder.solve.inputs import ImageOutputs

    if arguments.executor:
        trust_mounted(os.environ)
    if notes and (arguments.force or arguments.cache_ttl):
        sys.stderr.write("note: --force and --cache-ttl are not needed: images are kept by their digests\n")
    arguments.cache_dir = os.path.abspath(arguments.cache_dir or _DIRECTORY)
    text, stages = _dockerfile(arguments)
    context = os.path.join(arguments.cache_dir, _EMPTY)
    try:
        make_directory(context)
    except OSError as error:
        raise InvalidRequestError(f"cannot make {arguments.cache_dir}: {error.strerror}") from error
    arguments_given = build_arguments(arguments.build_arg)
    with validated():
        request = BuildRequest(
            source=Source(directory=DirectorySource(path=context)),
            dockerfile_inline=text,
            args=tuple(BuildArg(name=name, value=value) for name, value in arguments_given.items()),
            platform=arguments.platform,
            output=Output(destinations=()),
            cache=Cache(enabled=False),
            work_directory=os.path.abspath(arguments.work_dir),
        )
    return request, local_inputs(
        arguments, request, outputs=ImageOutputs(push=False, image=False), also=stages, unpack_only=True
    )


def _dockerfile(arguments: argparse.Namespace) -> tuple[str, tuple[str, ...]]:
    """Return a Dockerfile with all the images, and the names of its stages."""
    if not arguments.image and not arguments.dockerfile:
        raise InvalidRequestError("nothing to warm", hint="name images with --image, or a --dockerfile")
    text = ""
    if arguments.dockerfile:
        try:
            with Path(arguments.dockerfile).open(encoding="utf-8") as file:
                text = file.read(_DOCKERFILE_LIMIT)
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRequestError(f"cannot read {arguments.dockerfile}: {error}") from error
    names = [name for name in _stage_names(text) if name]
    for number, image in enumerate(arguments.image):
        text += f"\nFROM {image} AS {_STAGE}{number}"
        names.append(f"{_STAGE}{number}")
    return f"{text}\n", tuple(names)


def _stage_names(text: str) -> list[str | None]:
    from strake_builder.frontend.parse import parse

    return [stage.from_.name for stage in parse(text, "Dockerfile").stages] if text else []
