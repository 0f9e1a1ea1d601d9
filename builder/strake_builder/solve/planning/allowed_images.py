"""Which images a Dockerfile may name: the rules of the platform's policies."""

from __future__ import annotations

from collections.abc import Iterable

from strake_api.requests.build import ImageRule
from strake_api.values.pattern import matches
from strake_builder.errors import ForbiddenImageError
from strake_oci.spec.reference import Reference


def check_allowed(reference: Reference, rules: Iterable[ImageRule]) -> None:
    """Check an image's name, before any registry is asked.

    A pattern fits the repository (`docker.io/library/alpine` for `alpine`), alone or with the tag or digest.
    A digest decides which image it is, so a tag beside one counts for nothing.

    Args:
        reference: With a tag or a digest.
        rules: All of them must allow it.

    Raises:
        ForbiddenImageError: One does not.
    """
    plain = str(reference.repository)
    forms = [plain, f"{plain}@{reference.digest}" if reference.digest else f"{plain}:{reference.tag}"]
    for rule in rules:
        if rule.names is not None and not matches(rule.names, forms):
            raise ForbiddenImageError(
                f"BuildPolicy {rule.policy} forbids the image {forms[1]}",
                hint=f"build on one of {', '.join(rule.names)}" if rule.names else "build FROM scratch",
            )
        if rule.require_digest and reference.digest is None:
            raise ForbiddenImageError(
                f"BuildPolicy {rule.policy} forbids the image {forms[1]}: it has no digest",
                hint=f"name it by its digest: {plain}@sha256:…",
            )
