"""What a build on the user's own machine is given besides its request: by flags, environment and files."""

from __future__ import annotations

import argparse
import os

from strake_api.request import BuildRequest
from strake_builder.cli.flags.building import read_secrets, read_ssh
from strake_builder.cli.flags.cache import read_cache_limit
from strake_builder.cli.flags.registry import read_registries
from strake_builder.cli.flags.signing import read_signing
from strake_builder.cli.flags.values.sizes import read_max_unpacked
from strake_builder.cli.registries.registry_credentials import user_credentials
from strake_builder.context.git.credentials import git_credentials_of
from strake_builder.solve.inputs import (
    BuildCredentials,
    BuildInputs,
    CacheDirectory,
    ImageOutputs,
    RunInputs,
)


def local_inputs(
    arguments: argparse.Namespace,
    request: BuildRequest,
    *,
    dockerfile_path: str | None = None,
    outputs: ImageOutputs | None = None,
) -> BuildInputs:
    """Return the inputs that the flags of `add_building_flags` ask for, with the user's own credentials.

    Args:
        arguments: the flags.
        request: what they ask for.
        dockerfile_path: a Dockerfile outside the context, in place of the request's.
        outputs: what becomes of the image; by default it is pushed.

    Raises:
        InvalidRequestError: a flag is malformed, or names a file that cannot be read.
        SigningError: the key that is to sign cannot be used.
    """
    registry = user_credentials()
    sockets, keys = read_ssh(arguments.ssh)
    return BuildInputs(
        credentials=BuildCredentials(
            git=git_credentials_of(request, os.environ), pull=registry, push=registry
        ),
        registries=read_registries(arguments),
        run=RunInputs(
            secrets=read_secrets(arguments.secret),
            ssh_sockets=sockets,
            ssh_keys=keys,
        ),
        dockerfile_path=dockerfile_path,
        cache=CacheDirectory(
            path=os.path.abspath(arguments.cache_dir) if arguments.cache_dir else None,
            limit=read_cache_limit(arguments),
        ),
        max_unpacked=read_max_unpacked(arguments),
        jobs=arguments.jobs,
        rootfs=arguments.rootfs,
        outputs=outputs or ImageOutputs(),
        signing=read_signing(arguments),
    )
