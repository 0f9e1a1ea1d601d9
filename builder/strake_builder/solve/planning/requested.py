"""What a request asks for, checked before any work: destinations and platform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Self

from strake_api.requests.build import BuildRequest
from strake_builder.errors import InvalidRequestError
from strake_builder.output.targets import (
    ArchiveTarget,
    FileTarget,
    LayoutTarget,
    TreeArchiveTarget,
    TreeTarget,
)
from strake_builder.solve.inputs import BuildInputs
from strake_builder.solve.planning.contexts import RequestedContexts
from strake_builder.solve.planning.destinations import filled_destinations, parse_destinations
from strake_oci.errors import InvalidValueError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.platform import Platform
from strake_oci.spec.platform import host as host_platform
from strake_oci.spec.reference import Reference


@dataclass(frozen=True, slots=True)
class Requested:
    """What is to be built.

    Attributes:
        request: the request.
        inputs: what the build is given besides.
        platforms: to build for. The names point to an index where there are several.
        in_index: whether the image is one of several, which get no name of their own.
        found_epoch: SOURCE_DATE_EPOCH in seconds since 1970, once the Dockerfile is read; None without one.
        destinations: where the image goes, or what it is called where it is not pushed.
        contexts: what stands in for stages and images.
    """

    request: BuildRequest
    inputs: BuildInputs
    platforms: tuple[Platform, ...]
    destinations: tuple[Reference, ...]
    contexts: RequestedContexts
    in_index: bool = False
    found_epoch: int | None = None

    @classmethod
    def of(cls, request: BuildRequest, inputs: BuildInputs) -> Self:
        """Check a request.

        Raises:
            InvalidRequestError: it has no destination to push to, or a wrong one, or a wrong platform, or a
                named context that is none.
        """
        destinations = parse_destinations(request.output.destinations)
        if inputs.outputs.push and not destinations:
            raise InvalidRequestError("the request has no destination", hint="name at least one")
        contexts = RequestedContexts.of(request.contexts)
        platforms = _platforms_of(request)
        if len(platforms) > 1:
            _check_index(inputs)
        return cls(request, inputs, platforms, destinations, contexts)

    @property
    def platform(self) -> Platform:
        """The platform to build for; of several the first."""
        return self.platforms[0]

    def for_each(self) -> Iterator[Self]:
        """Yield what is to be built for each platform."""
        for platform in self.platforms:
            yield replace(self, platforms=(platform,), in_index=len(self.platforms) > 1)

    def filled(self, values: Mapping[str, str]) -> Self:
        """Return the same with fields of destinations filled.

        Args:
            values: by field.

        Raises:
            InvalidRequestError: a field has no value, or a tag gets too long.
        """
        filled_ones = filled_destinations(self.request.output.destinations, values)
        output = self.request.output.model_copy(update={"destinations": filled_ones})
        request = self.request.model_copy(update={"output": output})
        return replace(self, request=request, destinations=parse_destinations(filled_ones))

    def dated(self, seconds: int | None) -> Self:
        """Return the same with SOURCE_DATE_EPOCH as it was found, the Dockerfile's default included."""
        return replace(self, request=self.request.with_epoch_argument(seconds), found_epoch=seconds)

    @property
    def epoch(self) -> int | None:
        """The time of everything that the build makes, in seconds since 1970; None is the time of day."""
        return self.request.epoch(self.found_epoch)

    @property
    def pushed_to(self) -> tuple[Reference, ...]:
        """The destinations that the image is pushed to."""
        return self.destinations if self.inputs.outputs.push else ()

    @property
    def own_files(self) -> tuple[FileTarget, ...]:
        """The files that are made of one image; of one of several, what the index has no part in.

        Each platform has its own directory then, with the name that BuildKit's `local` exporter gives it.
        """
        files = self.inputs.outputs.files
        if not self.in_index:
            return files
        own = str(self.platform).replace("/", "_")
        return tuple(TreeTarget(f"{file.path}/{own}") for file in files if isinstance(file, TreeTarget))

    @property
    def index_files(self) -> tuple[LayoutTarget | ArchiveTarget, ...]:
        """The files that the index of several images goes to."""
        return tuple(
            file for file in self.inputs.outputs.files if isinstance(file, LayoutTarget | ArchiveTarget)
        )

    @property
    def by_digest(self) -> bool:
        """Whether the image gets no name: it is one of several, made here or elsewhere."""
        return self.in_index or self.request.output.by_digest


def _check_index(inputs: BuildInputs) -> None:
    """Refuse what has room for one image where several are built.

    Raises:
        InvalidRequestError: with what to do instead.
    """
    for target in inputs.outputs.files:
        match target:
            case ArchiveTarget(docker=True):
                raise InvalidRequestError(
                    f"{target.path}: an archive for docker load holds the image of one platform",
                    hint="write --output type=oci,dest=FILE, or build one platform",
                )
            case TreeArchiveTarget():
                raise InvalidRequestError(
                    f"{target.path}: an archive of files holds those of one platform",
                    hint="write --output type=local,dest=DIR, or build one platform",
                )
            case _:
                pass


def _platforms_of(request: BuildRequest) -> tuple[Platform, ...]:
    """Return the platforms to build for, each once.

    Raises:
        InvalidRequestError: one is none, or none that can be built for.
    """
    if request.platform is None:
        return (host_platform(),)
    return tuple(dict.fromkeys(map(_platform_of, request.platform.split(","))))


def _platform_of(text: str) -> Platform:
    try:
        wanted = Platform.parse(text.strip())
    except InvalidValueError as error:
        raise InvalidRequestError(error.message, hint=error.hint) from error
    if wanted.os != "linux":
        raise InvalidRequestError(
            f"images for {wanted} cannot be built here", hint="only those for Linux can"
        )
    return wanted
