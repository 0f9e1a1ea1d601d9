"""Makes sure that checks can be made, before any step runs for an image that nobody could check."""

from __future__ import annotations

from collections.abc import Sequence

from strake_api.models.verification import Check
from strake_builder.errors import VerificationError
from strake_builder.isolation.ways import Isolation
from strake_builder.solve.images.base import BaseImages
from strake_builder.solve.planning.checks import PreparedCheck, require_command
from strake_oci.spec.platform import host as host_platform


def prepared_checks(
    checks: Sequence[Check], images: BaseImages, isolation: Isolation
) -> tuple[PreparedCheck, ...]:
    """Return checks with their images.

    Args:
        checks: what is asked for.
        images: resolves images.
        isolation: of steps, and of checks.

    Raises:
        BaseImageError: an image cannot be had.
        VerificationError: a check cannot be made here.
    """
    for check in checks:
        if check.network == "none" and isolation.way == "chroot":
            raise VerificationError(
                f"the check {check.name} cannot be made: the isolation chroot can take no network away",
                hint="give the check network: default, or let the builder have user namespaces",
            )
    prepared = tuple(
        PreparedCheck(check, None if check.image is None else images.get(check.image, host_platform()))
        for check in checks
    )
    for each in prepared:
        require_command(each)
    return prepared
