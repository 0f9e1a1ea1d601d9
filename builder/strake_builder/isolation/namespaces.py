"""Makes the namespaces of a way for the calling process, which must have one thread only."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from strake_builder.isolation.id_maps import Extent, granted_ids, parse_map, same_ids
from strake_builder.rootfs.mounts import syscalls

_HYBRID_CGROUPS: Final = b"/sys/fs/cgroup/unified"
_SUBORDINATE: Final = {"uid": "/etc/subuid", "gid": "/etc/subgid"}
_CAP_SETUID: Final = 7


def enter_user_namespace() -> None:
    """Put the process into a new user namespace with every ID that it can have there.

    A process of the old namespace must write the map: one is forked for it before.

    Raises:
        OSError: the kernel, a seccomp profile or a limit refuses the namespace or its map.
    """
    maps = {kind: parse_map(Path(f"/proc/self/{kind}_map").read_text()) for kind in ("uid", "gid")}
    privileged = _holds_setuid()
    process = os.getpid()
    go_reader, go_writer = os.pipe()
    done_reader, done_writer = os.pipe()
    mapper = os.fork()
    if mapper == 0:
        _as_mapper(
            lambda: _write_maps(process, maps, privileged=privileged), go_reader, go_writer, done_writer
        )
    os.close(go_reader)
    os.close(done_writer)
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        os.write(go_writer, b"!")
    finally:
        os.close(go_writer)
        answer = os.read(done_reader, 4096)
        os.close(done_reader)
        os.waitpid(mapper, 0)
    if answer != b"0":
        number, _, reason = answer.decode(errors="replace").partition(" ")
        raise OSError(int(number or errno.EPERM), reason or os.strerror(errno.EPERM))
    if not privileged:
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)


def _as_mapper(act: Callable[[], None], go: int, go_writer: int, done: int) -> None:
    """What the forked process does: it waits for the namespace, writes its map, answers with an errno."""
    os.close(go_writer)
    try:
        if os.read(go, 1):
            act()
            os.write(done, b"0")
    except OSError as error:
        os.write(done, f"{error.errno} {error.strerror}".encode())
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.decode(errors="replace").split())
        os.write(done, f"{errno.EPERM} {reason or error}".encode())
    finally:
        os._exit(0)


def _holds_setuid() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SETUID & 1)
    return False


def _write_maps(process: int, maps: dict[str, tuple[Extent, ...]], *, privileged: bool) -> None:
    if privileged:
        for kind, extents in maps.items():
            _write_map(process, kind, same_ids(extents))
        return
    own = {"uid": os.geteuid(), "gid": os.getegid()}
    granted = {kind: _granted(kind) for kind in own}
    if all(granted.values()) and all(shutil.which(f"new{kind}map") for kind in own):
        for kind, number in own.items():
            extents = (Extent(0, number, 1), *granted[kind])
            words = [word for extent in extents for word in str(extent).split()]
            subprocess.run([f"new{kind}map", str(process), *words], check=True, capture_output=True)
        return
    Path(f"/proc/{process}/setgroups").write_text("deny")
    for kind, number in own.items():
        _write_map(process, kind, (Extent(0, number, 1),))


def _write_map(process: int, kind: str, extents: tuple[Extent, ...]) -> None:
    with open(
        f"/proc/{process}/{kind}_map", "wb", buffering=0
    ) as file:  # the kernel takes a map in one write
        file.write("".join(f"{extent}\n" for extent in extents).encode())


def _granted(kind: str) -> tuple[Extent, ...]:
    import pwd

    try:
        user = pwd.getpwuid(os.getuid()).pw_name
        return granted_ids(Path(_SUBORDINATE[kind]).read_text(), user, os.getuid())
    except (OSError, KeyError):
        return ()


def make_mounts_private() -> None:
    """Keep mounts of the process from the rest of the machine, and the machine's from it.

    Raises:
        OSError: an AppArmor or seccomp profile refuses mounts.
    """
    syscalls.mount(b"none", b"/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    if os.path.isdir(_HYBRID_CGROUPS):
        # crun refuses to run where both cgroup versions are mounted, even when it is to leave them alone.
        try:
            syscalls.unmount(_HYBRID_CGROUPS)
        except OSError:  # it came from outside the user namespace, which may only cover it
            with contextlib.suppress(OSError):
                syscalls.mount(b"tmpfs", _HYBRID_CGROUPS, b"tmpfs", syscalls.MS_NOSUID)


def mount_proc() -> None:
    """Mount a /proc of the PID namespace that the process is the first of.

    Raises:
        OSError: parts of /proc are masked here, as in most containers, and the user namespace is nested.
    """
    syscalls.mount(b"proc", b"/proc", b"proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
