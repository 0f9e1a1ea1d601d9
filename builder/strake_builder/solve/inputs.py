"""What a build is given besides its request: things that are never part of a document."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import field

from strake_builder.context.git.credentials import GitAccess
from strake_builder.isolation.sandboxes import Confinement
from strake_builder.output.signing import Signing
from strake_builder.output.targets import FileTarget
from strake_builder.rootfs.backends.selection import RootfsKind
from strake_builder.rootfs.unpack.allowance import MAX_UNPACKED
from strake_builder.solve.observer import BuildObserver
from strake_oci.credentials import CredentialSource, NoCredentials
from strake_oci.lazy_dataclass import dataclass
from strake_oci.registry.settings import ClientSettings
from strake_oci.spec.digest import Digest


@dataclass(frozen=True, slots=True)
class BuildCredentials:
    """What opens registries and git servers.

    Attributes:
        pull: for base images.
        push: for destinations, and for the cache's repository.
        git: for the servers of contexts in git, by the URL of the repository.
    """

    pull: CredentialSource = field(default_factory=NoCredentials)
    push: CredentialSource = field(default_factory=NoCredentials)
    git: Mapping[str, GitAccess] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What RUN is given.

    Attributes:
        secrets: content by id, for `RUN --mount=type=secret`.
        ssh_sockets: path of an agent's socket by id, for `RUN --mount=type=ssh`.
        ssh_keys: private keys by id, for the same: they get an agent of the build's.
    """

    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    ssh_sockets: Mapping[str, str] = field(default_factory=dict)
    ssh_keys: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class CacheDirectory:
    """Where unpacked layers, results of steps and cache mounts outlive the build.

    Attributes:
        path: the directory; None keeps them for the build only.
        limit: bytes of unpacked layers and results to keep there; None keeps all.
        layout: an OCI image layout that keeps results of steps in place of a repository.
    """

    path: str | None = None
    limit: int | None = None
    layout: str | None = None

    @property
    def directories(self) -> tuple[str, ...]:
        """All that outlives the build."""
        return tuple(each for each in (self.path, self.layout) if each is not None)


@dataclass(frozen=True, slots=True)
class ImageOutputs:
    """What becomes of the image.

    Attributes:
        push: whether it goes to its destinations; else they only name it.
        image: whether it is wanted, if only for its digest; else only its files are, and without a cache
            no layer is written.
        files: where it goes besides registries.
        file_mask: permission bits that files written for the user do not get.
        left_out: paths from the root of an image that no new layer has.
        single_layer: the steps of each stage that is in the image make one layer together.
        immutable_tags_stay: a tag that its registry does not let move is no failure.
    """

    push: bool = True
    image: bool = True
    files: tuple[FileTarget, ...] = ()
    file_mask: int = 0o022
    left_out: frozenset[bytes] = frozenset()
    single_layer: bool = False
    immutable_tags_stay: bool = False


@dataclass(frozen=True, slots=True)
class BuildInputs:
    """Credentials, secrets and places.

    Attributes:
        credentials: for registries and git servers.
        registries: how they are reached, and which networks nothing that a build names may be in.
        pulling: how those of base images are reached; None where it is no different.
        run: for RUN.
        confinement: how the processes of RUN are confined.
        dockerfile_path: a Dockerfile outside the context, in place of the request's.
        cache: the cache directory.
        volumes: directories where base images are mounted, by the digest of the platform's manifest.
        max_unpacked: bytes that a layer, or an archive, may take on disk.
        jobs: stages that execute a step at the same time. More than processors, since steps wait for the
            network too.
        rootfs: how root file systems are made.
        outputs: what becomes of the image.
        signing: how what is pushed is signed; None where it is not.
        secret_arguments: names of build arguments whose values are not to be shown.
        also: further stages to build, which are no part of the image.
        plan: is given the lines of the plan, and nothing is built; None builds.
        unpack_only: unpack the base images, and build nothing.
        observer: hears what the result has no room for.
    """

    credentials: BuildCredentials = field(default_factory=BuildCredentials)
    registries: ClientSettings = field(default_factory=ClientSettings)
    pulling: ClientSettings | None = None
    run: RunInputs = field(default_factory=RunInputs)
    confinement: Confinement = field(default_factory=Confinement)
    dockerfile_path: str | None = None
    cache: CacheDirectory = field(default_factory=CacheDirectory)
    volumes: Mapping[Digest, str] = field(default_factory=dict)
    max_unpacked: int = MAX_UNPACKED
    jobs: int = max(4, os.cpu_count() or 4)
    rootfs: RootfsKind = "auto"
    outputs: ImageOutputs = field(default_factory=ImageOutputs)
    signing: Signing | None = None
    secret_arguments: frozenset[str] = frozenset()
    also: tuple[str, ...] = ()
    plan: Callable[[str], object] | None = None
    unpack_only: bool = False
    observer: BuildObserver = field(default_factory=BuildObserver)
