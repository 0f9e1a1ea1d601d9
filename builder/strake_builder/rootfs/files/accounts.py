"""Reads users and groups from a root file system, as the C library of the image would.

Rules of USER: BuildKit and runc (`libcontainer/user.GetExecUser`). A user by name must exist; a number
need not. Without a group, the passwd entry's is used, or 0; supplementary groups are those that list the
user's name, unless a group is given.
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
_OWNER_MAX: Final = (1 << 31) - 1
"""The largest number that BuildKit reads as one in USER and --chown; beyond it is a name."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who a process or file belongs to.

    Attributes:
        uid: user.
        gid: primary group.
        groups: supplementary groups.
        home: home directory, `/` for a user that the image does not know.
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
    wanted = user or "0"
    number = _number(wanted)
    found = next(
        (u for u in _users(root) if u.name == wanted or (number is not None and u.uid == number)), None
    )
    if found is None and number is None:
        if wanted != "root":
            raise StepError(
                f"the image has no user {wanted!r}",
                hint="create it in an earlier RUN step (useradd, adduser), or give a number",
            )
        number = 0
    uid = found.uid if found else number or 0
    if group is not None:
        return Account(uid, find_group(root, group), (), found.home if found else "/")
    if found is None:
        return Account(uid, 0)
    groups = tuple(
        sorted({g for name, g, members in _groups(root) if found.name in members and g != found.gid})
    )
    return Account(uid, found.gid, groups, found.home)


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
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else _ID_MAX  # noqa: PLR2004 - digits of 2^31
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
    number = int(text) if len(text) <= 10 else _ID_MAX + 1  # noqa: PLR2004 - digits of 2^32
    if number > _ID_MAX:
        raise StepError(f"{text[:20]} is no user or group number: the largest is {_ID_MAX}")
    return number


def _users(root: Root) -> Iterator[_User]:
    for fields in _lines(root, b"etc/passwd"):
        if len(fields) >= 6 and fields[2].isdecimal() and fields[3].isdecimal():  # noqa: PLR2004 - passwd(5)
            yield _User(fields[0], int(fields[2]), int(fields[3]), fields[5] or "/")


def _groups(root: Root) -> Iterator[tuple[str, int, frozenset[str]]]:
    for fields in _lines(root, b"etc/group"):
        if len(fields) >= 4 and fields[2].isdecimal():  # noqa: PLR2004 - group(5)
            yield fields[0], int(fields[2]), frozenset(fields[3].split(","))


def _lines(root: Root, path: bytes) -> Iterator[list[str]]:
    for line in (root.read_file(path, _FILE_LIMIT) or b"").decode(errors="replace").splitlines():
        if line and not line.startswith("#"):
            yield line.strip().split(":")
