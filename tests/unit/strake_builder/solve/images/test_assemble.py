"""What an image says that it is for."""

from __future__ import annotations

import pytest

from strake_builder.solve.images.assemble import image_platform
from strake_oci.spec.image import ImageConfig
from strake_oci.spec.platform import Platform

AMD64 = Platform("linux", "amd64")


@pytest.mark.parametrize(
    ("base", "wanted", "named", "expected"),
    [
        (None, AMD64, False, AMD64),
        (Platform("", ""), AMD64, False, AMD64),
        (Platform("linux", "arm64"), AMD64, False, Platform("linux", "arm64")),
        (Platform("linux", "arm64"), AMD64, True, AMD64),
        (Platform("linux", "arm64", "v8"), AMD64, False, Platform("linux", "arm64")),
        (Platform("linux", "arm64", "v8"), Platform("linux", "arm64"), True, Platform("linux", "arm64")),
        (
            Platform("linux", "arm", "v6"),
            Platform("linux", "arm", "v7"),
            True,
            Platform("linux", "arm", "v7"),
        ),
        (Platform("linux", "amd64", "v3"), AMD64, True, Platform("linux", "amd64", "v3")),
        (Platform("linux", "386", "", "1"), AMD64, True, AMD64),
    ],
)
def test_the_platform_that_was_asked_for_goes_before_that_of_the_base(base, wanted, named, expected):
    """As BuildKit v0.34: without a variant that of the base stays; spelling is normalised."""
    config = None if base is None else ImageConfig(platform=base)
    assert image_platform(config, wanted, named=named) == expected
