"""Where COPY, ADD and bind mounts take files from: the context, another stage, an image, nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import assert_never

from strake_builder import interrupt
from strake_builder.context.filtered import ContextFiles
from strake_builder.frontend.model.steps import (
    BindMount,
    CacheMount,
    CopyStep,
    FileOrigin,
    FromContext,
    FromImage,
    FromNamedContext,
    FromScratch,
    FromStage,
    RunStep,
    Step,
)
from strake_builder.rootfs.copying.copy import copy_path
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.files.inside import Root
from strake_builder.solve.images.base import BaseImages
from strake_builder.solve.images.layers import ImageLayer
from strake_builder.solve.images.store import LayerStore
from strake_builder.solve.workspace.workspace import Workspace
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.platform import Platform


@dataclass(frozen=True, slots=True)
class OriginView:
    """A root to read from.

    Attributes:
        path: the directory.
        context: the context's filter, when the files are the context's.
    """

    path: str
    context: ContextFiles | None = None


class FileOrigins:
    """Opens origins, each once. Thread-safe.

    Args:
        workspace: where views are mounted.
        context: the build context.
        named: the files of named contexts, by name.
        store: unpacks layers.
        images: resolves images.
        stage_layers: waits for a stage and returns its layers.
    """

    def __init__(
        self,
        workspace: Workspace,
        context: ContextFiles,
        named: Mapping[str, ContextFiles],
        store: LayerStore,
        images: BaseImages,
        stage_layers: Callable[[int], tuple[ImageLayer, ...]],
    ) -> None:
        self._workspace = workspace
        self._context = context
        self._named = named
        self._store = store
        self._images = images
        self._stage_layers = stage_layers
        self._lock = threading.Lock()
        self._views: dict[object, OriginView] = {}

    def await_stages(self, step: Step) -> None:
        """Wait until every stage that a step takes files from is done.

        Raises:
            BuildError: one of them failed.
        """
        for origin in _origins_of(step):
            if isinstance(origin, FromStage):
                self._stage_layers(origin.index)

    def open(self, origin: FileOrigin, platform: Platform) -> OriginView:
        """Return where an origin's files are.

        Args:
            origin: whose files.
            platform: of an image.

        Raises:
            BuildError: the image cannot be pulled, or the stage failed.
        """
        match origin:
            case FromContext():
                return OriginView(self._context.directory, self._context)
            case FromNamedContext(name):
                return OriginView(self._named[name].directory, self._named[name])
            case FromStage(index):
                return self._view(("stage", index), lambda: self._stage_layers(index))
            case FromImage(reference):
                key = ("image", reference, platform)
                return self._view(key, lambda: self._images.get(reference, platform).layers)
            case FromScratch():
                return self._view("scratch", tuple)
            case _:
                assert_never(origin)

    def open_for_mount(self, origin: FileOrigin, platform: Platform) -> str:
        """Return a directory that holds an origin's files and no others, to be mounted into a step."""
        view = self.open(origin, platform)
        if view.context is None:
            return view.path
        key = ("mounted", origin)
        with self._lock:
            if key not in self._views:
                if not (view.context.everything and belongs_to_root(view.path)):
                    view = self._root_copy(view.path, view.context)
                self._views[key] = view
            return self._views[key].path

    def _root_copy(self, directory: str, context: ContextFiles) -> OriginView:
        """Return a copy of what may be seen of the context; as in BuildKit all of it is root's."""
        copy = self._workspace.directory(self._workspace.new_name("context"))
        visible = context.filter()
        options = CopyOptions(owner=(0, 0), keep=visible.keep, enter=visible.enter)
        with Root(directory) as source, Root(copy) as target:
            copy_path(source, b"/", target, b"/", options)
        os.chmod(copy, 0o755)
        return OriginView(copy)

    def _view(self, key: object, layers: Callable[[], tuple[ImageLayer, ...]]) -> OriginView:
        directories = self._store.directories(layers())
        with self._lock:
            if key not in self._views:
                self._views[key] = OriginView(self._workspace.view(directories))
            return self._views[key]


def belongs_to_root(directory: str) -> bool:
    """Say whether user 0 and group 0 own a directory and everything in it, without following links."""
    if _owner(os.stat(directory)) != (0, 0):
        return False
    pending = [directory]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                interrupt.check()
                if _owner(entry.stat(follow_symlinks=False)) != (0, 0):
                    return False
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
    return True


def _owner(found: os.stat_result) -> tuple[int, int]:
    return found.st_uid, found.st_gid


def _origins_of(step: Step) -> tuple[FileOrigin, ...]:
    match step:
        case CopyStep():
            return (step.source,)
        case RunStep():
            return tuple(m.source for m in step.mounts if isinstance(m, (BindMount, CacheMount)))
        case _:
            return ()
