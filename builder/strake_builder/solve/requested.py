"""What a request asks for, checked before any work: destinations and platform."""

from __future__ import annotations

from strake_api.request import BuildRequest
from strake_builder.errors import InvalidRequest
from strake_oci.errors import InvalidValueError
from strake_oci.platform import Platform
from strake_oci.platform import host as host_platform
from strake_oci.reference import Reference


def destinations_of(request: BuildRequest) -> tuple[Reference, ...]:
    """Return where the image goes, each with a tag.

    Raises:
        InvalidRequest: a destination is no reference, or has a digest.
    """
    references = []
    for text in request.output.destinations:
        try:
            reference = Reference.parse(text).with_default_tag()
        except InvalidValueError as error:
            raise InvalidRequest(
                f"the destination {text!r} is no image reference: {error.message}"
            ) from error
        if reference.digest is not None:
            raise InvalidRequest(
                f"the destination {text!r} has a digest, which only the build can say", hint="name a tag"
            )
        references.append(reference)
    return tuple(references)


def platform_of(request: BuildRequest) -> Platform:
    """Return the platform to build for.

    Raises:
        InvalidRequest: it is none, or this machine cannot run its programs.
    """
    here = host_platform()
    if request.platform is None:
        return here
    try:
        wanted = Platform.parse(request.platform)
    except InvalidValueError as error:
        raise InvalidRequest(error.message, hint=error.hint) from error
    if (wanted.os, wanted.architecture) != (here.os, here.architecture):
        raise InvalidRequest(
            f"this builder runs on {here} and cannot build for {wanted}",
            hint="run the build on a node of that architecture",
        )
    return wanted
