"""`strake execute`: what runs in a builder pod. One document in, one document out."""

from __future__ import annotations

import argparse
import os
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
    parser.add_argument(
        "--request-digest",
        metavar="DIGEST",
        help="sha256:… of the BuildRequest as it should be: another one is refused before it is read",
    )
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
        lambda: _prepare(arguments.request, arguments.request_digest, read_max_unpacked(arguments)),
        log_format=arguments.log_format,
        isolation=arguments.isolation,
        result_path=arguments.result,
    )


def _prepare(path: str, digest: str | None, max_unpacked: int) -> tuple[BuildRequest, BuildInputs]:
    from strake_api.request import BuildRequest
    from strake_builder.cli import ca_bundle
    from strake_builder.cli.registry_access import requested_access
    from strake_builder.cli.registry_credentials import mounted_credentials
    from strake_builder.context.git_credentials import mounted_git_credentials
    from strake_builder.solve.inputs import BuildCredentials, BuildInputs

    content = _read(path, digest)
    with validated(f"the request {path}"):
        request = BuildRequest.model_validate_json(content)
    if request.ca is not None:
        ca_bundle.install(request.ca, os.environ)
    git = request.source.git
    push = mounted_credentials(request.registries.push_config)
    return request, BuildInputs(
        credentials=BuildCredentials(
            git=mounted_git_credentials(git.credentials, git.url) if git and git.credentials else None,
            pull=_pull_credentials(request, push),
            push=push,
        ),
        registries=requested_access(request.registries),
        max_unpacked=max_unpacked,
    )


def _read(path: str, digest: str | None) -> bytes:
    """Return the request's bytes.

    The credentials of the pod are for one build: what somebody else put in the place of its request would get
    them, too.
    """
    import hashlib

    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequestError(f"cannot read the request {path}: {error.strerror}") from error
    found = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if digest is not None and found != digest:
        raise InvalidRequestError(
            f"the request {path} is not the one that was made for this build: its digest is {found}, and "
            f"{digest} is expected. In a pod it comes from the ConfigMap with the name of the Job: somebody "
            "made that before, or replaced it. Delete it, see who may create ConfigMaps there, then delete "
            "the ImageBuild and apply it again"
        )
    return content


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
