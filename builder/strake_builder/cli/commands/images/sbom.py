"""`strake sbom`: prints what is in an image that exists already. Nothing is built and nothing is pushed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from strake_api.values.attestations import DEFAULT_GENERATOR
from strake_builder.cli.flags.building import add_building_flags
from strake_builder.cli.flags.log import read_log
from strake_builder.cli.validation import validated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strake_api.requests.build import BuildRequest
    from strake_builder.attestations.facts import FoundSBOM
    from strake_builder.solve.inputs import BuildInputs
    from strake_builder.solve.observer import BuildObserver

_EXAMPLES: Final = """\
examples:
  strake sbom registry.example/app:1.2
  strake sbom registry.example/app:1.2 --generator registry.example/scanner:1 > app.spdx.json

`strake build --sbom` attests an SBOM with the image; `strake attestations IMAGE --print sbom` prints it.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _EXAMPLES
    parser.add_argument("image", metavar="IMAGE", help="the image to scan")
    parser.add_argument(
        "--generator",
        metavar="IMAGE",
        default=DEFAULT_GENERATOR,
        help=f"the scanner: an image of BuildKit's protocol (default: {DEFAULT_GENERATOR})",
    )
    parser.add_argument("--platform", metavar="OS/ARCH", help="of the image, where it has several")
    add_building_flags(parser)
    parser.set_defaults(handler=sbom)


def sbom(arguments: argparse.Namespace) -> int:
    """Scan the image and print the SBOM; return the exit status."""
    from strake_builder.cli.session import run_build

    return run_build(
        lambda: _prepare(arguments),
        style=read_log(arguments),
        isolation=arguments.isolation,
        runtime=arguments.runtime,
    )


def _prepare(arguments: argparse.Namespace) -> tuple[BuildRequest, BuildInputs]:
    from strake_api.models.source import InlineSource, Source
    from strake_api.requests.build import BuildRequest
    from strake_api.requests.output import SBOM, Attestations, Output
    from strake_builder.cli.local_inputs import local_inputs
    from strake_builder.cli.registries.command import read_reference
    from strake_builder.solve.inputs import ImageOutputs

    image = read_reference(arguments.image)
    with validated():
        request = BuildRequest(
            source=Source(inline=InlineSource(files={"Dockerfile": f"FROM {image}\n"})),
            platform=arguments.platform,
            output=Output(
                destinations=(),
                attestations=Attestations(provenance="none", sbom=SBOM(generator=arguments.generator)),
            ),
            work_directory=os.path.abspath(arguments.work_dir),
        )
    outputs = ImageOutputs(push=False, image=False)
    return request, replace(local_inputs(arguments, request, outputs=outputs), observer=_printer())


def _printer() -> BuildObserver:
    from strake_builder.solve.observer import BuildObserver

    class Printer(BuildObserver):
        wants_sboms = True

        def found(self, sboms: Sequence[FoundSBOM]) -> None:
            for each in sboms:  # written anew, so that nothing in it reaches a terminal as a control sequence
                sys.stdout.write(json.dumps(each.predicate, indent=2) + "\n")

    return Printer()
