"""Refuses what a step must not open as a socket, in a filter of its own that the runtime inherits.

CAP_NET_RAW, which Dockerfiles see, would let a step on the builder's network read what others on the machine
send. So there it opens no packet and raw sockets, whatever it holds; in a network of its own it may. The
kernel's ciphers (AF_ALG) and the hypervisor's channel (AF_VSOCK) lead out of every namespace, and are open to
none, as in containerd's filter.

The runtime's filter (`system_calls`) cannot say this: libseccomp takes a rule on socket(2) for one on
socketcall(2), too, and loses its conditions. The kernel cuts family and type to 32 bits, and so does this
filter: a number with a high bit set does not slip through. What socketcall(2), by which 32-bit programs of
x86 open sockets, is to open is in memory that no filter sees. So it opens none, or, where a step's programs
need it, any, and the step has no CAP_NET_RAW then.

A filter is a thread's and its children's. It is set by a thread that starts the runtime and ends.

Sources: seccomp(2), socket(2), socketcall(2), packet(7), raw(7); kernel Documentation/userspace-api/
seccomp_filter.rst, Documentation/networking/filter.rst; the numbers are from the kernel's call tables.
"""

from __future__ import annotations

import concurrent.futures
import ctypes
import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import Final, TypeVar

from strake_builder.errors import UnsupportedError

_Result = TypeVar("_Result")

_SYS_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
FILTERED_MACHINES: Final = frozenset(_SYS_SECCOMP)
"""The machines that the filter is known for, as uname(2) names them."""

_SOCKET: Final = {
    0xC000003E: (41, 0x40000029),  # x86-64, and x32 there
    0x40000003: (359,),  # x86
    0xC00000B7: (198,),  # AArch64
    0x40000028: (281,),  # Arm
}
"""Numbers of socket(2) by architecture (AUDIT_ARCH)."""
_X86: Final = 0x40000003
_SYS_SOCKETCALL: Final = 102
_SOCKETCALL_OPENS: Final = (1,)
"""SYS_SOCKET. SYS_SOCKETPAIR opens pairs of AF_UNIX alone."""

_FAMILIES: Final = (socket.AF_UNIX, socket.AF_NETLINK)
_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
_HOST_FAMILIES: Final = (38, 40)
"""AF_ALG, AF_VSOCK."""
_TYPE_BITS: Final = 0xF
_RAW_TYPES: Final = (3, 10)
"""SOCK_RAW, and SOCK_PACKET, which the kernel takes for AF_PACKET."""

_LOAD, _JUMP_IF, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_AT, _SECOND_AT = 0, 4, 16, 24
"""Where struct seccomp_data has them; of an argument the lower half, on little-endian machines."""

_Line = tuple[int, int, str, str]
"""Code, operand, and where it goes on if equal and if not; "" for the next one."""


def socket_filter(*, own_network: bool, by_pointer: bool) -> bytes:
    """Return the filter of a step as the kernel takes it.

    Args:
        own_network: it has a network of its own.
        by_pointer: socketcall(2) may open sockets, of any kind.
    """
    lines: list[tuple[str, _Line]] = []
    for architecture, numbers in _SOCKET.items():
        after = f"after {architecture}"
        lines += [
            ("", (_LOAD, _ARCHITECTURE_AT, "", "")),
            ("", (_JUMP_IF, architecture, "", after)),
            ("", (_LOAD, _NUMBER_AT, "", "")),
            *(("", (_JUMP_IF, number, "family", "")) for number in numbers),
        ]
        if architecture == _X86 and not by_pointer:
            lines += [
                ("", (_JUMP_IF, _SYS_SOCKETCALL, "", "allow")),
                ("", (_LOAD, _FIRST_AT, "", "")),
                *(("", (_JUMP_IF, call, "refuse", "")) for call in _SOCKETCALL_OPENS),
            ]
        lines += [("", (_RETURN, _ALLOW, "", "")), (after, (_LOAD, _ARCHITECTURE_AT, "", ""))]
    lines += [("", (_RETURN, _ALLOW, "", "")), ("family", (_LOAD, _FIRST_AT, "", ""))]
    lines += _of_any_network() if own_network else _of_the_builders_network()
    lines += [("allow", (_RETURN, _ALLOW, "", "")), ("refuse", (_RETURN, _REFUSE, "", ""))]
    return _assembled(lines)


def _of_any_network() -> list[tuple[str, _Line]]:
    return [("", (_JUMP_IF, family, "refuse", "")) for family in _HOST_FAMILIES]


def _of_the_builders_network() -> list[tuple[str, _Line]]:
    return [
        *(("", (_JUMP_IF, family, "allow", "")) for family in _FAMILIES),
        *(("", (_JUMP_IF, family, "type", "")) for family in _INTERNET),
        ("", (_RETURN, _REFUSE, "", "")),
        ("type", (_LOAD, _SECOND_AT, "", "")),
        ("", (_AND, _TYPE_BITS, "", "")),
        *(("", (_JUMP_IF, kind, "refuse", "")) for kind in _RAW_TYPES),
    ]


def _assembled(lines: list[tuple[str, _Line]]) -> bytes:
    positions = {label: position for position, (label, _) in enumerate(lines) if label}
    written = bytearray()
    for position, (_, (code, operand, equal, other)) in enumerate(lines):
        jumps = [positions[label] - position - 1 if label else 0 for label in (equal, other)]
        written += struct.pack("=HBBI", code, *jumps, operand)
    return bytes(written)


def filtered(program: bytes, start: Callable[[], _Result]) -> _Result:
    """Call something in a thread of its own, which has a filter; what it starts has it, too.

    Nothing is filtered on a machine that is not one of `FILTERED_MACHINES`.

    Raises:
        UnsupportedError: the kernel does not take filters, or not from this process.
    """

    def act() -> _Result:
        set_filter(program)
        return start()

    with concurrent.futures.ThreadPoolExecutor(1, "filtered") as thread:
        return thread.submit(act).result()


def set_filter(program: bytes) -> None:
    """Set a filter for the calling thread and what it starts; nothing on a machine without one.

    Raises:
        UnsupportedError: the kernel does not take filters, or not from this process.
    """
    number = _SYS_SECCOMP.get(os.uname().machine)
    if number is None:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program, len(program))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    mode_filter = 1
    if libc.syscall(number, mode_filter, 0, head) < 0:
        raise UnsupportedError(
            f"cannot keep steps from raw sockets: seccomp: {os.strerror(ctypes.get_errno())}",
            hint="the kernel needs CONFIG_SECCOMP_FILTER, the builder CAP_SYS_ADMIN in its user namespace",
        )
