"""The few system calls that Python 3.11 does not offer: mounting, and new namespaces."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x40000
CLONE_NEWNS: Final = 0x00020000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWUSER: Final = 0x10000000
_MNT_DETACH: Final = 0x2
_PR_SET_PDEATHSIG: Final = 1
_PR_CAPBSET_DROP: Final = 24
_PR_SET_CHILD_SUBREAPER: Final = 36
_KEYCTL_JOIN_SESSION_KEYRING: Final = 1
_SYS_KEYCTL: Final = {"x86_64": 250, "aarch64": 219}
_SYS_MOUNT_SETATTR: Final = 442
_SYS_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: bytes, target: bytes, kind: bytes | None, flags: int, options: bytes | None = None) -> None:
    """Attach a file system or a bind; the arguments are the system call's.

    Raises:
        OSError: as the system call.
    """
    _check(_libc.mount(source, target, kind, ctypes.c_ulong(flags), options), target)


def unmount(target: bytes) -> None:
    """Unmount lazily (umount2 with MNT_DETACH): gone from sight at once.

    Raises:
        OSError: as the system call.
    """
    _check(_libc.umount2(target, _MNT_DETACH), target)


def unshare(flags: int) -> None:
    """Give the calling thread namespaces of its own.

    Raises:
        OSError: as the system call.
    """
    _check(_libc.unshare(flags), None)


def leave_session_keyring() -> None:
    """Join a new session keyring (keyctl(2)), where the kernel and its filters let a process have one."""
    number = _SYS_KEYCTL.get(os.uname().machine)
    if number is not None:
        _libc.syscall(number, _KEYCTL_JOIN_SESSION_KEYRING, None)


def die_with_parent(signal: int) -> None:
    """Ask the kernel to send this process a signal when its parent ends (PR_SET_PDEATHSIG)."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0), None)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (PR_SET_CHILD_SUBREAPER)."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), None)


def drop_from_bounding_set(capability: int) -> bool:
    """Take a capability from what this process and its children can ever have; say whether it is gone."""
    return bool(_libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)


def pivot_root_refused() -> bool:
    """Say whether a seccomp profile refuses pivot_root(2), as container runtimes' default ones do.

    The call is made with paths that do not exist, so that it can only fail: with ENOENT where the
    kernel looked at them, with EPERM where a filter did not let it.
    """
    number = _SYS_PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        return True
    missing = b"/nonexistent"
    _libc.syscall(number, missing, missing)
    return ctypes.get_errno() != errno.ENOENT


def mount_setattr_refused() -> bool:
    """Say whether mount_setattr(2) is not there (before Linux 5.12), or a filter refuses it.

    The call is made with a descriptor that is none, so that it can only fail: with EBADF or EINVAL where the
    kernel looked at it.
    """
    _libc.syscall(_SYS_MOUNT_SETATTR, -1, b"", 0, None, 0)
    return ctypes.get_errno() in {errno.ENOSYS, errno.EPERM}


def _check(result: int, path: bytes | None) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path and os.fsdecode(path))
