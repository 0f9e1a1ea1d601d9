"""Turns the mounts of a RUN into what the sandbox mounts, in BuildKit's order."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import assert_never

from strake_api.models.host_alias import HostAlias
from strake_builder.errors import StepError
from strake_builder.frontend.model.steps import (
    BindMount,
    CacheMount,
    HeredocFile,
    Mount,
    SecretMount,
    SshMount,
    TmpfsMount,
)
from strake_builder.rootfs.copying.copy import copy_whole
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.mounts.device_nodes import device_nodes
from strake_builder.rootfs.mounts.mountpoints import MountPoint
from strake_builder.sandbox.process import Bind, Device, SandboxMount, Tmpfs
from strake_builder.solve.cache_mounts.directories import CacheDirectories, HeldCaches
from strake_builder.solve.cache_mounts.kept import KeptMounts
from strake_builder.solve.inputs import RunInputs
from strake_builder.solve.steps.agents import SSHAgents
from strake_builder.solve.steps.file_origins import FileOrigins
from strake_builder.solve.workspace.workspace import Workspace
from strake_oci.spec.platform import Platform

_HOSTS = "127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n"


class MountMaker:
    """Prepares mounts for steps. Thread-safe.

    Args:
        workspace: where temporary directories are made.
        inputs: secrets, SSH keys and sockets of agents.
        cache_directory: where cache mounts outlive the build; None keeps them in the workspace.
        origins: opens stages, images and the context.
        warn: called with a message when a step waits.
        kept: brings cache mounts from another machine; None where they stay on this one.
        aliases: what steps find in /etc/hosts besides their own name.
    """

    def __init__(
        self,
        workspace: Workspace,
        inputs: RunInputs,
        cache_directory: str | None,
        origins: FileOrigins,
        warn: Callable[[str], None],
        kept: KeptMounts | None = None,
        aliases: Iterable[HostAlias] = (),
    ) -> None:
        self._workspace = workspace
        self._inputs = inputs
        self._agents = SSHAgents(workspace, inputs)
        self._origins = origins
        self._aliases = "".join(f"{each.ip}\t{' '.join(each.hostnames)}\n" for each in aliases)
        self._caches = CacheDirectories(os.path.join(cache_directory or workspace.path, "mounts"), kept, warn)

    def prepare(
        self, mounts: tuple[Mount, ...], root: Root, platform: Platform, scope: contextlib.ExitStack
    ) -> Prepared:
        """Prepare the mounts of one step; what they hold is let go when `scope` closes.

        The order is BuildKit's: outer targets come before inner ones, and of several mounts at one target the
        last remains, where secrets and agents count as later than all others.

        Args:
            mounts: in the Dockerfile's order.
            root: the step's.
            platform: of images that are mounted.
            scope: of the step.

        Raises:
            StepError: a required secret or agent is missing, or a source does not exist.
        """
        prepared = Prepared()
        caches = [mount for mount in mounts if isinstance(mount, CacheMount)]
        held = scope.enter_context(self._caches.held(caches))
        for mount in sorted(mounts, key=lambda each: isinstance(each, SecretMount | SshMount)):
            match mount:
                case BindMount():
                    self._bind(mount, platform, prepared, scope)
                case CacheMount():
                    self._cache(mount, platform, held, prepared)
                case TmpfsMount():
                    prepared.add(Tmpfs(mount.target, mount.size), is_directory=True)
                case SecretMount():
                    self._secret(mount, prepared)
                case SshMount():
                    self._ssh(mount, prepared, scope)
                case _:
                    assert_never(mount)
        prepared.arrange()
        prepared.take_modes(root)
        return prepared

    def network_files(self, prepared: Prepared, hostname: str) -> None:
        """Add copies of the files by which a process finds names; what a step writes there is lost.

        They come before the step's mounts: one at /etc hides them, as it does with BuildKit. As there,
        /etc/hostname is not among them: it is the image's, and what a step writes to it is in the layer.
        """
        directory = self._workspace.directory(self._workspace.new_name("etc"))
        resolv = ""
        with (
            contextlib.suppress(OSError),
            open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file,
        ):
            resolv = file.read()
        files = {
            "resolv.conf": resolv,
            "hosts": _HOSTS.format(hostname=hostname) + self._aliases,
        }
        first = Prepared()
        for name, content in files.items():
            path = os.path.join(directory, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
            os.chmod(path, 0o644)
            first.add(Bind(path, f"/etc/{name}", read_only=False), is_directory=False)
        prepared.mounts[:0] = first.mounts
        prepared.points[:0] = first.points

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
            copy_whole(source, os.fsencode(os.path.basename(path)), target, b"/file")
        return os.path.join(copy, "file")

    def _cache(self, mount: CacheMount, platform: Platform, held: HeldCaches, prepared: Prepared) -> None:
        directory = held.open(mount, lambda new: self._fill(mount, platform, new))
        prepared.add(Bind(directory, mount.target, mount.read_only), is_directory=True)

    def _fill(self, mount: CacheMount, platform: Platform, directory: str) -> None:
        """Copy what a cache begins with; its directory is as the one that it is copied from."""
        path = mount.path.encode(errors="surrogateescape")
        with Root(self._origins.open(mount.source, platform).path) as root, Root(directory) as target:
            found = root.stat(path)
            if found is not None and not stat.S_ISDIR(found.st_mode):
                raise StepError(
                    f"the source {mount.path} of the cache mount at {mount.target} is no directory",
                    hint="a cache is a directory: name the one that the file is in",
                )
            copy_whole(root, path, target, b"/")

    def _secret(self, mount: SecretMount, prepared: Prepared) -> None:
        content = self._inputs.secrets.get(mount.id)
        if content is None and mount.required:
            raise StepError(
                f"the secret {mount.id!r} was not given to this build",
                hint=f"pass --secret id={mount.id},src=FILE, or name a Secret in spec.secrets of the "
                "ImageBuild",
            )
        if mount.env:  # empty, as with BuildKit, where it was not given
            prepared.environment.append(f"{mount.env}={(content or b'').decode(errors='surrogateescape')}")
        if mount.target and content is not None:
            path = os.path.join(self._workspace.memory_directory(), self._workspace.new_name("secret"))
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                os.fchown(file.fileno(), mount.uid, mount.gid)
                os.fchmod(file.fileno(), mount.mode & 0o777)
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
        prepared.agent = prepared.agent or mount.target
        prepared.add(Bind(socket, mount.target, read_only=False), is_directory=False)


class Prepared:
    """The mounts of a step, made.

    Attributes:
        mounts: for the sandbox, in order.
        points: where they go, to be made in the root if missing.
        environment: "K=V" of secrets.
        agent: the target of the first agent's socket; empty without one.
    """

    def __init__(self) -> None:
        self.mounts: list[SandboxMount] = []
        self.points: list[MountPoint] = []
        self.environment: list[str] = []
        self.agent = ""

    def add(self, mount: SandboxMount, *, is_directory: bool) -> None:
        """Take in a mount and its place."""
        if isinstance(mount, Bind):
            mount = replace(mount, is_file=not is_directory)
        self.mounts.append(mount)
        self.points.append(MountPoint(mount.target.encode(errors="surrogateescape"), is_directory))

    def arrange(self) -> None:
        """Put outer targets before inner ones, and keep the last of those that have one target."""
        last = {mount.target: (mount, point) for mount, point in zip(self.mounts, self.points, strict=True)}
        arranged = [last[target] for target in sorted(last)]
        self.mounts = [mount for mount, _ in arranged]
        self.points = [point for _, point in arranged]

    def take_modes(self, root: Root) -> None:
        """Give each file system in memory the mode of the directory that it hides, as runc does."""
        targets = {mount.target for mount in self.mounts}
        for number, mount in enumerate(self.mounts):
            if isinstance(mount, Tmpfs) and targets.isdisjoint(map(str, PurePosixPath(mount.target).parents)):
                hidden = root.stat(mount.target.encode(errors="surrogateescape"))
                mode = stat.S_IMODE(hidden.st_mode) if hidden is not None else mount.mode
                self.mounts[number] = replace(mount, mode=mode)
