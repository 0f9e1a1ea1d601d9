"""Decides what becomes of a cache mount that several builds change, and which content is written. No I/O.

A build knows three states: what it restored (*base*), what its steps left (*mine*), and what the repository
has when it writes (*theirs*). What only one side changed is taken from it. Where both changed a path, the
build that writes last wins: one of two results of the same cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from strake_builder.cache.mounts.listing import Entries, Kind, Listed, Listing, Pack
from strake_oci.spec.digest import Digest

PACK: Final = 128 << 20
"""Bytes of content in one pack: large enough that few are needed, small enough that some are read at once."""
FEW: Final = 48
"""Packs that a listing has before small ones are put together."""
_SMALL: Final = 1 << 20
"""Bytes of a pack that is not worth a thought, whatever of it is needed."""
_BLOCK: Final = 512
_USTAR_PATH: Final = 100


def merged(base: Entries, mine: Entries, theirs: Entries) -> dict[bytes, Listed]:
    """Return the three-way merge of two states of a mount; each side's additions and changes are in it.

    What one side removed and the other did not touch is gone. A directory is there as long as something is in
    it. A hard link whose file is gone is dropped.
    """
    chosen: dict[bytes, Listed] = {}
    for path in base.keys() | mine.keys() | theirs.keys():
        picked = _picked(base.get(path), mine.get(path), theirs.get(path))
        if picked is not None:
            chosen[path] = picked
    return _consistent(chosen, (theirs, mine, base))


def _picked(base: Listed | None, mine: Listed | None, theirs: Listed | None) -> Listed | None:
    if (mine is None and base is None) or (mine is not None and mine.is_as(base)):
        return theirs
    if mine is not None:
        return mine
    return None if theirs is None or theirs.is_as(base) else theirs


def _consistent(chosen: Entries, sides: tuple[Entries, ...]) -> dict[bytes, Listed]:
    """Return entries that can be on a disk: each in a directory, hard links to files."""
    made: dict[bytes, Listed] = {}
    for path in sorted(chosen):
        if path not in made and _with_parents(path, chosen, sides, made):
            made[path] = chosen[path]
    return {
        path: each for path, each in made.items() if each.kind is not Kind.HARD_LINK or _is_file(made, each)
    }


def _is_file(entries: Entries, link: Listed) -> bool:
    target = entries.get(link.target)
    return target is not None and target.kind is Kind.FILE


def _with_parents(
    path: bytes, chosen: Entries, sides: tuple[Entries, ...], made: dict[bytes, Listed]
) -> bool:
    """Add the directories that a path is in; say whether all of them are directories.

    One that a side removed comes back, where the other put something into it.
    """
    missing: list[tuple[bytes, Listed]] = []
    while path:
        path = path.rpartition(b"/")[0]
        found = made.get(path)
        if found is not None:
            if found.kind is not Kind.DIRECTORY:
                return False
            break
        found = chosen.get(path) or next((side[path] for side in sides if path in side), None)
        if found is None or found.kind is not Kind.DIRECTORY:
            return False
        missing.append((path, found))
    made.update(reversed(missing))
    return True


def with_packs(found: Entries, base: Listing) -> dict[bytes, Listed]:
    """Return what steps left, with the packs of the files that are as they were restored."""
    return {
        path: replace(each, pack=before.pack)
        if each.kind is Kind.FILE and (before := base.entries.get(path)) is not None and each.is_as(before)
        else each
        for path, each in found.items()
    }


def to_write(mine: Entries, base: Listing) -> list[list[bytes]]:
    """Return the paths of the files whose content goes into new packs, by pack, in the order of their paths.

    Besides what no pack has, what is left of packs of which most is not needed any more, and of the smallest
    ones where there are many. So packs hold about twice what a mount has, at the most.

    Args:
        mine: what steps left, with packs.
        base: what was restored.
    """
    stale = _stale(mine, base.packs)
    moved = [
        path
        for path, each in sorted(mine.items())
        if each.kind is Kind.FILE and (each.pack is None or each.pack in stale)
    ]
    groups: list[list[bytes]] = []
    room = 0
    for path in moved:
        size = mine[path].size
        if not groups or room < size:
            groups.append([])
            room = PACK
        groups[-1].append(path)
        room -= size
    return groups


def _stale(mine: Entries, packs: tuple[Pack, ...]) -> frozenset[Digest]:
    live: Counter[Digest] = Counter()
    for path, each in mine.items():
        if each.pack is not None:
            live[each.pack] += _packed_size(path, each)
    stale = {pack.digest for pack in packs if live[pack.digest] * 2 < pack.plain and pack.plain > _SMALL}
    others = sorted((pack for pack in packs if pack.digest not in stale), key=lambda pack: pack.plain)
    if len(others) > FEW:
        small = [pack for pack in others[: -FEW // 2] if pack.plain < PACK // 2]
        stale |= {pack.digest for pack in small}
    return frozenset(stale)


def _packed_size(path: bytes, file: Listed) -> int:
    """Return the bytes of a file in a tar stream: header, content, and a PAX header for a long path."""
    long = 0 if len(path) <= _USTAR_PATH else 2 * _BLOCK + len(path)
    return _BLOCK + file.size + -file.size % _BLOCK + long


def listing_of(entries: Entries, packs: Mapping[Digest, Pack]) -> Listing:
    """Return a listing with the packs that its files need."""
    used = {each.pack for each in entries.values() if each.pack is not None}
    return Listing(entries, tuple(packs[digest] for digest in sorted(used, key=str)))
