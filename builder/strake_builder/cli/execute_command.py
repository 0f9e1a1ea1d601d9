"""`strake execute`: what runs in a builder pod. One document in, one document out."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from strake_builder.cli.validation import problems
from strake_builder.errors import InvalidRequest

if TYPE_CHECKING:
    from strake_api.request import BuildRequest
    from strake_builder.solve.inputs import BuildInputs
    from strake_oci.credentials.sources import Credentials


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument("--request", required=True, metavar="FILE", help="the BuildRequest, as JSON")
    parser.add_argument("--result", metavar="FILE", help="where the BuildResult goes, at most 4,096 bytes")
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="(default: text)")
    parser.set_defaults(handler=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Build what the request says; return the exit status."""
    from strake_builder.cli.session import run_build

    return run_build(
        lambda: _prepare(arguments.request), log_format=arguments.log_format, result_path=arguments.result
    )


def _prepare(path: str) -> tuple[BuildRequest, BuildInputs]:
    from pydantic import ValidationError

    from strake_api.request import BuildRequest
    from strake_builder.cli.authorities import trust_everywhere
    from strake_builder.cli.registry_access import requested_access
    from strake_builder.context.git_credentials import mounted_git_credentials
    from strake_builder.solve.inputs import BuildInputs

    try:
        request = BuildRequest.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise InvalidRequest(f"cannot read the request {path}: {error.strerror}") from error
    except ValidationError as error:
        raise InvalidRequest(f"the request {path} is not valid: {problems(error)}") from error
    if request.ca is not None:
        trust_everywhere(request.ca, os.environ)
    git = request.source.git.credentials if request.source.git is not None else None
    return request, BuildInputs(
        git_credentials=mounted_git_credentials(git) if git is not None else None,
        pull_credentials=mounted_credentials(request.registries.pull_config, request.registries.push_config),
        push_credentials=mounted_credentials(request.registries.push_config),
        registries=requested_access(request.registries),
    )


def mounted_credentials(*paths: str | None) -> Credentials:
    """Return the credentials of mounted Docker config files; of keys that fit, the most specific counts.

    Raises:
        InvalidRequest: a file is there and cannot be read.
    """
    from strake_oci.credentials.sources import Credentials, cloud_credentials
    from strake_oci.errors import CredentialError

    files = [(path, Path(path)) for path in paths if path is not None]
    try:
        return Credentials.from_files(files, then=cloud_credentials())
    except CredentialError as error:
        raise InvalidRequest(error.message, hint=error.hint) from error
