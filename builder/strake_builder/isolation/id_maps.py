"""Which user and group IDs a nested user namespace has: all that the container has.

A file of an image belongs to any ID, so that whatever the current namespace maps is mapped again, one to one.
An ordinary user of a workstation has its own ID alone, and ranges that the administrator gave it.

Sources: user_namespaces(7), "User and group ID mappings"; subuid(5), newuidmap(1).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from strake_oci.lazy_dataclass import dataclass

EVERY_ID: Final = 0xFFFF_FFFF
"""IDs that a map without gaps covers; the last of the 32-bit numbers stands for none."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A line of a map: `count` IDs from `inside` on are those from `outside` on of the parent namespace."""

    inside: int
    outside: int
    count: int

    def __str__(self) -> str:
        return f"{self.inside} {self.outside} {self.count}"


def parse_map(text: str) -> tuple[Extent, ...]:
    """Return the lines of a file such as /proc/self/uid_map."""
    return tuple(Extent(*map(int, line.split())) for line in text.splitlines())


def covered(extents: Iterable[Extent]) -> int:
    """Return how many IDs a map has."""
    return sum(extent.count for extent in extents)


def holds(extents: Iterable[Extent], number: int) -> bool:
    """Say whether a map has an ID of its own namespace."""
    return any(extent.inside <= number < extent.inside + extent.count for extent in extents)


def same_ids(current: Iterable[Extent]) -> tuple[Extent, ...]:
    """Return the map of a namespace in which every ID means what it means in the current one.

    crun takes a process whose map has every ID for one outside any user namespace, and makes device nodes
    there, which the kernel refuses. So the last ID is left out of such a map.
    """
    extents = [Extent(each.inside, each.inside, each.count) for each in current]
    if covered(extents) >= EVERY_ID:
        last = extents[-1]
        extents[-1] = Extent(last.inside, last.outside, last.count - 1)
    return tuple(extents)


def granted_ids(table: str, user: str, number: int) -> tuple[Extent, ...]:
    """Return the ranges that /etc/subuid or /etc/subgid grants a user, as extents from ID 1 on.

    Args:
        table: the file's text: lines of NAME-OR-NUMBER:FIRST:COUNT.
        user: the user's name.
        number: the user's ID.
    """
    extents = []
    inside = 1
    for line in table.splitlines():
        match line.strip().split(":"):
            case [name, first, count] if name in {user, str(number)} and f"{first}{count}".isdecimal():
                if int(count):
                    extents.append(Extent(inside, int(first), int(count)))
                    inside += int(count)
            case _:
                continue
    return tuple(extents)
