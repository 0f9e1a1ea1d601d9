"""Mounts of a RUN step with nothing left to expand: a closed union, one class per type.

The reading of `--mount=…` is `reading.mounts`; rules and defaults are BuildKit's.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from strake_builder.frontend.model.file_origins import FileOrigin
from strake_oci.lazy_dataclass import dataclass

CacheSharing: TypeAlias = Literal["shared", "private", "locked"]


@dataclass(frozen=True, slots=True)
class BindMount:
    """`--mount=type=bind`.

    Attributes:
        source: Whose files are mounted.
        path: Absolute path within the source; "/" is all of it.
        target: Absolute path in the container.
        read_only: When False, writes succeed and are thrown away.
    """

    source: FileOrigin
    path: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class CacheMount:
    """`--mount=type=cache`: a directory that outlives the build.

    Attributes:
        id: Identity of the cache; the cleaned target when the Dockerfile names none.
        target: Absolute path in the container.
        source: What an empty cache is filled from (an empty directory: `FromScratch`).
        path: Absolute path within the source.
        sharing: What happens when two steps use it at once.
        mode: Permission bits of a directory made anew.
        uid: Its owner.
        gid: Its group.
        read_only: Mount it read-only.
        owned: The Dockerfile names mode, user or group. Such caches are others than those without, even
            where it names the defaults; as in BuildKit.
    """

    id: str
    target: str
    source: FileOrigin
    path: str = "/"
    sharing: CacheSharing = "shared"
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    read_only: bool = False
    owned: bool = False


@dataclass(frozen=True, slots=True)
class TmpfsMount:
    """`--mount=type=tmpfs`; `size` in bytes, None for the kernel's default."""

    target: str
    size: int | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class SecretMount:
    """`--mount=type=secret`.

    Attributes:
        id: Name of the secret among those the build was given.
        target: Absolute path of the file, None when the secret is only an environment variable.
        env: Name of the environment variable that holds it, None for none.
        required: Fail when the build was not given the secret; otherwise the mount is left out.
        mode: Permission bits of the file.
        uid: Its owner.
        gid: Its group.
    """

    id: str
    target: str | None
    env: str | None = None
    required: bool = False
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class SshMount:
    """`--mount=type=ssh`: an agent's socket at `target`, announced in SSH_AUTH_SOCK."""

    id: str
    target: str
    required: bool = False
    mode: int = 0o600
    uid: int = 0
    gid: int = 0


Mount: TypeAlias = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount
