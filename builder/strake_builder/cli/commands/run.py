"""`strake run`: an ImageBuild manifest, carried out here instead of in a cluster."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from strake_builder.cli.flags.building import add_building_flags
from strake_builder.cli.flags.cache import read_cache
from strake_builder.cli.flags.log import read_log
from strake_builder.cli.validation import validated
from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuild
    from strake_api.requests.build import BuildRequest
    from strake_api.result import BuildSucceeded
    from strake_builder.solve.inputs import BuildInputs

_NOTES: Final = """\
What a cluster would add is taken from here: `pushSecret` and `pullSecret` are replaced by Docker's config
file, `source.git.secret` and those of `contexts` by $GIT_TOKEN, or $GIT_USERNAME and $GIT_PASSWORD, for ssh
by your own agent and ~/.ssh, `serviceAccountName` by the identity that this machine has in its cloud,
`resources` and `pod` by this machine, but for the names that `pod.hostAliases` gives to RUN.
A ConfigMap that is the source, or that `args` name, must be in the same file; so must Secrets of `args`,
`secrets` and `ssh`, where --secret and --ssh give none of the same id, and that of `output.sign` without
--sign-key.

example:
  strake run -f imagebuild.yaml
"""
_SIZE_LIMIT: Final = 8 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _NOTES
    parser.add_argument(
        "-f", "--filename", required=True, metavar="FILE", help="the manifest; - for standard input"
    )
    add_building_flags(parser)
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Build and push; return the exit status."""
    from strake_builder.cli.session import run_build

    text = sys.stdin.read() if arguments.filename == "-" else None
    style = read_log(arguments)
    return run_build(
        lambda: _prepare(arguments, text),
        style=style,
        isolation=arguments.isolation,
        runtime=arguments.runtime,
        finished=None if arguments.log_format == "json" else _finished,
    )


def _finished(result: BuildSucceeded) -> None:
    for image in result.images:
        sys.stdout.write(f"{image}\n")


def _prepare(arguments: argparse.Namespace, text: str | None) -> tuple[BuildRequest, BuildInputs]:
    from strake_api.conversion import MountedPaths, build_request
    from strake_api.models.source import InlineSource, Source
    from strake_api.requests.base import Registries
    from strake_api.requests.build import BuildRequest
    from strake_builder.cli.local_inputs import local_inputs
    from strake_builder.cli.manifest_objects import ManifestObjects

    documents = _documents(arguments.filename, text)
    manifest = _image_build(documents, arguments.filename)
    request = build_request(
        manifest.spec,
        mounted=MountedPaths(config_map="/"),
        work_directory=os.path.abspath(arguments.work_dir),
        registries=Registries(),
    )
    cache = read_cache(arguments, request.output.destinations, request.cache)
    request = request.model_copy(update={"cache": cache})
    objects = ManifestObjects(documents)
    if manifest.spec.source.config_map is not None:
        data = objects.config_map(manifest.spec.source.config_map.name)
        request = request.model_copy(update={"source": Source(inline=InlineSource(files=data))})
    with validated("args"):
        request = request.model_copy(update={"args": objects.arguments(manifest.spec)})
    with validated():
        request = BuildRequest.model_validate(request.to_dict())  # a flag may contradict the manifest
    inputs = local_inputs(arguments, request)
    return request, replace(
        inputs,
        run=objects.run_inputs(manifest.spec, inputs.run),
        signing=objects.signing(manifest.spec, inputs.signing, arguments.sign_form),
        secret_arguments=frozenset(each.name for each in manifest.spec.args if each.value_from is not None),
    )


def _documents(filename: str, text: str | None) -> list[dict[str, Any]]:
    import yaml

    try:
        content = Path(filename).read_text(encoding="utf-8") if text is None else text
        if len(content) > _SIZE_LIMIT:
            raise InvalidRequestError(f"{filename} is larger than {_SIZE_LIMIT >> 20} MiB")
        return [document for document in yaml.safe_load_all(content) if isinstance(document, dict)]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"cannot read {filename}: {error}") from error
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        # Of a value with a tag that it does not fit (!!int x) PyYAML raises what happens to come.
        raise InvalidRequestError(f"{filename} is no YAML: {error}") from error


def _image_build(documents: list[dict[str, Any]], filename: str) -> ImageBuild:
    from strake_api.imagebuild import ImageBuild

    found = [document for document in documents if document.get("kind") == "ImageBuild"]
    if len(found) != 1:
        raise InvalidRequestError(f"{filename} has {len(found)} ImageBuild manifests, expected one")
    with validated(filename):
        return ImageBuild.model_validate(found[0])
