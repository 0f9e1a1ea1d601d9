"""Finds what a source of COPY or ADD names, and what of it is left out.

Four things leave files out: .dockerignore (seen from the context's root), `--exclude` (seen from the
copied directory), with `--parents` the source itself, which is a pattern, and of a commit what is git's own.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from strake_builder import interrupt
from strake_builder.context.filtered import ContextFilter
from strake_builder.errors import StepError
from strake_builder.frontend.model.steps import PathSource
from strake_builder.frontend.patterns import glob
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.errors import NotInRootError, ParentNotDirectoryError
from strake_builder.rootfs.files.inside import Root
from strake_builder.solve.steps.file_origins import OriginView


def find_sources(
    root: Root, view: OriginView, wanted: PathSource, excludes: tuple[str, ...] = ()
) -> Iterator[bytes]:
    """Yield the paths that a source stands for, in byte order.

    Args:
        root: of the origin.
        view: the origin.
        wanted: the source.
        excludes: of the instruction.

    Raises:
        StepError: a path, or the directory before the first wildcard, that does not exist or is ignored; or a
            path that takes nothing.
    """
    if wanted.include is not None:
        _check_include(root, view, wanted, excludes)
    path = wanted.path.encode(errors="surrogateescape")
    base, pattern = glob.split_wildcards(wanted.path)
    if pattern:
        directory = base.encode(errors="surrogateescape")
        _require(root, view, directory, follow=True)
        for path in _matching(root, view, directory, pattern.split("/")):
            # as BuildKit fetches a context: what is under the pattern, which of a file is nothing
            if wanted.include is None or view.context is None or _is_directory(root, path):
                yield path
        return
    if wanted.include is None:
        _require(root, view, path, follow=True)
    yield path


def _is_directory(root: Root, path: bytes) -> bool:
    found = root.stat(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def _check_include(root: Root, view: OriginView, wanted: PathSource, excludes: tuple[str, ...]) -> None:
    """Refuse a source of `--parents` that names nothing, or something that is missing."""
    if not wanted.include:
        raise StepError(
            f"--parents copies nothing of {wanted.path}",
            hint="name what is copied after the directory, such as ./* for all",
        )
    if wanted.required is not None:
        # a link is copied as one, wherever it leads
        _require(root, view, wanted.required.encode(errors="surrogateescape"), follow=False)
        _require_not_excluded(wanted.include, excludes)


def _matching(root: Root, view: OriginView, base: bytes, patterns: list[str]) -> Iterator[bytes]:
    """Yield matches in a directory, one path element at a time, so that nothing else is read.

    Links are followed on the way to the directory alone, as by BuildKit: none is a directory to a wildcard.
    """
    try:
        with root.directory(base) as fd:
            names = sorted(os.fsencode(name) for name in os.listdir(f"/proc/self/fd/{fd}"))
    except (NotInRootError, ParentNotDirectoryError):
        return
    for name in names:
        interrupt.check()
        if not glob.element_matches(patterns[0], os.fsdecode(name)):
            continue
        path = base.rstrip(b"/") + b"/" + name
        if len(patterns) == 1:
            if _is_visible(root, view, path, follow=False):
                _require(root, view, path, follow=True)
                yield path
        elif (found := root.stat(path, follow=False)) is not None and stat.S_ISDIR(found.st_mode):
            yield from _matching(root, view, path, patterns[1:])


def _require(root: Root, view: OriginView, path: bytes, *, follow: bool) -> None:
    shown = os.fsdecode(path).lstrip("/")
    if root.stat(path, follow=follow) is None:
        hint = "paths are relative to the context; files outside it cannot be used" if view.context else ""
        raise StepError(f"{shown or '/'} does not exist", hint=hint)
    if not _is_visible(root, view, path, follow=follow):
        raise StepError(
            f"{shown} is left out of the context by .dockerignore", hint="add an exception: !" + shown
        )


def _require_not_excluded(path: str, excludes: tuple[str, ...]) -> None:
    rule, member = ContextFilter(excludes), path.strip("/").encode(errors="surrogateescape")
    if not (rule.keep(member, True) or rule.enter(member, True)):
        raise StepError(f"{path} is left out by --exclude", hint="take one of the two away")


def _is_visible(root: Root, view: OriginView, path: bytes, *, follow: bool) -> bool:
    """Say whether the build may see what is at a path that exists.

    As in a context without what is ignored, each link on the way must be there, and what they lead to.
    """
    if view.context is None or view.context.everything:
        return True
    visible, way = view.context.filter(), root.resolution(path, follow=follow)
    if not all(visible.keep(link, False) for link in way.links):
        return False
    if not way.path or visible.keep(way.path, True):
        return True
    if not _is_directory(root, way.path):
        return False
    return visible.enter(way.path, True) and _holds_any(root, way.path, visible)


def _holds_any(root: Root, directory: bytes, visible: ContextFilter) -> bool:
    """Say whether anything in a directory that is ignored may be seen."""
    waiting = [directory]
    while waiting:
        parent = waiting.pop()
        with root.directory(parent) as fd, os.scandir(b"/proc/self/fd/%d" % fd) as entries:
            for entry in entries:
                interrupt.check()
                path, is_directory = parent + b"/" + entry.name, entry.is_dir(follow_symlinks=False)
                if visible.keep(path, is_directory):
                    return True
                if is_directory and visible.enter(path, True):
                    waiting.append(path)
    return False


class _Rule(Protocol):
    """Says which members of a copied directory are left out; paths are relative to it."""

    def keep(self, member: bytes, is_directory: bool) -> bool: ...
    def enter(self, member: bytes, is_directory: bool) -> bool: ...


class _Prefixed:
    """A context's filter, seen from a directory inside it."""

    def __init__(self, rule: _Rule, prefix: bytes) -> None:
        self._rule = rule
        self._prefix = prefix

    def keep(self, member: bytes, is_directory: bool) -> bool:
        return self._rule.keep(self._prefix + member, is_directory)

    def enter(self, member: bytes, is_directory: bool) -> bool:
        return self._rule.enter(self._prefix + member, is_directory)


