"""What an error about names in a layout says of those that are there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strake_oci.errors import LayoutError
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.manifest import Index
from strake_oci.stores.layout_index import REF_NAME, find


@pytest.mark.parametrize(
    ("count", "shown"), [(2, "there is v00, v01"), (12, "there is v00, v01, .*, v09 and 2 more")]
)
def test_names_are_shown_and_not_all_of_thousands(count, shown):
    entry = Descriptor.of("application/x", b"x")
    named = tuple(replace(entry, annotations={REF_NAME: f"v{number:02}"}) for number in range(count))
    with pytest.raises(LayoutError, match=shown + "$"):
        find(Index(named), "v99", "the layout")
