"""Destinations as a request has them: with fields, until it is known what fills them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_api.values.destinations import fields_of, filled, sample
from strake_builder.errors import InvalidRequestError
from strake_oci.errors import InvalidValueError
from strake_oci.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def parse_destinations(texts: Iterable[str]) -> tuple[Reference, ...]:
    """Return where something goes, each with a tag; of fields there are samples.

    Raises:
        InvalidRequestError: a destination is no reference, or has a digest.
    """
    references = []
    for text in texts:
        try:
            reference = Reference.parse(sample(text)).with_default_tag()
        except InvalidValueError as error:
            raise InvalidRequestError(
                f"the destination {text!r} is no image reference: {error.message}"
            ) from error
        if reference.digest is not None:
            raise InvalidRequestError(
                f"the destination {text!r} has a digest, which only the build can say", hint="name a tag"
            )
        references.append(reference)
    return tuple(references)


def filled_destinations(texts: Iterable[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Return destinations with their fields filled.

    Args:
        texts: as the request has them.
        values: by field.

    Raises:
        InvalidRequestError: a field has no value.
    """
    filled_ones = tuple(filled(each, values) for each in texts)
    for each in filled_ones:
        for field in sorted(fields_of(each)):
            raise InvalidRequestError(
                f"the destination {each!r} has no value for {{{field}}}",
                hint="{branch} is of an ImageBuild, {generation} of one in a cluster, {revision} of git",
            )
    return filled_ones
