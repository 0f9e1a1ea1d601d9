"""`strake rebuild`: builds an image again from its provenance, and tells whether it is the same."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from strake_builder.cli.flags.build_arguments import HELP, build_arguments
from strake_builder.cli.flags.building import add_building_flags
from strake_builder.cli.flags.log import read_log
from strake_builder.cli.validation import validated
from strake_builder.errors import BaseImageError, DifferentImageError, InvalidRequestError

if TYPE_CHECKING:
    from strake_api.requests.build import BuildRequest
    from strake_api.result import BuildSucceeded
    from strake_builder.solve.inputs import BuildInputs
    from strake_builder.solve.policy.rebuilding import Rebuild

_EXAMPLES: Final = """\
examples:
  strake rebuild registry.example/app:1.2
  strake rebuild registry.example/app@sha256:… --destination registry.example/again:1.2
  strake attestations registry.example/app:1.2 --print provenance > app.json; strake rebuild app.json

The provenance must be of the mode max. Everything that it has a digest of is taken by that digest. The image
is the same where its build was reproducible, and its steps make the same of the same; else the exit status
is 15.
"""
_LIMIT: Final = 40 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _EXAMPLES
    parser.add_argument("provenance", metavar="IMAGE|FILE", help="an image in a registry, or its provenance")
    parser.add_argument(
        "--destination", "-d", metavar="IMAGE", action="append", default=[], help="push what is built"
    )
    parser.add_argument(
        "--context",
        "-c",
        metavar="DIR",
        help="the build context, where it was a directory: nobody else has it",
    )
    parser.add_argument(
        "--build-arg",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        help=f"{HELP}; for arguments whose values provenance does not tell",
    )
    add_building_flags(parser)
    parser.set_defaults(handler=rebuild)


def rebuild(arguments: argparse.Namespace) -> int:
    """Build, and compare; return the exit status."""
    from strake_builder.cli.session import run_build

    read: list[Rebuild] = []
    return run_build(
        lambda: _prepare(arguments, read),
        style=read_log(arguments),
        isolation=arguments.isolation,
        runtime=arguments.runtime,
        finished=lambda result: _compare(read[0], result),
    )


def _compare(wanted: Rebuild, result: BuildSucceeded) -> None:
    sys.stdout.write(f"{result.digest}\n")
    if result.digest not in set(map(str, wanted.images)):
        listed = ", ".join(sorted(map(str, wanted.images)))
        reproducible = wanted.form.reproducible or wanted.form.source_date_epoch is not None
        raise DifferentImageError(
            f"what was built is {result.digest}, and the provenance is of {listed}",
            hint="see what its steps fetch, and what they make of the time of day"
            if reproducible
            else "its build was not reproducible: times of files and of the history are those of the build",
        )


def _prepare(arguments: argparse.Namespace, read: list[Rebuild]) -> tuple[BuildRequest, BuildInputs]:
    from strake_api.models.source import DirectorySource, Source
    from strake_api.requests.build import BuildArg, BuildRequest, Cache
    from strake_api.requests.output import Output
    from strake_builder.cli.local_inputs import local_inputs
    from strake_builder.solve.inputs import ImageOutputs
    from strake_builder.solve.policy.rebuilding import read_provenance

    wanted = read_provenance(_statement(arguments))
    read.append(wanted)
    given = build_arguments(arguments.build_arg)
    if missing := [name for name in wanted.masked if name not in given]:
        raise InvalidRequestError(
            f"the provenance does not tell the value of the argument {missing[0]}",
            hint=f"give it with --build-arg {missing[0]}=VALUE",
        )
    source = wanted.source
    if arguments.context is not None and source is None:
        source = Source(directory=DirectorySource(path=os.path.abspath(arguments.context)))
    if source is None or (arguments.context is not None and wanted.source is not None):
        raise InvalidRequestError(
            "the build context was a directory, which nobody else has"
            if source is None
            else "--context: the provenance has the build context by its digest",
            hint="give it with --context DIR" if source is None else "leave the flag out",
        )
    with validated():
        request = BuildRequest(
            source=source,
            contexts=wanted.contexts,
            dockerfile=wanted.dockerfile,
            dockerfile_inline=wanted.text,
            target=wanted.target,
            args=tuple(
                BuildArg(name=name, value=value) for name, value in {**wanted.arguments, **given}.items()
            ),
            platform=wanted.platform,
            output=Output(destinations=tuple(arguments.destination), **dict(wanted.form)),
            cache=Cache(enabled=False),
            source_policies=(wanted.policy,),
            work_directory=os.path.abspath(arguments.work_dir),
        )
    outputs = ImageOutputs(push=bool(arguments.destination))
    return request, local_inputs(arguments, request, outputs=outputs)


def _statement(arguments: argparse.Namespace) -> Any:
    """Return the statement in a file, or with an image."""
    name = arguments.provenance
    if os.path.isfile(name):
        try:
            with Path(name).open("rb") as file:
                content = file.read(_LIMIT)
        except OSError as error:
            raise InvalidRequestError(f"cannot read {name}: {error.strerror}") from error
    else:
        content = _attested(arguments)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"the provenance {name} is no JSON") from error


def _attested(arguments: argparse.Namespace) -> bytes:
    """Return the provenance of an image; of an index with several images there is none of one build."""
    from strake_builder.cli.flags.registry import read_registries
    from strake_builder.cli.registries.command import read_reference
    from strake_builder.cli.registries.user_client import user_client
    from strake_oci.attestations import PROVENANCE, find_attestations, read_statement
    from strake_oci.errors import OCIError

    image = read_reference(arguments.provenance)
    try:
        with user_client(read_registries(arguments)) as client:
            digest = image.digest or client.resolve(image).digest
            found = find_attestations(client, image.repository, digest)
            wanted = [each for each in found if each.predicate_type == PROVENANCE]
            images = {each.image for each in wanted}
            if len(images) != 1:
                raise InvalidRequestError(
                    f"{image} has provenance of {len(images)} images"
                    if images
                    else f"{image} has no attestation of provenance",
                    hint="name one of them by its digest: strake attestations lists them"
                    if images
                    else "build with --provenance=max",
                )
            return read_statement(client, image.repository, wanted[-1].statement)
    except OCIError as error:
        raise BaseImageError(
            f"cannot read the provenance of {image}: {error.message}", hint=error.hint
        ) from error
