"""The ways of isolation, as values.

root     SYS_ADMIN is there already: on a machine or in a VM.
nested   a user namespace inside the container's own: no capability needs to be added.
chroot   no namespace at all, for containers whose seccomp or AppArmor profile refuses them: steps run
         at the container's real root, where the runtime's /proc, /dev and /sys are.
"""

from __future__ import annotations

from typing import Final, Literal

from strake_oci.lazy_dataclass import dataclass

Way = Literal["root", "nested", "chroot"]
Wanted = Literal["auto", "root", "nested", "chroot"]

WAYS: Final[tuple[Way, ...]] = ("root", "nested", "chroot")
"""The strictest first."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a way cannot be had.

    Attributes:
        way: which one.
        message: what was refused, and by what.
        hint: what to change.
    """

    way: Way
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Isolation:
    """The way that a build goes.

    Attributes:
        way: which one.
        own_proc: whether steps get process IDs and a /proc of their own; else they have the container's.
        refused: the stricter ways that were tried.
    """

    way: Way = "root"
    own_proc: bool = True
    refused: tuple[Refusal, ...] = ()

    @property
    def makes_mounts(self) -> bool:
        """Whether the builder can mount file systems."""
        return self.way != "chroot"

    @property
    def reason(self) -> str:
        """Why no stricter way was to be had; empty where there is none, or none was tried."""
        return "; ".join(f"{refusal.way}: {refusal.message}" for refusal in self.refused)
