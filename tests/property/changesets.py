"""What layers make of a tree by the rules of the image specification, in memory and without a file system.

Source: OCI image spec, layer.md, "Applying Changesets" and "Whiteouts". It leaves open what a path through a link
means, and how a parent without a member looks: there it is as containerd's archive.Apply has it.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import os
import stat
from collections.abc import Iterator
from typing import Final

from strake_builder.layers.entry import OPAQUE_WHITEOUT, WHITEOUT_PREFIX, Entry, EntryType
from tests.fixtures.content.snapshots import Tree

Member = tuple[Entry, bytes]
_LINKS: Final = 255
_TYPES: Final = {
    EntryType.FILE: stat.S_IFREG,
    EntryType.DIRECTORY: stat.S_IFDIR,
    EntryType.SYMLINK: stat.S_IFLNK,
    EntryType.CHAR_DEVICE: stat.S_IFCHR,
    EntryType.BLOCK_DEVICE: stat.S_IFBLK,
    EntryType.FIFO: stat.S_IFIFO,
}


class RefusedError(Exception):
    """No tree can come of a member."""


class UnspecifiedError(RefusedError):
    """The rules do not tell what comes of a member."""


@dataclasses.dataclass(eq=False)
class Node:
    """A file, of whatever type. Names of one file are names of one node.

    Attributes:
        entry: what the layer says of it.
        content: of a regular file.
        has_time: whether its time of modification is known, which that of a directory is where the topmost layer with
            something in it has a member for it.
    """

    entry: Entry
    content: bytes = b""
    has_time: bool = True


class Changesets:
    """A tree to which layers are applied."""

    def __init__(self) -> None:
        self._nodes: dict[bytes, Node] = {}
        self._own: set[bytes] = set()
        self._entered: set[bytes] = set()
        self._passed: set[bytes] = set()

    def next_layer(self) -> None:
        """Have what was applied in lower layers."""
        self._own, self._entered, self._passed = set(), set(), set()

    def apply(self, member: Member) -> None:
        """Apply the next member of a layer.

        Raises:
            RefusedError: it cannot be; the tree is as it was before.
        """
        copies = {node: copy.copy(node) for node in self._nodes.values()}
        before = {path: copies[node] for path, node in self._nodes.items()}
        own, entered, passed = set(self._own), set(self._entered), set(self._passed)
        try:
            self._apply(*member)
        except RefusedError:
            self._nodes, self._own, self._entered, self._passed = before, own, entered, passed
            raise

    def tree(self) -> Tree:
        """Return what is in the tree, as `tree_of` does."""
        first: dict[Node, bytes] = {}
        return {path: _described(node, first.setdefault(node, path)) for path, node in self.nodes()}

    def nodes(self) -> Iterator[tuple[bytes, Node]]:
        """Yield what is in the tree, in the order of a walk."""
        for path in sorted(self._nodes, key=lambda path: path.split(b"/")):
            yield path, self._nodes[path]

    def _apply(self, entry: Entry, content: bytes) -> None:
        parent = self._resolve(entry.parent, entered=True)
        path = _join(parent, entry.name)
        if entry.name == OPAQUE_WHITEOUT:
            self._remove_lower(parent)
            return
        if entry.name.startswith(WHITEOUT_PREFIX):
            hidden = _join(parent, entry.name.removeprefix(WHITEOUT_PREFIX))
            self._remove_lower(hidden)
            if not self._has_own(hidden):
                self._remove_unless_entered(hidden)
            return
        if path in self._passed and entry.type is EntryType.DIRECTORY:
            raise UnspecifiedError(f"{path!r} is a lower layer's link for members before this one alone")
        if entry.type is EntryType.HARD_LINK and self._leads_to(entry.target, path):
            raise UnspecifiedError(f"{path!r} is a link to itself")
        there = self._nodes.get(path)
        if there and {there.entry.type, entry.type} != {EntryType.DIRECTORY}:
            self._remove(path)
        self._nodes[path] = self._linked(entry) or Node(entry, content)
        self._own.add(path)

    def _resolve(self, directory: bytes, *, entered: bool) -> bytes:
        """Return the path of a directory without links; make those that are missing, if one will be entered."""
        pending, here, links = directory.split(b"/") if directory else [], b"", 0
        while pending:
            part = pending.pop(0)
            if part in {b"", b"."}:
                continue
            if part == b"..":
                here = here.rpartition(b"/")[0]
                continue
            path = _join(here, part)
            node = self._nodes.get(path)
            if node is None and entered:
                self._nodes[path] = node = Node(Entry(path, EntryType.DIRECTORY, mode=0o755))
            if node is None:
                raise RefusedError(f"{path!r} is not there")
            if node.entry.type is EntryType.SYMLINK:
                links += 1
                self._pass_through(path)
                target = node.entry.target
                pending[:0] = target.split(b"/")
                here = b"" if target.startswith(b"/") else here
            elif node.entry.type is EntryType.DIRECTORY:
                here = path
                if entered:
                    self._entered.add(path)
                    node.has_time = path in self._own
            if links > _LINKS or node.entry.type not in {EntryType.SYMLINK, EntryType.DIRECTORY}:
                raise RefusedError(f"{path!r} leads nowhere")
        return here

    def _linked(self, entry: Entry) -> Node | None:
        """Return the file that a hard link names, with the metadata that the link says."""
        if entry.type is not EntryType.HARD_LINK:
            return None
        target = self._target(entry.target)
        node = self._nodes.get(target)
        if node is None or node.entry.type is EntryType.DIRECTORY:
            raise RefusedError(f"{target!r} is no file")
        node = self._copied_up(target)
        was = node.entry
        if was.type is not EntryType.SYMLINK:  # of which no link says another owner
            xattrs = {**was.xattrs, **entry.xattrs}
            node.entry = entry._replace(
                type=was.type, size=was.size, device=was.device, target=b"", xattrs=xattrs
            )
        return node

    def _target(self, target: bytes) -> bytes:
        directory, _, name = target.rpartition(b"/")
        return _join(self._resolve(directory, entered=False), name)

    def _leads_to(self, target: bytes, path: bytes) -> bool:
        with contextlib.suppress(RefusedError):
            return self._target(target) == path
        return False

    def _pass_through(self, link: bytes) -> None:
        if link not in self._own:
            self._passed.add(link)
        self._copied_up(link)

    def _copied_up(self, path: bytes) -> Node:
        """Return the file at a path, parted from its other names if it is a lower layer's.

        That is how overlay links a lower layer's file, since a layer is a tree of its own.
        """
        node = self._nodes[path]
        if not any(self._nodes.get(own) is node for own in self._own):
            node = self._nodes[path] = copy.copy(node)
        return node

    def _has_own(self, path: bytes) -> bool:
        return any(own == path or _is_in(own, path) for own in self._own)

    def _remove(self, path: bytes) -> None:
        for inside in [each for each in self._nodes if each == path or _is_in(each, path)]:
            del self._nodes[inside]
            self._own.discard(inside)
            self._entered.discard(inside)

    def _remove_lower(self, directory: bytes) -> None:
        """Remove what lower layers have in a directory."""
        for path in [each for each in self._nodes if _is_in(each, directory) and not self._has_own(each)]:
            self._remove_unless_entered(path)

    def _remove_unless_entered(self, path: bytes) -> None:
        if path in self._entered:
            raise UnspecifiedError(f"{path!r} is taken away, and something in it, too")
        self._nodes.pop(path, None)


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name


def _is_in(path: bytes, directory: bytes) -> bool:
    return not directory or path.startswith(directory + b"/")


def _described(node: Node, first: bytes) -> tuple[object, ...]:
    entry = node.entry
    is_directory, is_link = entry.type is EntryType.DIRECTORY, entry.type is EntryType.SYMLINK
    is_file = entry.type is EntryType.FILE
    mode = 0o777 if is_link else entry.mode
    size = len(entry.target) if is_link else len(node.content)
    return (
        _TYPES[entry.type] | mode,
        entry.uid,
        entry.gid,
        os.makedev(*entry.device),
        None if is_directory else (size, entry.mtime),
        entry.target if is_link else None,
        (node.content, node.content) if is_file else None,
        # The kernel holds attributes of the kind `user` of files and directories alone.
        dict(entry.xattrs) if is_file or is_directory else {},
        first,
    )
