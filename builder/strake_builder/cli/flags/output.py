"""Flags of where an image goes and how it is written, and what they say together."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from strake_builder.cli.flags.attestations import add_attestation_flags, read_attestations
from strake_builder.cli.flags.output_option import OutputOption, absolute, parse_output, read_compression
from strake_builder.cli.flags.values.switches import add_switch
from strake_builder.errors import InvalidRequestError
from strake_builder.output.targets import (
    STANDARD_OUTPUT,
    ArchiveTarget,
    FileTarget,
    LayoutTarget,
    TreeArchiveTarget,
    TreeTarget,
)
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from strake_api.requests.output import Output

EPOCH_VARIABLE: Final = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the image goes.

    Attributes:
        request: for the BuildRequest.
        push: whether there is something to push to, and it is wanted.
        files: to write.
    """

    request: Output
    push: bool
    files: tuple[FileTarget, ...]

    @property
    def only_trees(self) -> bool:
        """Whether the image's files are all that is wanted of it."""
        trees = (TreeTarget, TreeArchiveTarget)
        return bool(self.files) and not self.push and all(isinstance(file, trees) for file in self.files)


def add_output_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `read_outputs` reads."""
    _add_destinations(parser)
    _add_form(parser)
    add_attestation_flags(parser)


def _add_destinations(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("where the image goes; every one of these may be combined")
    where.add_argument(
        "--destination",
        "--tag",
        "-d",
        "-t",
        metavar="IMAGE",
        action="append",
        default=[],
        help="push it there; may be given more than once",
    )
    where.add_argument(
        "--output",
        "-o",
        metavar="type=TYPE,…",
        action="append",
        default=[],
        help="type=local,dest=DIR (or -o DIR) the image's files; type=tar,dest=FILE the same as an archive; "
        "type=oci,dest=FILE or type=docker,dest=FILE the image as an archive (type=oci,tar=false,dest=DIR as "
        "a layout); type=image,name=IMAGE,push=true the same as --destination. dest=- is the standard output",
    )
    where.add_argument(
        "--tar-path",
        "--tarPath",
        metavar="FILE",
        help="write an archive for docker load, as type=docker,dest=FILE",
    )
    where.add_argument("--oci-layout-path", metavar="DIR", help="write the image to an OCI image layout")
    add_switch(where, "--no-push", "push nothing; --destination only names it")
    add_switch(
        where,
        "--skip-push-permission-check",
        "do not ask the registries before the build starts whether they will take the image",
    )


def _add_form(parser: argparse.ArgumentParser) -> None:
    form = parser.add_argument_group("how it is written")
    form.add_argument(
        "--compression",
        metavar="gzip|zstd|none",
        help="of new layers (default: gzip). Those of base images stay as they are",
    )
    form.add_argument(
        "--compression-level",
        metavar="N",
        type=int,
        help="gzip 0 to 9 (default 1; from 4 on layers are smaller and take ten times as long), "
        "zstd 1 to 22 (default 3)",
    )
    form.add_argument(
        "--media-types",
        "--image-format",
        choices=("oci", "docker"),
        help="docker is for what reads nothing newer (default: oci)",
    )
    form.add_argument(
        "--label",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a label, over the Dockerfile's; may be given more than once",
    )
    form.add_argument(
        "--annotation",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an annotation of the manifest; may be given more than once",
    )
    add_switch(
        form,
        "--reproducible",
        "the same inputs give the same digest: all times are those of --source-date-epoch, or 1970",
    )
    form.add_argument(
        "--compatibility",
        type=int,
        choices=(1,),
        metavar="VERSION",
        help="how the image is written; what would change digests comes with a new version "
        "(default, and the only one: 1)",
    )
    form.add_argument(
        "--source-date-epoch",
        metavar="SECONDS|context|NAME",
        help="since 1970, or the time of the context, a named context or what a stage fetches: the time "
        "of the image and its history, and the latest of files in new layers "
        f"(default: the build argument {EPOCH_VARIABLE}, then the variable, then the Dockerfile's ARG)",
    )


def takes_standard_output(arguments: argparse.Namespace) -> bool:
    """Say whether a file goes to the standard output, which is then for nothing else."""
    files = _files(arguments, [parse_output(text) for text in arguments.output])
    return any(target.path == STANDARD_OUTPUT for target in files)


def read_outputs(arguments: argparse.Namespace) -> Outputs:
    """Return what the flags say together.

    Raises:
        InvalidRequestError: one is malformed, or two contradict each other, or the image goes nowhere.
        ValidationError: the form contradicts itself.
    """
    from strake_api.requests.output import Output

    options = [parse_output(text) for text in arguments.output]
    destinations = tuple(
        dict.fromkeys([*arguments.destination, *(d for o in options for d in o.destinations)])
    )
    files = tuple(_files(arguments, options))
    _refuse_nowhere(arguments, destinations, files)
    _refuse_missing(files)
    form = _merged([_flags_form(arguments), *(option.form for option in options)])
    skip = arguments.skip_push_permission_check
    push = bool(destinations) and not arguments.no_push
    request = Output(
        destinations=destinations,
        skip_push_permission_check=skip,
        attestations=read_attestations(arguments, files, push=push),
        **form,
    )
    return Outputs(request, push, files)


def _files(arguments: argparse.Namespace, options: list[OutputOption]) -> Iterator[FileTarget]:
    if arguments.tar_path:
        yield ArchiveTarget(absolute(arguments.tar_path), docker=True)
    if arguments.oci_layout_path:
        yield LayoutTarget(os.path.abspath(arguments.oci_layout_path))
    for option in options:
        if option.file is not None:
            yield option.file


def _refuse_missing(files: tuple[FileTarget, ...]) -> None:
    """Refuse, before a long build, an archive in a directory that is not there."""
    for target in files:
        if isinstance(target, ArchiveTarget | TreeArchiveTarget) and target.path != STANDARD_OUTPUT:
            directory = os.path.dirname(target.path)
            if not os.path.isdir(directory):
                raise InvalidRequestError(
                    f"cannot write {target.path}: there is no directory {directory}", hint="make it first"
                )


def _refuse_nowhere(
    arguments: argparse.Namespace, destinations: tuple[str, ...], files: tuple[FileTarget, ...]
) -> None:
    if not destinations and not files and not arguments.no_push:
        hint = "push with --destination IMAGE, write files with --output, or check the build with --no-push"
        raise InvalidRequestError("no destination: the image goes nowhere", hint=hint)
    for target in files:
        if isinstance(target, ArchiveTarget) and target.docker and not (target.names or destinations):
            hint = "name it with --destination IMAGE and --no-push, or with name=IMAGE in --output"
            raise InvalidRequestError("an archive for docker load needs a name for the image", hint=hint)
    taken = [target.path for target in files]
    if twice := next((path for path in taken if taken.count(path) > 1), None):
        raise InvalidRequestError(f"two outputs go to {twice}", hint="give each a place of its own")
    if STANDARD_OUTPUT in taken and arguments.log_format == "json":
        raise InvalidRequestError(
            "the standard output has the events of --log-format json", hint="name a file"
        )
    if STANDARD_OUTPUT in taken and os.isatty(1):
        raise InvalidRequestError("an archive does not go to a terminal", hint="redirect it, or name a file")


def _flags_form(arguments: argparse.Namespace) -> dict[str, Any]:
    packed = arguments.compression
    given = {
        "compression": None if packed is None else read_compression(packed, "--compression"),
        "compression_level": None if arguments.compression_level == -1 else arguments.compression_level,
        "media_types": arguments.media_types,
        "labels": _pairs("--label", arguments.label),
        "annotations": _pairs("--annotation", arguments.annotation),
        "reproducible": arguments.reproducible or None,
        "source_date_epoch": _epoch(arguments.source_date_epoch),
        "compatibility": arguments.compatibility,
    }
    return {name: value for name, value in given.items() if value is not None and value != {}}


def _merged(forms: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Put together what flags and outputs say: one image has one form."""
    merged: dict[str, Any] = {}
    annotations: dict[str, str] = {}
    for form in forms:
        for name, value in form.items():
            if name == "annotations":
                for key, text in value.items():
                    _agree(annotations, key, text, f"the annotation {key}")
            else:
                _agree(merged, name, value, name.replace("_", "-"))
    return {**merged, "annotations": annotations}


def _agree(given: dict[str, Any], name: str, value: object, shown: str) -> None:
    if given.setdefault(name, value) != value:
        hint = "an image has one form, wherever it goes"
        raise InvalidRequestError(f"{shown} is given as {given[name]!r} and as {value!r}", hint=hint)


def _pairs(flag: str, texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise InvalidRequestError(f"{flag} {text!r} is not understood", hint="write NAME=VALUE")
        pairs[name] = value
    return pairs


def _epoch(text: str | None) -> int | None:
    """Return a number; a name is a build argument, whose time is found when there is what it names."""
    from strake_api.models.form import check_epoch, epoch_number

    if text is None:
        return None
    try:
        check_epoch(text)
    except ValueError as error:
        raise InvalidRequestError(f"--source-date-epoch: {error}") from error
    return epoch_number(text)
