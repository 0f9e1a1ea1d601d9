"""Turns the mounts of a RUN into what the sandbox mounts: directories made, filled, locked and let go."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import assert_never

from strake_api.models.host_alias import HostAlias
from strake_builder.errors import StepError
from strake_builder.frontend.model.steps import (
    BindMount,
    CacheMount,
    FromScratch,
    HeredocFile,
    Mount,
    SecretMount,
    SshMount,
    TmpfsMount,
)
from strake_builder.rootfs.copying.copy import copy_path
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.mounts.device_nodes import device_nodes
from strake_builder.rootfs.mounts.mountpoints import MountPoint
from strake_builder.sandbox.process import Bind, Device, SandboxMount, Tmpfs
from strake_builder.solve.cache_mounts.kept import KeptMounts, mount_tag
from strake_builder.solve.inputs import RunInputs
from strake_builder.solve.steps.agents import SSHAgents
from strake_builder.solve.steps.file_origins import FileOrigins
from strake_builder.solve.workspace.workspace import Workspace
from strake_oci.spec.platform import Platform

_HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


class MountMaker:
    """Prepares mounts for steps. Thread-safe.

    Args:
        workspace: where temporary directories are made.
        inputs: secrets, SSH keys and sockets of agents.
        cache_directory: where cache mounts outlive the build; None keeps them in the workspace.
        origins: opens stages, images and the context.
        kept: brings cache mounts from another machine; None where they stay on this one.
        aliases: what steps find in /etc/hosts besides their own name.
    """

    def __init__(
        self,
        workspace: Workspace,
        inputs: RunInputs,
        cache_directory: str | None,
        origins: FileOrigins,
        kept: KeptMounts | None = None,
        aliases: Iterable[HostAlias] = (),
    ) -> None:
        self._workspace = workspace
        self._inputs = inputs
        self._agents = SSHAgents(workspace, inputs)
        self._origins = origins
        self._kept = kept
        self._aliases = "".join(f"{each.ip}\t{' '.join(each.hostnames)}\n" for each in aliases)
        self._caches = os.path.join(cache_directory or workspace.path, "mounts")
        os.makedirs(self._caches, mode=0o700, exist_ok=True)
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def prepare(self, mounts: tuple[Mount, ...], platform: Platform, scope: contextlib.ExitStack) -> Prepared:
        """Prepare the mounts of one step; what they hold is let go when `scope` closes.

        Raises:
            StepError: a required secret or agent is missing, or a source does not exist.
        """
        prepared = Prepared()
        for mount in mounts:
            match mount:
                case BindMount():
                    self._bind(mount, platform, prepared, scope)
                case CacheMount():
                    self._cache(mount, platform, prepared, scope)
                case TmpfsMount():
                    prepared.add(Tmpfs(mount.target, mount.size), is_directory=True)
                case SecretMount():
                    self._secret(mount, prepared)
                case SshMount():
                    self._ssh(mount, prepared, scope)
                case _:
                    assert_never(mount)
        return prepared

    def network_files(self, prepared: Prepared, hostname: str) -> None:
        """Add copies of the files by which a process finds names; what a step writes there is lost."""
        directory = self._workspace.directory(self._workspace.new_name("etc"))
        resolv = ""
        with (
            contextlib.suppress(OSError),
            open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file,
        ):
            resolv = file.read()
        files = {
            "resolv.conf": resolv,
            "hosts": f"{_HOSTS}127.0.1.1\t{hostname}\n{self._aliases}",
            "hostname": f"{hostname}\n",
        }
        for name, content in files.items():
            path = os.path.join(directory, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
            os.chmod(path, 0o644)
            prepared.add(Bind(path, f"/etc/{name}", read_only=False), is_directory=False)

    def devices(self, prepared: Prepared, scope: contextlib.ExitStack) -> None:
        """Add the devices of a container, before whatever else is mounted in /dev.

        Raises:
            OSError: the kernel lets the builder mount nothing.
        """
        directory = self._workspace.directory(self._workspace.new_name("dev"))
        nodes = scope.enter_context(device_nodes(directory))
        prepared.mounts[:0] = [Device(source, target) for target, source in nodes.items()]

    def scripts(self, files: tuple[HeredocFile, ...], prepared: Prepared) -> None:
        """Add the scripts of heredocs that start with `#!`, in /dev/pipes as BuildKit has them."""
        if not files:
            return
        directory = self._workspace.directory(self._workspace.new_name("scripts"))
        for script in files:
            path = os.path.join(directory, script.name)
            with open(path, "wb") as file:
                file.write(script.content.encode(errors="surrogateescape"))
            os.chmod(path, 0o755)
        prepared.mounts.append(Bind(directory, "/dev/pipes"))

    def _bind(
        self, mount: BindMount, platform: Platform, prepared: Prepared, scope: contextlib.ExitStack
    ) -> None:
        source = self._origins.open_for_mount(mount.source, platform)
        with Root(source) as root, root.at(mount.path.encode(errors="surrogateescape")) as location:
            if location.stat is None:
                raise StepError(f"the source {mount.path} of the mount at {mount.target} does not exist")
            path = os.path.join(source, os.fsdecode(location.path))
            is_directory, is_file = location.is_directory, stat.S_ISREG(location.stat.st_mode)
        if not (is_directory or is_file):
            raise StepError(f"the source {mount.path} of the mount at {mount.target} is no file or directory")
        if not mount.read_only:
            path = self._writable(path, is_directory, scope)
        prepared.add(Bind(path, mount.target, mount.read_only), is_directory=is_directory)

    def _writable(self, path: str, is_directory: bool, scope: contextlib.ExitStack) -> str:
        """Return something that looks like `path`, whose changes are thrown away."""
        name = self._workspace.new_name("bind")
        if is_directory:
            return scope.enter_context(self._workspace.roots.scratch(path, name))
        copy = self._workspace.directory(name)
        with Root(os.path.dirname(path)) as source, Root(copy) as target:
            copy_path(source, os.fsencode(os.path.basename(path)), target, b"/file", CopyOptions())
        return os.path.join(copy, "file")

    def _cache(
        self, mount: CacheMount, platform: Platform, prepared: Prepared, scope: contextlib.ExitStack
    ) -> None:
        origin = f"{mount.source!r}{mount.path}" if mount.source != FromScratch() else ""
        # as in BuildKit, a cache of one id that is to belong to another, or to be open to others, is another
        owned = f"\0{(mount.uid, mount.gid, mount.mode)}" if mount.owned else ""
        name = f"{mount.id}\0{origin}{owned}".encode(errors="surrogateescape")
        own = directory = os.path.join(self._caches, hashlib.sha256(name).hexdigest()[:32])
        match mount.sharing:
            case "shared":
                pass
            case "locked":
                scope.enter_context(self._locked(directory))
            case "private":
                directory = self._private(directory, scope)
        # variants of a private cache, which steps have at the same time, end with the build
        kept = self._kept if directory == own else None
        with self._lock_of(f"{directory}.new"):
            if not os.path.isdir(directory):
                self._new_cache(mount, name, platform, directory, kept)
            elif kept is not None:
                kept.share(mount_tag(name), merges=mount.sharing == "shared")
        prepared.add(Bind(directory, mount.target, mount.read_only), is_directory=True)

    def _new_cache(
        self, mount: CacheMount, name: bytes, platform: Platform, directory: str, kept: KeptMounts | None
    ) -> None:
        """Make the directory of a cache that this builder does not have: what is kept of it, or a new one."""
        if kept is not None:
            merges = mount.sharing == "shared"
            restored = kept.restore(mount_tag(name), mount.target, directory, merges=merges)
            if restored is not None:
                os.rename(restored, directory)
                return
        os.makedirs(directory)
        if mount.source != FromScratch():
            path = mount.path.encode(errors="surrogateescape")
            with Root(self._origins.open(mount.source, platform).path) as root, Root(directory) as target:
                copy_path(root, path, target, b"/", CopyOptions())
        os.chown(directory, mount.uid, mount.gid)
        os.chmod(directory, mount.mode)

    @contextlib.contextmanager
    def _locked(self, directory: str) -> Iterator[None]:
        with self._lock_of(directory):
            fd = os.open(f"{directory}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                yield
            finally:
                os.close(fd)

    def _lock_of(self, name: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(name, threading.Lock())

    def _private(self, directory: str, scope: contextlib.ExitStack) -> str:
        """Return the first variant of a cache that nobody else uses now, and hold it."""
        number = 0
        while True:
            candidate = f"{directory}.{number}" if number else directory
            fd = os.open(f"{candidate}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                number += 1
                continue
            scope.callback(os.close, fd)
            return candidate

    def _secret(self, mount: SecretMount, prepared: Prepared) -> None:
        content = self._inputs.secrets.get(mount.id)
        if content is None:
            if mount.required:
                raise StepError(
                    f"the secret {mount.id!r} was not given to this build",
                    hint=f"pass --secret id={mount.id},src=FILE, or name a Secret in spec.secrets of the "
                    "ImageBuild",
                )
            return
        if mount.env:
            prepared.environment.append(f"{mount.env}={content.decode(errors='surrogateescape')}")
        if mount.target:
            path = os.path.join(self._workspace.memory_directory(), self._workspace.new_name("secret"))
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                os.fchown(file.fileno(), mount.uid, mount.gid)
                os.fchmod(file.fileno(), mount.mode)
            prepared.add(Bind(path, mount.target), is_directory=False)

    def _ssh(self, mount: SshMount, prepared: Prepared, scope: contextlib.ExitStack) -> None:
        if mount.id not in self._agents:
            if mount.required:
                raise StepError(
                    f"no SSH agent {mount.id!r} was given to this build",
                    hint=f"pass --ssh {mount.id}, or name a Secret in spec.ssh of the ImageBuild",
                )
            return
        socket = self._agents.offer(mount.id, (mount.uid, mount.gid), mount.mode, scope)
        prepared.environment.append(f"SSH_AUTH_SOCK={mount.target}")
        prepared.add(Bind(socket, mount.target, read_only=False), is_directory=False)


class Prepared:
    """The mounts of a step, made.

    Attributes:
        mounts: for the sandbox, in order.
        points: where they go, to be made in the root if missing.
        environment: "K=V" that mounts announce.
    """

    def __init__(self) -> None:
        self.mounts: list[SandboxMount] = []
        self.points: list[MountPoint] = []
        self.environment: list[str] = []

    def add(self, mount: SandboxMount, *, is_directory: bool) -> None:
        """Take in a mount and its place."""
        if isinstance(mount, Bind):
            mount = replace(mount, is_file=not is_directory)
        self.mounts.append(mount)
        self.points.append(MountPoint(mount.target.encode(errors="surrogateescape"), is_directory))
