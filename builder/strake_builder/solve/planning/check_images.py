"""Makes sure that checks can be made, before any step runs for an image that nobody could check."""

from __future__ import annotations

from collections.abc import Collection

from strake_api.models.verification import Check, RequiredCheck
from strake_api.requests.build import BuildRequest
from strake_builder.errors import VerificationError
from strake_builder.isolation.ways import Isolation
from strake_builder.solve.images.base import BaseImages
from strake_builder.solve.planning.checks import PreparedCheck, require_command, require_secrets
from strake_oci.spec.platform import host as host_platform


def prepared_checks(
    request: BuildRequest,
    images: BaseImages,
    required: BaseImages,
    isolation: Isolation,
    secrets: Collection[str],
) -> tuple[PreparedCheck, ...]:
    """Return checks with their images.

    Args:
        request: asks for checks.
        images: resolves the images of those.
        required: resolves the images of checks that the platform demands.
        isolation: of steps, and of checks.
        secrets: ids of those that the build was given.

    Raises:
        BaseImageError: an image cannot be had.
        VerificationError: a check cannot be made here.
    """
    checks: tuple[Check, ...] = (*request.required_checks, *request.verify)
    for check in checks:
        if check.network == "none" and isolation.way == "chroot":
            raise VerificationError(
                f"the check {check.name} cannot be made: the isolation chroot can take no network away",
                hint="give the check network: default, or let the builder have user namespaces",
            )
    prepared = []
    for check in checks:
        known = required if isinstance(check, RequiredCheck) else images
        tool = None if check.image is None else known.get(check.image, host_platform())
        prepared.append(PreparedCheck(check, tool))
    for each in prepared:
        require_command(each)
        require_secrets(each, secrets)
    return tuple(prepared)
