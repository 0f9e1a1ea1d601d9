"""Writes a finished image, or the index of several, to everywhere that is no registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from strake_builder.output.local import LocalImage, LocalIndex, from_bytes, write_archive, write_layout
from strake_builder.output.targets import (
    ArchiveTarget,
    FileTarget,
    LayoutTarget,
    TreeArchiveTarget,
    TreeTarget,
)
from strake_builder.progress.reporter import Reporter
from strake_builder.solve.images.assemble import FinishedImage, opener
from strake_builder.solve.images.layers import ImageLayer
from strake_builder.solve.images.store import LayerStore
from strake_builder.solve.images.tree import write_tree, write_tree_archive
from strake_builder.solve.workspace.workspace import Workspace
from strake_oci.lazy_dataclass import dataclass
from strake_oci.registry.client import RegistryClient
from strake_oci.spec.reference import Reference


@dataclass(frozen=True, slots=True)
class FileOutputs:
    """What writing needs.

    Attributes:
        workspace: where the image's root file system is mounted.
        store: has, or fetches, the directories of layers.
        client: reads layers of base images.
        reporter: hears of what is left out.
        destinations: what the image is called where a target does not say.
        mask: permission bits that nothing made for the user gets.
        check: raises when the build was stopped; called again and again.
        epoch: modification time of the files in trees, in seconds since 1970; None keeps them.
    """

    workspace: Workspace
    store: LayerStore
    client: RegistryClient
    reporter: Reporter
    destinations: tuple[Reference, ...]
    mask: int
    check: Callable[[], None]
    epoch: int | None

    def write(
        self, targets: tuple[FileTarget, ...], image: FinishedImage | None, layers: tuple[ImageLayer, ...]
    ) -> None:
        """Write an image to every target.

        Args:
            targets: where to.
            image: the image, None where no target needs more than its files.
            layers: of the target stage, bottom first.

        Raises:
            BuildError: a target cannot be written; it is then as it was before.
        """
        for target in targets:
            self.check()
            match target:
                case LayoutTarget() | ArchiveTarget():
                    assert image is not None, "its manifest is wanted"  # noqa: S101 - narrows the type
                    local = local_image(image, self.client, self.check)
                    write_file(target, local, self.destinations, mask=self.mask)
                case TreeTarget(path):
                    left_out = write_tree(
                        self._root(layers), path, self.check, mask=self.mask, epoch=self.epoch
                    )
                    if left_out:
                        self.reporter.warn(f"{left_out} device nodes of the image are not in {path}")
                case TreeArchiveTarget(path):
                    write_tree_archive(self._root(layers), path, self.check, mask=self.mask, epoch=self.epoch)
                case _:
                    assert_never(target)

    def _root(self, layers: tuple[ImageLayer, ...]) -> str:
        return self.workspace.view(self.store.directories(layers))


def local_image(image: FinishedImage, client: RegistryClient, check: Callable[[], None]) -> LocalImage:
    """Return an image as it is written to a layout or an archive.

    Args:
        image: the image.
        client: reads layers of base images.
        check: raises when the build was stopped; called again and again.
    """
    return LocalImage(
        (
            (image.config_descriptor, from_bytes(image.config)),
            *((layer.descriptor, opener(layer, client)) for layer in image.layers),
        ),
        image.manifest,
        image.media_type,
        check,
        image.attestation,
    )


def write_file(
    target: LayoutTarget | ArchiveTarget,
    image: LocalImage | LocalIndex,
    destinations: tuple[Reference, ...],
    *,
    mask: int,
) -> None:
    """Write an image, or an index, to a layout or an archive.

    Args:
        target: where to.
        image: what is written.
        destinations: what it is called where the target does not say.
        mask: permission bits that nothing made for the user gets.

    Raises:
        BuildError: it cannot be written; what was there before is there still.
    """
    names = target.names or destinations
    match target:
        case LayoutTarget(path):
            write_layout(image, path, names, mask=mask)
        case ArchiveTarget(path, docker):
            write_archive(image, path, names, docker=docker, mask=mask)
        case _:
            assert_never(target)
