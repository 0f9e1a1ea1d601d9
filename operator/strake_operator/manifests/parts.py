"""What the Jobs of a run of several platforms are asked to do, and what each needs of its spec.

No Job gets more than its part needs: the key that signs is not where sources are resolved, and neither
secrets of steps nor a large workspace are where an index is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from strake_api.imagebuild import DOCKERFILE
from strake_api.requests.base import PodRequest
from strake_api.requests.index import IndexImage, IndexOutput, IndexRequest
from strake_api.requests.sources import FromSources, SourceRequest
from strake_api.spec.source import Source
from strake_api.values.platform import without_usual_variant
from strake_operator.parts import IndexPart, PlatformPart, SourcePart
from strake_operator.pins import pinned

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_api.requests.build import BuildRequest
    from strake_api.requests.kinds import AnyRequest
    from strake_operator.parts import Part
    from strake_operator.settings.environment import Settings


def spec_of_part(spec: ImageBuildSpec, part: Part | None) -> ImageBuildSpec:
    """Return what of a spec the pod of a part gets: volumes, containers and resources are made from it."""
    match part:
        case None:
            return spec
        case PlatformPart():
            return spec.model_copy(update={"platform": part.name, "platforms": ()})
        case SourcePart():
            output = spec.output.model_copy(update={"sign": None})
            return spec.model_copy(update={"output": output, **_WITHOUT_STEPS})
        case IndexPart():
            pod = None if spec.pod is None else spec.pod.model_copy(update={"workspace": None})
            fewer = {"source": _unfetched(spec.source), "contexts": (), "pod": pod, "resources": None}
            return spec.model_copy(update={**fewer, **_WITHOUT_STEPS})
        case _:
            assert_never(part)


def _unfetched(source: Source) -> Source:
    """Return a source that no container fetches: of git what destinations tell of it, the branch."""
    if source.git is None:
        return Source(inline={DOCKERFILE: ""})
    return source.model_copy(update={"git": source.git.model_copy(update={"secret": None})})


_WITHOUT_STEPS: dict[str, Any] = {
    "args": (),
    "secrets": (),
    "ssh": (),
    "platform": None,
    "platforms": (),
    "verify": (),
}


def is_emulated(part: Part | None, settings: Settings) -> bool:
    """Return whether a platform's Job may run on a node of another architecture."""
    return isinstance(part, PlatformPart) and without_usual_variant(part.name) in settings.emulated_platforms


def request_of_part(request: BuildRequest, spec: ImageBuildSpec, part: Part) -> AnyRequest:
    """Return what the Job of a part is asked to do.

    Args:
        request: What a run of one platform would be asked to do, by the spec of the part.
        spec: That spec.
        part: The part.
    """
    match part:
        case PlatformPart():
            by_digest = request.output.model_copy(update={"by_digest": True})
            return pinned(request.model_copy(update={"output": by_digest}), part.sources)
        case SourcePart():
            return SourceRequest(**_shared(request, FromSources))
        case IndexPart():
            # A referrer refers to its image; only BuildKit's form of attestations has entries in the index.
            # Where the index is signed, what either says is signed of it.
            form = spec.output.attestations.form if spec.output.attestations is not None else "referrers"
            is_used = form == "index" or request.output.sign is not None
            images = tuple(
                IndexImage(
                    platform=each.platform,
                    digest=each.digest,
                    attestation=each.attestation if is_used else None,
                    attestation_form=form,
                )
                for each in part.images
            )
            output = IndexOutput(
                destinations=request.output.destinations,
                sign=request.output.sign,
                annotations=request.output.annotations,
            )
            return IndexRequest(
                images=images, output=output, revision=part.revision, **_shared(request, PodRequest)
            )
        case _:
            assert_never(part)


def _shared(request: BuildRequest, kind: type[PodRequest]) -> dict[str, Any]:
    """Return what a request has of a kind that it is of: a field that is new there is not forgotten here.

    Warnings are about the spec: the Jobs of the platforms tell them.
    """
    return {name: getattr(request, name) for name in kind.model_fields if name != "warnings"}
