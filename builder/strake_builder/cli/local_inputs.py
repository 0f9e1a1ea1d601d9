"""What a build on the user's own machine is given besides its request: by flags, environment and files."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from strake_api.requests.build import BuildRequest
from strake_builder.cli.flags.building import read_secrets, read_ssh
from strake_builder.cli.flags.cache import cache_layout, read_cache_limit
from strake_builder.cli.flags.registry import read_pulling, read_registries
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
    also: tuple[str, ...] = (),
    plan: Callable[[str], object] | None = None,
    unpack_only: bool = False,
) -> BuildInputs:
    """Return the inputs that the flags of `add_building_flags` ask for, with the user's own credentials.

    Args:
        arguments: the flags.
        request: what they ask for.
        dockerfile_path: a Dockerfile outside the context, in place of the request's.
        outputs: what becomes of the image; by default it is pushed.
        also: further stages to build.
        plan: is given the lines of the plan, in place of a build.
        unpack_only: unpack the base images, in place of a build.

    Raises:
        InvalidRequestError: a flag is malformed, or names a file that cannot be read.
        SigningError: the key that is to sign cannot be used.
    """
    registry = user_credentials(getattr(arguments, "credential_helpers", None))
    registries = read_registries(arguments)
    sockets, keys = read_ssh(arguments.ssh)
    return BuildInputs(
        credentials=BuildCredentials(
            git=git_credentials_of(request, os.environ), pull=registry, push=registry
        ),
        registries=registries,
        pulling=read_pulling(arguments, registries),
        run=RunInputs(
            secrets=read_secrets(arguments.secret),
            ssh_sockets=sockets,
            ssh_keys=keys,
        ),
        dockerfile_path=dockerfile_path,
        cache=CacheDirectory(
            path=os.path.abspath(arguments.cache_dir) if arguments.cache_dir else None,
            limit=read_cache_limit(arguments),
            layout=cache_layout(arguments),
        ),
        max_unpacked=read_max_unpacked(arguments),
        jobs=arguments.jobs,
        rootfs=arguments.rootfs,
        outputs=outputs or ImageOutputs(),
        signing=read_signing(arguments),
        also=also,
        plan=plan,
        unpack_only=unpack_only,
    )
