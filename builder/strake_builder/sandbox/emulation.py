"""Finds out whether this machine runs programs of another architecture, by running one.

An emulator is registered with the kernel (binfmt_misc), and must be registered with the flag F: else it is
looked for inside the step's root, where it is not. What is registered can be read only where somebody has
mounted it, and says nothing of architectures that the processor runs by itself. So the question is asked as
BuildKit asks it: with a program of a few instructions that ends with status 0, run in a root that is empty
otherwise.

Sources: kernel Documentation/admin-guide/binfmt-misc.rst; ELF-64 and ELF-32 object file formats; the
numbers of exit(2) from the kernel's system call tables.
"""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from strake_oci.lazy_dataclass import dataclass

_BASE: Final = 0x10000
_SECONDS: Final = 20


class Foreign(Enum):
    """What came of a program of another architecture."""

    RUNS = "runs"
    NO_EMULATOR = "no emulator"
    EMULATOR_OUTSIDE = "the emulator is registered without the flag F"


@dataclass(frozen=True, slots=True)
class _Machine:
    """How an architecture's programs look.

    Attributes:
        number: `e_machine`.
        code: machine instructions for `_exit(0)`.
        flags: `e_flags`.
        bits: 32 or 64.
        big: big-endian.
    """

    number: int
    code: str
    flags: int = 0
    bits: int = 64
    big: bool = False

    def program(self) -> bytes:
        """Return an ELF executable of one segment, whose code follows its headers."""
        code = bytes.fromhex(self.code)
        wide = self.bits == 64  # noqa: PLR2004 - bits
        header, entry = (64, 56) if wide else (52, 32)
        start, size = _BASE + header + entry, header + entry + len(code)
        order, word = (">" if self.big else "<"), ("Q" if wide else "I")
        identity = b"\x7fELF" + bytes([2 if wide else 1, 2 if self.big else 1, 1]) + bytes(9)
        elf = struct.pack(
            f"{order}HHI{word}{word}{word}IHHHHHH",
            *(2, self.number, 1, start, header, 0, self.flags, header, entry, 1, 0, 0, 0),
        )
        if wide:
            segment = struct.pack(f"{order}IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, _BASE)
        else:
            segment = struct.pack(f"{order}IIIIIIII", 1, 0, _BASE, _BASE, size, size, 5, _BASE)
        return identity + elf + segment + code


_MACHINES: Final[Mapping[str, _Machine]] = MappingProxyType(
    {
        "386": _Machine(3, "31db b801000000 cd80", bits=32),
        "amd64": _Machine(62, "31ff b83c000000 0f05"),
        "arm": _Machine(40, "0000a0e3 0170a0e3 000000ef", flags=0x05000000, bits=32),
        "arm64": _Machine(183, "000080d2 a80b80d2 010000d4"),
        "loong64": _Machine(258, "04008002 0b748103 00002b00", flags=0x43),
        "mips64le": _Machine(8, "00000424 c2130224 0c000000", flags=0x80000007),
        "ppc64le": _Machine(21, "00006038 01000038 02000044", flags=2),
        "riscv64": _Machine(243, "13050000 9308d005 73000000"),
        "s390x": _Machine(22, "a7290000 0a01", big=True),
    }
)


def runs_here(architecture: str, directory: str) -> Foreign:
    """Try a program of another architecture.

    Args:
        architecture: as in a platform: "arm64".
        directory: where a root may be made for it; programs can be run from there.

    Raises:
        OSError: the root cannot be made.
    """
    machine = _MACHINES.get(architecture)
    if machine is None:
        return Foreign.NO_EMULATOR
    with tempfile.TemporaryDirectory(prefix="probe-", dir=directory) as root:
        path = os.path.join(root, "probe")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700), "wb") as file:
            file.write(machine.program())
        if _status(["chroot", root, "/probe"]) == 0:
            return Foreign.RUNS
        try:
            _status([path])
        except OSError as error:
            return Foreign.NO_EMULATOR if error.errno == errno.ENOEXEC else Foreign.EMULATOR_OUTSIDE
        return Foreign.EMULATOR_OUTSIDE


def _status(command: list[str]) -> int | None:
    """Return with which status a command ends, None if it does not."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.returncode
