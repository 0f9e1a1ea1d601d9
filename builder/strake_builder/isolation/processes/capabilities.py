"""What a step may do at most: the capabilities of an ordinary container, whatever the builder's own has."""

from __future__ import annotations

from typing import Final

from strake_builder.rootfs.mounts import syscalls
from strake_builder.sandbox.spec import CAPABILITIES

_NUMBERS: Final = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_FSETID": 4,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_RAW": 13,
    "CAP_SYS_CHROOT": 18,
    "CAP_MKNOD": 27,
    "CAP_AUDIT_WRITE": 29,
    "CAP_SETFCAP": 31,
}
"""Source: linux/capability.h."""
_HIGHEST: Final = 63


def drop_all_but_a_containers() -> None:
    """Take from this process's bounding set what RUN does not get; the next exec(2) as root has the rest."""
    kept = {_NUMBERS[name] for name in CAPABILITIES}
    for number in range(_HIGHEST + 1):
        if number not in kept:
            syscalls.drop_from_bounding_set(number)
