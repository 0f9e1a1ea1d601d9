"""What is attested of an image, and where that lies."""

from __future__ import annotations

from typing import Final, Literal

ProvenanceMode = Literal["none", "min", "max"]
"""Whether provenance is made, and how much it tells."""
AttestationForm = Literal["referrers", "index"]
"""Beside the image, which they refer to, or in an index with it, as BuildKit has them."""
DEFAULT_GENERATOR: Final = "docker.io/docker/buildkit-syft-scanner:stable-1"
"""What makes SBOMs where nothing else is named: BuildKit's default, too."""
