"""Reads users and groups from a root file system, as the C library of the image would.

Rules of USER: BuildKit and runc (`moby/sys/user.GetExecUser`). A user by name must exist; a number need not,
and is never a name. Without a group, the passwd entry's is used, or 0. Supplementary groups are the primary
one, and those that list the user's name unless a group is given. The home directory is the number's: that of
the first entry which has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from strake_builder.errors import StepError
from strake_builder.rootfs.files.inside import Root
from strake_oci.lazy_dataclass import dataclass

_FILE_LIMIT: Final = 16 << 20
_ID_MAX: Final = (1 << 32) - 2
_DIGITS: Final = 10
"""Of the largest number of 32 bits."""
_OWNER_MAX: Final = (1 << 31) - 1
"""The largest number that BuildKit reads as one in USER and --chown; beyond it is a name."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who a process or file belongs to.

    Attributes:
        uid: user.
        gid: primary group.
        groups: supplementary groups, in ascending order. The primary group is among them: a process that
            changes its primary group would else read what that group may not (CVE-2022-36109).
        home: home directory, `/` for a user that the image does not know, empty where its entry has none.
    """

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


@dataclass(frozen=True, slots=True)
class _User:
    name: str
    uid: int
    gid: int
    home: str


def find_account(root: Root, user: str, group: str | None = None) -> Account:
    """Return who `user` (and `group`) is in an image.

    Args:
        root: the image's root.
        user: name or number; empty is root.
        group: name or number, or None for the user's own.

    Raises:
        StepError: a name that the image does not have, or a number out of range.
    """
    number, users = _number(user or "0"), list(_users(root))
    found = next((u for u in users if (u.uid == number if number is not None else u.name == user)), None)
    if found is None and number is None and user != "root":
        raise StepError(
            f"the image has no user {user!r}",
            hint="create it in an earlier RUN step (useradd, adduser), or give a number",
        )
    uid, own = (found.uid, found.gid) if found is not None else (number or 0, 0)
    home = next((u.home for u in users if u.uid == uid), "/")
    if group is not None:
        gid = find_group(root, group)
        return Account(uid, gid, (gid,), home)
    listing = {gid for _, gid, members in _groups(root) if found is not None and found.name in members}
    return Account(uid, own, tuple(sorted({own, *listing})), home)


def find_group(root: Root, group: str) -> int:
    """Return the number of a group of an image.

    Raises:
        StepError: as `find_account`.
    """
    number = _number(group)
    if number is not None:
        return number
    for name, gid, _ in _groups(root):
        if name == group:
            return gid
    if group == "root":
        return 0
    raise StepError(
        f"the image has no group {group!r}",
        hint="create it in an earlier RUN step (groupadd, addgroup), or give a number",
    )


def find_owner(root: Root, user: str) -> tuple[int, int]:
    """Return (uid, gid) of a directory that WORKDIR makes under `USER user[:group]`.

    The rules are those of BuildKit's file operations, not those of a process: a number is the group's as
    well unless one is given, and a name that the image does not have is root.

    Raises:
        StepError: a name, and the image is empty.
    """
    name, group = split_user(user)
    uid, gid = _owner_number(name), 0
    if uid is None:
        _require_files(root, name)
        uid, gid = next(((u.uid, u.gid) for u in _users(root) if u.name == name), (0, 0))
    else:
        gid = uid
    if group is None:
        return uid, gid
    number = _owner_number(group)
    if number is None:
        _require_files(root, group)
        number = next((found for name, found, _ in _groups(root) if name == group), gid)
    return uid, number


def _owner_number(text: str) -> int | None:
    """Return the number that a name means without a look into the image, or None."""
    if text in {"", "root"}:
        return 0
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else _ID_MAX
    return number if number <= _OWNER_MAX else None


def _require_files(root: Root, name: str) -> None:
    with os.scandir(root.path) as entries:
        if next(entries, None) is None:
            raise StepError(
                f"an empty image has no user or group {name!r}",
                hint="copy /etc/passwd and /etc/group into it first, or give a number",
            )


def split_user(text: str) -> tuple[str, str | None]:
    """Split `user[:group]`; an empty group counts as none."""
    user, _, group = text.partition(":")
    return user, group or None


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()):
        return None
    number = int(text) if len(text) <= _DIGITS else _ID_MAX + 1
    if number > _ID_MAX:
        raise StepError(f"{text[:20]} is no user or group number: the largest is {_ID_MAX}")
    return number


def _users(root: Root) -> Iterator[_User]:
    for name, _, user, group, _, home, *_ in _lines(root, b"etc/passwd", fields=6):
        uid, gid = _entry_number(user), _entry_number(group)
        if uid is not None and gid is not None:
            yield _User(name, uid, gid, home)


def _groups(root: Root) -> Iterator[tuple[str, int, frozenset[str]]]:
    for name, _, gid, members, *_ in _lines(root, b"etc/group", fields=4):
        if (number := _entry_number(gid)) is not None:
            yield name, number, frozenset(members.split(","))


def _entry_number(text: str) -> int | None:
    """Return the number in an entry, or None where a process cannot have it: BuildKit takes that for 0."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        return None
    return number if (number := int(text)) <= _ID_MAX else None


def _lines(root: Root, path: bytes, *, fields: int) -> Iterator[list[str]]:
    """Yield the entries of a file, with empty fields where an entry has too few."""
    for line in (root.read_file(path, _FILE_LIMIT) or b"").decode(errors="replace").split("\n"):
        if line and not line.startswith("#"):
            found = line.strip().split(":")
            yield [*found, *[""] * (fields - len(found))]