def filtered(
    options: CopyOptions,
    root: Root,
    view: OriginView,
    wanted: PathSource,
    path: bytes,
    excludes: tuple[str, ...],
) -> CopyOptions:
    """Add what .dockerignore, `--exclude` and `--parents` leave out to how a path is copied."""
    patterns: list[_Rule] = []
    if excludes:
        patterns.append(ContextFilter(excludes))
    if wanted.include is not None:
        patterns.append(ContextFilter(("**", f"!{wanted.include.strip('/')}")))
    rules = list(patterns)
    if view.context is not None and not view.context.everything:
        inside = root.resolve(path)  # .dockerignore names what is there, not the links that lead there
        rules.append(_Prefixed(view.context.filter(), inside + b"/" if inside else b""))
    return _selecting(options, patterns, rules)


def of_commit(options: CopyOptions, excludes: tuple[str, ...], *, keep_git_dir: bool) -> CopyOptions:
    """Add what `--exclude` and a missing `--keep-git-dir` leave out to how a commit's files are copied."""
    patterns: list[_Rule] = [ContextFilter(excludes)] if excludes else []
    return _selecting(options, patterns, patterns if keep_git_dir else [*patterns, _WithoutGit()])


class _WithoutGit:
    """Leaves out what git keeps about a commit, in submodules too."""

    def keep(self, member: bytes, is_directory: bool) -> bool:  # noqa: ARG002 - of the protocol
        return member.rpartition(b"/")[2] != b".git"

    enter = keep


def _selecting(options: CopyOptions, patterns: Sequence[_Rule], rules: Sequence[_Rule]) -> CopyOptions:
    if not rules:
        return options

    def selects(member: bytes, is_directory: bool) -> bool:
        return all(pattern.keep(member, is_directory) for pattern in patterns)

    def keep(member: bytes, is_directory: bool) -> bool:
        return all(rule.keep(member, is_directory) for rule in rules)

    def enter(member: bytes, is_directory: bool) -> bool:
        return all(rule.keep(member, is_directory) or rule.enter(member, is_directory) for rule in rules)

    return replace(options, keep=keep, enter=enter, selects=selects)
