"""What a build hands back: the result of its image, or of the index of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_api.result import BuildSucceeded, Durations, PlatformImage, Sizes, StepCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from strake_builder.context.fetch import FetchedContext
    from strake_builder.progress.reporter import Reporter
    from strake_builder.solve.image import Made
    from strake_builder.solve.images.assemble import FinishedImage
    from strake_builder.solve.planning.requested import Requested
    from strake_oci.spec.descriptor import Descriptor


def result_of(
    requested: Requested,
    made: Sequence[Made],
    index: Descriptor | None,
    context: FetchedContext,
    *,
    reporter: Reporter,
    durations: Durations,
) -> BuildSucceeded:
    """Return the result of a build.

    Args:
        requested: what was to be built.
        made: what was made for each platform.
        index: what the names point to, where there are several platforms.
        context: the build context.
        reporter: heard of warnings and transfers.
        durations: of the phases.
    """
    result = BuildSucceeded(
        platform=",".join(map(str, requested.platforms)),
        source_revision=context.revision,
        source_digest=context.digest,
        base_images=tuple(dict.fromkeys(image for each in made for image in each.base_images)),
        steps=_sum(each.steps for each in made),
        durations=durations,
        warnings=tuple(reporter.warnings),
        verification=tuple(check for each in made for check in each.checks),
        sizes=Sizes(pushed=sum(each.sent for each in made), pulled=reporter.arrived_bytes),
    )
    images = [each.image for each in made if each.image is not None]
    if not images:
        return result
    of_one = images[0].descriptor if requested.by_digest else images[0].named
    named = of_one if index is None else index
    repositories = dict.fromkeys(str(destination.repository) for destination in requested.pushed_to)
    compressed = sum(image.compressed_size for image in images)
    return result.model_copy(
        update={
            "digest": str(named.digest),
            "images": tuple(f"{repository}@{named.digest}" for repository in repositories),
            "references": () if requested.by_digest else tuple(map(str, requested.pushed_to)),
            "layers": sum(len(image.layers) for image in images),
            "sizes": result.sizes.model_copy(update={"compressed": compressed}),
            **(_of_one(images[0]) if index is None else {"platforms": _platforms(made)}),
        }
    )


def _of_one(image: FinishedImage) -> dict[str, str | None]:
    """Return what a result tells of an image that is the only one."""
    attestation = image.attestation if image.attested else None
    return {
        "config_digest": str(image.config_descriptor.digest),
        "attestation": str(attestation.descriptor.digest) if attestation else None,
    }


def _platforms(made: Sequence[Made]) -> tuple[PlatformImage, ...]:
    return tuple(
        PlatformImage(platform=str(each.requested.platform), digest=str(each.image.descriptor.digest))
        for each in made
        if each.image is not None
    )


def _sum(counts: Iterable[StepCounts]) -> StepCounts:
    each = list(counts)
    return StepCounts(
        total=sum(one.total for one in each),
        run=sum(one.run for one in each),
        cached=sum(one.cached for one in each),
    )
