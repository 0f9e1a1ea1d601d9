"""Executes COPY: finds the sources in their origin and copies them into a writable root."""

from __future__ import annotations

from collections.abc import Callable

from strake_builder.frontend.model.chmod import apply_mode, made_mode
from strake_builder.frontend.model.chown import Ownership
from strake_builder.frontend.model.steps import CopyStep, FromContext, FromNamedContext, HeredocFile
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.copying.copy import copy_path, write_file
from strake_builder.rootfs.copying.deferred import DeferredFiles
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.files.accounts import find_account, find_group
from strake_builder.rootfs.files.inside import Root
from strake_builder.solve.steps.file_origins import FileOrigins, OriginView
from strake_builder.solve.steps.sources import filtered, find_sources
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.platform import Platform

FILE_MODE = 0o644


@dataclass(frozen=True, slots=True)
class CopyTarget:
    """Where a COPY writes.

    Attributes:
        root: with `--link` an empty one.
        deferred: takes files that need not be in the root; None where all must.
    """

    root: Root
    deferred: DeferredFiles | None = None


def execute_copy(
    step: CopyStep,
    owner: tuple[int, int] | None,
    target: CopyTarget,
    origins: FileOrigins,
    platform: Platform,
    reporter: Reporter,
) -> None:
    """Copy what a step names.

    Args:
        step: what to copy.
        owner: (uid, gid) that `--chown` means, None without it.
        target: see `CopyTarget`.
        origins: opens the sources' origin.
        platform: of an image origin.
        reporter: hears of patterns that match nothing.

    Raises:
        StepError: a source is missing or cannot be where it should go.
    """
    destination = step.destination.encode(errors="surrogateescape")
    if step.sources:
        _copy_sources(step, owner, target, destination, origins.open(step.source, platform), reporter)
    write_heredocs(step.files, target.root, destination, owner, step.chmod)


def _copy_sources(
    step: CopyStep,
    owner: tuple[int, int] | None,
    target: CopyTarget,
    destination: bytes,
    view: OriginView,
    reporter: Reporter,
) -> None:
    chown = owner
    if owner is None and isinstance(step.source, FromContext | FromNamedContext):
        chown = (0, 0)
    with Root(view.path) as source:
        for wanted in step.sources:
            found = list(find_sources(source, view, wanted, step.excludes))
            if not found:
                reporter.warn(
                    f"{wanted.path.lstrip('/')} matches nothing", step.origin.file, step.origin.span.first
                )
            for path in found:
                options = CopyOptions(
                    chown,
                    mode_of(step.chmod),
                    made_mode=made_mode(step.chmod),
                    made_owner=owner,
                    deferred=target.deferred,
                )
                options = filtered(options, source, view, wanted, path, step.excludes)
                copy_path(source, path, target.root, destination, options)


def write_heredocs(
    files: tuple[HeredocFile, ...],
    target: Root,
    destination: bytes,
    owner: tuple[int, int] | None,
    chmod: str | None,
) -> None:
    """Write the files whose content is in the Dockerfile: after the sources, as BuildKit does."""
    options = CopyOptions(owner, mode_of(chmod), made_mode=made_mode(chmod), made_owner=owner)
    for file in files:
        content = file.content.encode(errors="surrogateescape")
        name = file.name.encode(errors="surrogateescape")
        write_file(content, name, FILE_MODE, target, destination, options)


def resolve_owner(chown: Ownership | None, root: Root) -> tuple[int, int] | None:
    """Return (uid, gid) of a `--chown`, or None without one.

    Raises:
        StepError: the image does not have the user or group.
    """
    if chown is None:
        return None
    if not chown.user:
        return 0, find_group(root, chown.group or "0")
    if chown.group is None and chown.user.isdecimal():
        number = int(chown.user)
        return number, number
    account = find_account(root, chown.user, chown.group)
    return account.uid, account.gid


def mode_of(chmod: str | None) -> Callable[[int, bool], int] | None:
    """Return how a `--chmod` changes permissions, or None without one."""
    if chmod is None:
        return None
    return lambda mode, is_directory: apply_mode(mode, chmod, is_directory=is_directory)
