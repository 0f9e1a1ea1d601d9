"""What a build is given besides its request: things that are never part of a document."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from strake_builder.context.git_credentials import GitCredentials
from strake_builder.output.targets import FileTarget
from strake_builder.rootfs.backends.selection import RootfsKind
from strake_builder.rootfs.unpack.allowance import MAX_UNPACKED
from strake_oci.credentials import CredentialSource, NoCredentials
from strake_oci.http.settings import ClientSettings


@dataclass(frozen=True, slots=True)
class BuildInputs:
    """Credentials, secrets and places.

    Attributes:
        pull_credentials: for base images.
        push_credentials: for destinations.
        git_credentials: for the server of a context in git.
        registries: how they are reached.
        secrets: content by id, for `RUN --mount=type=secret`.
        ssh_sockets: path of an agent's socket by id, for `RUN --mount=type=ssh`.
        cache_directory: where unpacked layers, results of steps and cache mounts outlive the build; None
            keeps them for the build only.
        cache_limit: bytes of unpacked layers and results to keep there; None keeps all.
        max_unpacked: bytes that a layer, or an archive, may take on disk.
        dockerfile_path: a Dockerfile outside the context, in place of the request's.
        jobs: stages that execute a step at the same time. More than processors, since steps wait for the
            network too.
        runtime: the OCI runtime for RUN.
        rootfs: how root file systems are made.
        push: whether the image goes to its destinations; else they only name it.
        image: whether the image is wanted, if only for its digest; else only its files are, and without a
            cache no layer is written.
        files: where the image goes besides registries.
        file_mask: permission bits that files written for the user do not get.
    """

    pull_credentials: CredentialSource = field(default_factory=NoCredentials)
    push_credentials: CredentialSource = field(default_factory=NoCredentials)
    git_credentials: GitCredentials | None = None
    registries: ClientSettings = field(default_factory=ClientSettings)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    ssh_sockets: Mapping[str, str] = field(default_factory=dict)
    cache_directory: str | None = None
    cache_limit: int | None = None
    max_unpacked: int = MAX_UNPACKED
    dockerfile_path: str | None = None
    jobs: int = max(4, os.cpu_count() or 4)
    runtime: str = "crun"
    rootfs: RootfsKind = "auto"
    push: bool = True
    image: bool = True
    files: tuple[FileTarget, ...] = ()
    file_mask: int = 0o022
